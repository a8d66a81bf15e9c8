import assert from "node:assert/strict";
import { clusterTest, IS_LONG, type TestCluster } from "../harness/cluster.ts";
import { parseLines } from "../harness/json_lines.ts";
import { lackingOwnNatives } from "../harness/own_natives.ts";
import { runnersOf } from "../harness/runners.ts";

const lacking = lackingOwnNatives();
if (lacking !== undefined) console.log(`deaths under split models are not tested: ${lacking}`);
const TIMES = IS_LONG ? 20 : 2;
/** Of those that take longer. */
const LOAD_TIMES = IS_LONG ? 20 : 1;
const CUT_TIMES = IS_LONG ? 20 : 1;
/** `tiny` takes 96 MiB whole, and 90 without layers. */
const ENVIRONMENT = { ODIST_MEMORY_LIMIT: "94MiB", ODIST_THREADS: "1" };
const WHEN = ["first", "middle", "last"] as const;
const TOKENS = 90;
const PROMPT = "Tell me a story about a fox.";

/** Figures of all turns, in milliseconds. */
function tell(what: string, values: readonly number[]): void {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (share: number) => sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)];
  console.log(`${what}: ${values.length} times, p50 ${at(0.5)} ms, p99 ${at(0.99)} ms`);
  console.log(`  ${values.join(", ")}`);
}

interface Told {
  readonly text: string;
  readonly last: Readonly<Record<string, unknown>>;
  /** The longest pause between two lines; milliseconds. */
  readonly pauseMs: number;
}

/** One streamed answer of n1; `onToken` is called with each line's number. */
async function read(
  cluster: TestCluster,
  onLine: (line: number) => Promise<void> = async () => {},
): Promise<Told> {
  const body = JSON.stringify({
    model: "tiny",
    prompt: PROMPT,
    options: { temperature: 0, num_predict: TOKENS },
  });
  const response = await cluster.client("n1").fetch("/api/generate", { method: "POST", body });
  assert.equal(response.status, 200);
  let [text, rest, count, pauseMs] = ["", "", 0, 0];
  let last: Record<string, unknown> = {};
  let seenMs = performance.now();
  const parts = (response.body ?? new ReadableStream()).pipeThrough(new TextDecoderStream());
  for await (const part of parts) {
    pauseMs = Math.max(pauseMs, performance.now() - seenMs);
    const cut = (rest + part).lastIndexOf("\n") + 1;
    const lines = parseLines((rest + part).slice(0, cut));
    rest = (rest + part).slice(cut);
    for (const line of lines) {
      text += String(line["response"] ?? "");
      last = line;
      await onLine(++count);
    }
    seenMs = performance.now();
  }
  return { text, last, pauseMs };
}

/** Every token that was drawn is in the text, once and in order. */
async function whole(cluster: TestCluster, { text, last }: Told): Promise<void> {
  assert.equal(last["done"], true, JSON.stringify(last));
  assert.equal(last["eval_count"], TOKENS);
  const tokens = (last["context"] as number[]).slice(-TOKENS);
  // The runner may have died after its last token: whoever asks for anything else asks again.
  const drawn = await cluster.until("tokens become text", async () => {
    const body = { model: "tiny", tokens };
    const answer = await cluster.client("n1").request("POST", "/api/detokenize", { body });
    return answer.status === 200 && answer.body;
  });
  assert.equal(text, drawn["content"]);
}

/** The node that leads, and the one with the worker. */
async function roles(cluster: TestCluster): Promise<{ leader: string; worker: string }> {
  for (const leader of cluster.running) {
    const { models = [] } = await cluster.client(leader).ask("GET", "/api/ps");
    const rows = models as { node: string; shards?: { node: string }[] }[];
    const model = rows.find(({ node, shards }) => node === leader && shards !== undefined);
    const worker = model?.shards?.find(({ node }) => node !== leader)?.node;
    if (worker !== undefined) return { leader, worker };
  }
  throw new Error("no node leads a split model");
}

