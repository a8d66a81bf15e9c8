/**
 * What a client gets of a model over several nodes when one of those dies: who, how and when, so many times each.
 *
 * `deno task bench:deaths [-- --times 20 --minutes 10 --who leader --how cut --moment middle --cells FILE]`. Four real nodes, of which
 * the first one is asked and computes nothing; a cluster is kept as long as it comes back. What was measured is kept in a file, by
 * default {@link CELLS}, and not measured again at the same commit: `--minutes` ends a run, and the next one goes on with it.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { TestCluster } from "../../tests/harness/cluster.ts";
import { runnersOf } from "../../tests/harness/runners.ts";
import {
  isWhole,
  lending,
  noticedAfterMs,
  signalRunner,
  SPLIT_ENVIRONMENT,
  type SplitRole,
  splitRoles,
  type Story,
  STORY_MOMENTS,
  tellStory,
  unloadStory,
} from "../../tests/harness/split_story.ts";
import { inTime } from "../measuring/in_time.ts";
import { KeptRows } from "../measuring/kept_rows.ts";
import { describeMachine } from "../measuring/machine.ts";
import { fixed, percentile } from "../measuring/stats.ts";

const CELLS = ".cache/death_cells.jsonl";
const NODES = 4;
const ENTRY = "n1";
/** Longest time that a cell may take with all that it needs; a cluster that takes longer is given up. Milliseconds. */
const CELL_MS_MAX = 120_000;

const WHO = ["worker", "leader"] as const;
const HOW = ["kill -9", "SIGSTOP", "cut"] as const;
const MOMENTS = ["load", "first", "middle", "last"] as const;
type How = (typeof HOW)[number];
type Moment = (typeof MOMENTS)[number];

/** One death. */
interface Cell {
  readonly who: SplitRole;
  readonly how: How;
  readonly moment: Moment;
  /** The answer came to its end, each token's text once and in order. */
  readonly isWhole: boolean;
  /** The words of an undisturbed answer. */
  readonly isSame: boolean;
  /** Until the node that was asked knew; absent = the answer was over, or the model not loaded yet. Milliseconds. */
  readonly noticedMs?: number;
  /** Longest pause of the answer, or at the load, from the fault to the first line. Milliseconds. */
  readonly pauseMs: number;
  readonly why: string;
}

/** How cells begin that say nothing of a death, and are measured again. */
const NO_CLUSTER = "the cluster did not come back";
const NOT_STRUCK = "the fault did not strike";

/** A cluster, and the next one where that one doesn't come back from what was done to it. */
class Scene implements AsyncDisposable {
  #cluster: TestCluster | undefined;
  #undisturbed = "";

  async cell(who: SplitRole, how: How, moment: Moment): Promise<Cell> {
    const is = { who, how, moment };
    const failed = { isWhole: false, isSame: false, pauseMs: 0 };
    let isReady = false;
    try {
      const cluster = await inTime(this.#ready(moment), CELL_MS_MAX);
      isReady = true;
      const told = await inTime(strike(cluster, { who, how, moment }), CELL_MS_MAX);
      await inTime(isWhole(cluster, told.story), CELL_MS_MAX);
      const { story: { text }, ...figures } = told;
      return { ...is, ...figures, isWhole: true, isSame: text === this.#undisturbed, why: "" };
    } catch (error) {
      const folder = await this.#cluster?.collect(`bench deaths ${who} ${how} ${moment}`);
      await this[Symbol.asyncDispose]();
      console.log(`${error}; the logs are in ${folder}`);
      const isStruck = !(error instanceof NotStruck);
      const note = isReady ? isStruck ? "" : `${NOT_STRUCK}: ` : `${NO_CLUSTER}: `;
      const why = `${note}${String(error).slice(0, 200)}`;
      return { ...is, ...failed, why };
    }
  }

  /** Healed, and with the model loaded or not. */
  async #ready(moment: Moment): Promise<TestCluster> {
    const cluster = this.#cluster ?? await this.#begin();
    cluster.heal();
    await cluster.healthy(NODES);
    if (moment === "load") await unloadStory(cluster);
    else await tellStory(cluster);
    return cluster;
  }

  async #begin(): Promise<TestCluster> {
    const cluster = await TestCluster.start(NODES, { environment: SPLIT_ENVIRONMENT });
    this.#cluster = cluster;
    await cluster.client(ENTRY).ask("POST", `/api/cluster/members/${ENTRY}/drain`);
    this.#undisturbed = (await tellStory(cluster)).text;
    return cluster;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const cluster = this.#cluster;
    this.#cluster = undefined;
    await cluster?.[Symbol.asyncDispose]();
  }
}

/** Lines came together, or sooner. */
class NotStruck extends Error {}

function saysOfDeath({ why }: Cell): boolean {
  return !why.startsWith(NO_CLUSTER) && !why.startsWith(NOT_STRUCK);
}

interface Death {
  readonly who: SplitRole;
  readonly how: How;
  readonly moment: Moment;
}

interface Told {
  readonly story: Story;
  readonly noticedMs?: number;
  readonly pauseMs: number;
}

async function strike(cluster: TestCluster, death: Death): Promise<Told> {
  const { who, how, moment } = death;
  if (moment === "load") return await strikeLoad(cluster, death);
  let struckMs = Infinity;
  const story = await tellStory(cluster, async (line) => {
    if (line !== STORY_MOMENTS[moment]) return;
    const { [who]: node } = await splitRoles(cluster);
    if (how === "cut") cluster.isolate(node);
    else await signalRunner(cluster, node, how === "kill -9" ? "SIGKILL" : "SIGSTOP");
    struckMs = Date.now();
  });
  if (struckMs === Infinity) throw new NotStruck("its line never came: tokens came together");
  const noticedMs = noticedAfterMs(cluster, struckMs);
  const pauseMs = Math.round(story.pauseMs);
  return { story, pauseMs, ...noticedMs !== undefined && { noticedMs } };
}

