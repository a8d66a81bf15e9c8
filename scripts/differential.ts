/**
 * Random scripts through this Raft core and through etcd's, as the distribution's package has it, compared after each
 * round once everything has settled.
 *
 * Usage: `deno task test:differential [--scripts N] [--from SEED] [--print]`. Needs `go` and the Debian package
 * `golang-etcd-server-dev`; without them it says so and exits 0. `--print` shows the scripts that differ.
 *
 * @module
 */
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { Random } from "../src/base/mod.ts";
import type { Directive } from "../tests/sim/replay/format.ts";
import {
  compareScript,
  type Oracle,
  printDirective,
  type Verdict,
} from "../tests/sim/differential/compare.ts";
import { randomScript, type ScriptStep } from "../tests/sim/differential/script.ts";

const GO_SOURCES = "/usr/share/gocode";
const HARNESS = `${GO_SOURCES}/src/go.etcd.io/etcd/raft/rafttest`;
const DRIVER = fileURLToPath(new URL("../tests/sim/differential/driver.go", import.meta.url));

/** Builds the other core's driver; undefined, with the reason printed, where that can't be done. */
async function buildDriver(folder: string): Promise<string | undefined> {
  try {
    await Deno.stat(HARNESS);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    console.log(`Skipped: ${HARNESS} is missing (Debian package golang-etcd-server-dev)`);
    return undefined;
  }
  const binary = join(folder, "driver");
  try {
    const { success, stderr } = await new Deno.Command("go", {
      args: ["build", "-o", binary, DRIVER],
      env: { GO111MODULE: "off", GOPATH: GO_SOURCES, GOFLAGS: "", GOCACHE: join(folder, "cache") },
    }).output();
    if (success) return binary;
    throw new Error(`Cannot build the driver: ${new TextDecoder().decode(stderr)}`);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    console.log("Skipped: there is no `go` on the PATH");
    return undefined;
  }
}

class GoOracle implements Oracle, AsyncDisposable {
  readonly #process: Deno.ChildProcess;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array<ArrayBuffer>>;
  readonly #reader: ReadableStreamDefaultReader<string>;
  #buffered = "";

  constructor(binary: string) {
    this.#process = new Deno.Command(binary, { stdin: "piped", stdout: "piped" }).spawn();
    this.#writer = this.#process.stdin.getWriter();
    this.#reader = this.#process.stdout.pipeThrough(new TextDecoderStream()).getReader();
  }

  async reset(): Promise<void> {
    await this.#ask({ Command: "reset" });
  }

  async run({ command, args, input }: Directive): Promise<string> {
    const Args = args.map(({ key, values }) => ({ Key: key, Values: values }));
    return await this.#ask({ Command: command, Args, Input: input });
  }

  async #ask(question: Record<string, unknown>): Promise<string> {
    await this.#writer.write(new TextEncoder().encode(`${JSON.stringify(question)}\n`));
    for (;;) {
      const end = this.#buffered.indexOf("\n");
      if (end >= 0) {
        const line = this.#buffered.slice(0, end);
        this.#buffered = this.#buffered.slice(end + 1);
        return String(JSON.parse(line));
      }
      const { value, done } = await this.#reader.read();
      if (done) throw new Error("The driver ended");
      this.#buffered += value;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#writer.close();
    await this.#process.status;
  }
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    args: Deno.args.filter((argument) => argument !== "--"),
    options: {
      scripts: { type: "string", default: "2000" },
      from: { type: "string", default: "1" },
      print: { type: "boolean", default: false },
    },
  });
  const folder = await Deno.makeTempDir({ prefix: "odist_differential_" });
  try {
    const binary = await buildDriver(folder);
    if (binary === undefined) return 0;
    await using oracle = new GoOracle(binary);
    const from = Number(values.from);
    return await compareAll(oracle, { from, count: Number(values.scripts), print: values.print });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function compareAll(
  oracle: Oracle,
  range: { readonly from: number; readonly count: number; readonly print: boolean },
): Promise<number> {
  const counts = { same: 0, throughout: 0, givenUp: 0, different: 0, steps: 0 };
  for (let seed = range.from; seed < range.from + range.count; seed++) {
    const script = randomScript(new Random(seed));
    const verdict = await compareScript(script, oracle, seed);
    if (verdict.kind === "same") {
      counts.same++;
      counts.steps += verdict.steps;
      if (verdict.isSameThroughout) counts.throughout++;
    } else if (verdict.kind === "given_up") {
      counts.givenUp++;
      if (range.print) console.log(`seed ${seed}: ${verdict.reason.split("\n")[0]}`);
    } else {
      counts.different++;
      console.log(`DIFFERENT seed ${seed}, step ${verdict.step} (first at ${verdict.firstStep})`);
      if (range.print) printDifference(script, verdict);
    }
  }
  console.log(
    `${range.count} scripts from seed ${range.from}: ${counts.same} settle alike ` +
      `(${counts.throughout} of them message by message, ${counts.steps} directives), ` +
      `${counts.givenUp} ended early, ` +
      `${counts.different} different`,
  );
  return counts.different === 0 ? 0 : 1;
}

function printDifference(
  script: readonly ScriptStep[],
  { step, wanted, got }: Extract<Verdict, { kind: "different" }>,
): void {
  for (const { directive } of script.slice(0, step + 1)) console.log(printDirective(directive));
  console.log(`wanted:\n${wanted}\ngot:\n${got}`);
}

if (import.meta.main) Deno.exit(await main());