/** When the answer's node noticed that it has lost its runner, after `sinceMs`; milliseconds. undefined = it was over by then. */
function noticedAfterMs(cluster: TestCluster, sinceMs: number): number | undefined {
  const losses = cluster.client("n1").printed.matchAll(/^(\S+) WARN +answer_lost_its_runner/gm);
  const times = [...losses].map(([, time = ""]) => Date.parse(time) - sinceMs);
  return times.find((ms) => ms >= 0);
}

async function signalRunner(cluster: TestCluster, node: string, signal: Deno.Signal) {
  const pids = await runnersOf(cluster.client(node).pid);
  assert.equal(pids.length, 1, `${node} has one runner: ${pids}`);
  for (const pid of pids) Deno.kill(pid, signal);
}

for (const who of ["worker", "leader"] as const) {
  for (const signal of ["SIGKILL", "SIGSTOP"] as const) {
    clusterTest(
      `An answer of a split model outlives the ${signal} of its ${who}, whenever it comes`,
      { nodes: 2, environment: ENVIRONMENT, ignore: lacking !== undefined },
      async (cluster) => {
        await whole(cluster, await read(cluster));
        const lines = { first: 1, middle: TOKENS >> 1, last: TOKENS - 4 };
        const [pauses, noticed]: [number[], number[]] = [[], []];
        for (let turn = 0; turn < TIMES * WHEN.length; turn++) {
          const at = lines[WHEN[turn % WHEN.length] ?? "first"];
          let [struck, struckMs] = [0, 0];
          const told = await read(cluster, async (line) => {
            if (line !== at) return;
            const { [who]: node } = await roles(cluster);
            await signalRunner(cluster, node, signal);
            struckMs = Date.now();
            struck++;
          });
          assert.equal(struck, 1);
          await whole(cluster, told);
          pauses.push(Math.round(told.pauseMs));
          noticed.push(noticedAfterMs(cluster, struckMs) ?? 0);
        }
        tell(`${who} ${signal}: noticed after`, noticed);
        tell(`${who} ${signal}: pauses of`, pauses);
        // Under other load the figures are told alone.
        if (IS_LONG) assert.ok(Math.max(...noticed) < (signal === "SIGKILL" ? 150 : 1_000));
      },
    );
  }
}

for (const signal of ["SIGKILL", "SIGSTOP"] as const) {
  clusterTest(
    `A split model is loaded by another plan, by the same node, when a worker gets a ${signal} while it loads`,
    { nodes: 2, environment: ENVIRONMENT, ignore: lacking !== undefined },
    async (cluster) => {
      const pauses: number[] = [];
      for (let turn = 0; turn < LOAD_TIMES; turn++) {
        const seen = cluster.client("n2").printed.length;
        const askedMs = performance.now();
        const asked = read(cluster);
        const pid = await cluster.until("a worker is lent", async () => {
          const since = cluster.client("n2").printed.slice(seen);
          const lent = / worker_lent .*processId=(\d+)/.exec(since)?.[1];
          return lent === undefined ? undefined : Number(lent);
        });
        Deno.kill(pid, signal);
        await whole(cluster, await asked);
        pauses.push(Math.round(performance.now() - askedMs));
        await unloaded(cluster);
      }
      tell(`worker ${signal} at load: answers after`, pauses);
      assert.match(cluster.client("n1").printed, /worker_lost/);
      assert.doesNotMatch(cluster.client("n1").printed, /model_load_failed/);
    },
  );
}

/** A runner's process, from its first moment on. */
async function startedRunner(cluster: TestCluster, node: string): Promise<number> {
  return await cluster.until("a runner is started", async () => {
    return (await runnersOf(cluster.client(node).pid))[0];
  });
}

for (const [who, node] of [["worker", "n2"], ["leader", "n1"]] as const) {
  for (const signal of ["SIGKILL", "SIGSTOP"] as const) {
    clusterTest(
      `A split model is loaded all the same when its ${who}'s process gets a ${signal} as it starts`,
      { nodes: 2, environment: ENVIRONMENT, ignore: lacking !== undefined },
      async (cluster) => {
        const pauses: number[] = [];
        for (let turn = 0; turn < LOAD_TIMES; turn++) {
          const { length } = cluster.client(node).printed;
          const askedMs = performance.now();
          const asked = read(cluster);
          Deno.kill(await startedRunner(cluster, node), signal);
          const spoken = cluster.client(node).printed.slice(length);
          assert.doesNotMatch(spoken, /worker_lent|runner_loaded/, "it had started already");
          await whole(cluster, await asked);
          pauses.push(Math.round(performance.now() - askedMs));
          await unloaded(cluster);
        }
        tell(`${who} ${signal} at start: answers after`, pauses);
        assert.doesNotMatch(cluster.client("n1").printed, /model_load_failed/);
      },
    );
  }
}