/** The worker's process is there, the leader's is about to be. */
async function strikeLoad(cluster: TestCluster, { who, how }: Death): Promise<Told> {
  let firstMs = 0;
  const asked = tellStory(cluster, async (line) => {
    if (line === 1) firstMs = await Promise.resolve(Date.now());
  });
  // Whoever fails first is told.
  asked.catch(() => {});
  const { [who]: node, workerPid } = await lending(cluster, Date.now() - 1);
  if (how === "cut") cluster.isolate(node);
  else {
    const pid = who === "worker" ? workerPid : await startedRunner(cluster, node);
    Deno.kill(pid, how === "kill -9" ? "SIGKILL" : "SIGSTOP");
  }
  const struckMs = Date.now();
  if (firstMs > 0) throw new NotStruck("the model was loaded before");
  return { story: await asked, pauseMs: firstMs - struckMs };
}

async function startedRunner(cluster: TestCluster, node: string): Promise<number> {
  return await cluster.until("a runner is started", async () => {
    return (await runnersOf(cluster.client(node).pid))[0];
  });
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    args: Deno.args.filter((argument) => argument !== "--"),
    options: {
      who: { type: "string" },
      how: { type: "string" },
      moment: { type: "string" },
      times: { type: "string", default: "20" },
      cells: { type: "string", default: CELLS },
      minutes: { type: "string", default: "Infinity" },
    },
  });
  const machine = await describeMachine();
  const endMs = performance.now() + Number(values.minutes) * 60_000;
  const kept = new KeptRows<Cell>(values.cells, String(machine["commit"]));
  const cells = (await kept.read()).filter(saysOfDeath);
  const missing = wanted(values, cells);
  console.log(
    `${cells.length} deaths of ${machine["commit"]} are known, ${missing.length} are missing`,
  );
  await using scene = new Scene();
  for (const { who, how, moment } of missing) {
    if (performance.now() > endMs) break;
    const cell = await scene.cell(who, how, moment);
    if (saysOfDeath(cell)) cells.push(cell);
    await kept.append(cell);
    const { noticedMs = NaN, pauseMs, why } = cell;
    console.log([who, how, moment, cell.isWhole, fixed(noticedMs, 0), pauseMs, why].join(" | "));
  }
  console.log(report(cells, machine));
}

type Wish = Partial<Record<"who" | "how" | "moment", string>> & { readonly times: string };

/** One of each kind, then the next of each: a run that is ended early has met them all. */
function wanted(wish: Wish, cells: readonly Cell[]): readonly Death[] {
  const is = (asked: string | undefined, name: string) =>
    asked === undefined || asked.split(",").includes(name);
  const kinds = MOMENTS.filter((moment) => is(wish.moment, moment)).flatMap((moment) =>
    WHO.filter((who) => is(wish.who, who)).flatMap((who) =>
      HOW.filter((how) => is(wish.how, how)).map((how) => ({ who, how, moment }))
    )
  );
  const known = Map.groupBy(cells, keyOf);
  const rounds = Array.from({ length: Number(wish.times) }, (_, round) => round);
  return rounds.flatMap((round) =>
    kinds.filter((kind) => (known.get(keyOf(kind))?.length ?? 0) <= round)
  );
}

function keyOf({ who, how, moment }: Death): string {
  return [who, how, moment].join();
}

function report(cells: readonly Cell[], machine: Readonly<Record<string, unknown>>): string {
  const groups = Map.groupBy(cells, ({ who, how }) => `${who} | ${how}`);
  const rows = [...groups].map(([name, group]) => {
    const perMoment = MOMENTS.map((moment) => {
      const own = group.filter((cell) => cell.moment === moment);
      return `${own.filter((cell) => cell.isWhole).length}/${own.length}`;
    });
    const noticed = group.flatMap(({ noticedMs }) => noticedMs ?? []);
    const loads = group.filter(({ moment }) => moment === "load").map(({ pauseMs }) => pauseMs);
    const others = group.filter(({ moment, noticedMs }) =>
      moment !== "load" && noticedMs !== undefined
    );
    const reloads = others.map(({ pauseMs, noticedMs = 0 }) => pauseMs - noticedMs);
    const pauses = others.map(({ pauseMs }) => pauseMs);
    const columns = [noticed, pauses, reloads, loads].map(figures);
    return `| ${name} | ${perMoment.join(" | ")} | ${columns.join(" | ")} |`;
  });
  const bad = cells.filter((cell) => !cell.isWhole);
  return [
    `${cells.length} deaths: ${cells.length - bad.length} answers complete, each byte once; ${
      cells.filter(({ isSame }) => isSame).length
    } with the undisturbed words. Milliseconds, p50 / p99 / most; noticed: by the node that was asked.`,
    `| who | how | ${MOMENTS.join(" | ")} | noticed | pause | of it reload | pause at load |`,
    `|---|---|${MOMENTS.map(() => "---|").join("")}---|---|---|---|`,
    ...rows,
    ...bad.map(({ who, how, moment, why }) => `- ${who}, ${how}, ${moment}: ${why}`),
    Object.entries(machine).map(([name, value]) => `${name} ${value}`).join(", "),
  ].join("\n");
}

function figures(values: readonly number[]): string {
  return [0.5, 0.99, 1].map((share) => fixed(percentile(values, share), 0)).join(" / ");
}

if (import.meta.main) await main();