/** So that the next one that asks has it loaded. */
async function unloaded(cluster: TestCluster): Promise<void> {
  for (const name of cluster.running) {
    await cluster.client(name).ask("POST", "/api/generate", {
      model: "tiny",
      keep_alive: 0,
      stream: false,
    });
  }
  await cluster.until("no runner is left", async () => {
    const pids = await Promise.all(
      cluster.running.map((name) => runnersOf(cluster.client(name).pid)),
    );
    return pids.flat().length === 0;
  });
}

for (const who of ["worker", "leader"] as const) {
  clusterTest(
    `An answer of a split model goes on elsewhere when its ${who}'s machine is cut off, whenever it is`,
    { nodes: 4, environment: ENVIRONMENT, ignore: lacking !== undefined },
    async (cluster) => {
      // n1 talks with the client, and computes nothing.
      await cluster.client("n1").ask("POST", "/api/cluster/members/n1/drain");
      await whole(cluster, await read(cluster));
      const lines = { first: 1, middle: TOKENS >> 1, last: TOKENS - 4 };
      const [pauses, noticed]: [number[], number[]] = [[], []];
      for (let turn = 0; turn < CUT_TIMES * WHEN.length; turn++) {
        const at = lines[WHEN[turn % WHEN.length] ?? "first"];
        let [cut, cutMs] = ["", 0];
        const told = await read(cluster, async (line) => {
          if (line !== at) return;
          cut = (await roles(cluster))[who];
          cluster.isolate(cut);
          cutMs = Date.now();
        });
        assert.notEqual(cut, "");
        await whole(cluster, told);
        noticed.push(noticedAfterMs(cluster, cutMs) ?? 0);
        pauses.push(Math.round(told.pauseMs));
        cluster.heal();
        await cluster.healthy(4);
      }
      tell(`${who} cut: noticed after`, noticed);
      tell(`${who} cut: pauses of`, pauses);
      if (IS_LONG) assert.ok(Math.max(...noticed) < 1_000);
    },
  );
}

/** Who lends a worker to whom, as soon as somebody does; `seen` is what each had printed before. */
async function lending(cluster: TestCluster, seen: ReadonlyMap<string, number>) {
  const { members } = await cluster.status("n1");
  return await cluster.until("a worker is lent", async () => {
    for (const worker of cluster.running) {
      const since = cluster.client(worker).printed.slice(seen.get(worker) ?? 0);
      const peer = / worker_lent .*peer=(\S+)/.exec(since)?.[1];
      const leader = members.find(({ node_id }) => node_id === peer)?.name;
      if (leader !== undefined) return await Promise.resolve({ worker, leader });
    }
    return undefined;
  });
}

for (const who of ["worker", "leader"] as const) {
  clusterTest(
    `A split model is loaded elsewhere when its ${who}'s machine is cut off while it loads`,
    { nodes: 4, environment: ENVIRONMENT, ignore: lacking !== undefined },
    async (cluster) => {
      await cluster.client("n1").ask("POST", "/api/cluster/members/n1/drain");
      const pauses: number[] = [];
      for (let turn = 0; turn < CUT_TIMES; turn++) {
        const seen = new Map(
          cluster.running.map((name) => [name, cluster.client(name).printed.length] as const),
        );
        const askedMs = performance.now();
        const asked = read(cluster);
        const { [who]: cut } = await lending(cluster, seen);
        cluster.isolate(cut);
        await whole(cluster, await asked);
        pauses.push(Math.round(performance.now() - askedMs));
        cluster.heal();
        await cluster.healthy(4);
        await unloaded(cluster);
      }
      tell(`${who} cut at load: answers after`, pauses);
    },
  );
}
