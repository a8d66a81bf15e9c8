import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { HuntLine } from "./hunter.ts";
import { type Mutant, patch } from "./mutant.ts";

const ROOT = fileURLToPath(new URL("../../../", import.meta.url));
/** What the simulator needs to run, and nothing else: mutants never touch the working tree. */
const SOURCES = [
  "src/base",
  "src/protocol",
  "src/ports",
  "src/core/raft",
  "src/core/voting",
  "tests/sim/raft",
  "tests/sim/memory_log.ts",
  "tests/sim/checkers",
  "tests/sim/mutants",
  "deno.json",
];
/** A seed that takes longer hangs: the slowest healthy one takes about a second of a busy machine. */
const SEED_MS_MAX = 60_000;

/** What became of a mutant in one range of seeds. */
export interface Catch {
  readonly from: number;
  /** Seeds run until the first failure, which counts; undefined = survived all of them. */
  readonly seeds: number | undefined;
  readonly violation: string;
}

/** A copy of the sources into which one mutant at a time is put. */
export class Workshop {
  readonly #folder: string;

  private constructor(folder: string) {
    this.#folder = folder;
  }

  static async open(): Promise<Workshop> {
    const folder = await mkdtemp(join(tmpdir(), "odist-mutants-"));
    for (const source of SOURCES) {
      await mkdir(dirname(join(folder, source)), { recursive: true });
      await cp(join(ROOT, source), join(folder, source), { recursive: true });
    }
    return new Workshop(folder);
  }

  async close(): Promise<void> {
    await rm(this.#folder, { recursive: true, force: true });
  }

  /**
   * Puts a mutant in, runs `seedsMax` seeds from each of `starts` on, each until the first failure, and takes it out
   * again. A range that the mutant survives is the last one tried.
   */
  async hunt(
    mutant: Mutant,
    options: { readonly starts: readonly number[]; readonly seedsMax: number },
  ): Promise<readonly Catch[]> {
    const files = [...new Set(mutant.edits.map(({ file }) => file))];
    const originals = new Map<string, string>();
    for (const file of files) originals.set(file, await readFile(join(this.#folder, file), "utf8"));
    try {
      for (const [file, text] of originals) {
        await writeFile(join(this.#folder, file), patch(text, file, mutant));
      }
      return await this.#run(options);
    } finally {
      for (const [file, text] of originals) await writeFile(join(this.#folder, file), text);
    }
  }

  async #run(
    options: { readonly starts: readonly number[]; readonly seedsMax: number },
  ): Promise<readonly Catch[]> {
    const catches: Catch[] = [];
    for (const from of options.starts) {
      const found = await this.#runRange(from, options.seedsMax);
      catches.push(found);
      if (found.seeds === undefined) break;
    }
    return catches;
  }

  async #runRange(from: number, seedsMax: number): Promise<Catch> {
    const hunter = join(this.#folder, "tests/sim/mutants/hunter.ts");
    const flags = ["--no-check", "--no-lock", "--quiet", "--no-prompt"];
    const process = new Deno.Command(Deno.execPath(), {
      args: ["run", ...flags, hunter, String(seedsMax), String(from)],
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    let last: HuntLine = { from, seed: from - 1 };
    const errors = new Response(process.stderr).text();
    const watchdog = new Watchdog(() => process.kill("SIGKILL"));
    for await (const line of linesOf(process.stdout)) {
      watchdog.restart();
      last = JSON.parse(line);
    }
    watchdog.stop();
    const { code } = await process.status;
    const seeds = last.seed - from + 1;
    if (watchdog.fired) return { from, seeds: seeds + 1, violation: "hangs" };
    // A patch that is no program was never tested.
    if (/^(Reference|Syntax)Error/.test(last.violation ?? "")) {
      throw new Error(`The patch is broken: ${last.violation}`);
    }
    if (last.violation !== undefined) return { from, seeds, violation: last.violation };
    // It could not even run: as visible to everyone as a bug can be, but not what the simulator is praised for.
    if (code !== 0) throw new Error(`The hunter broke: ${await errors}`);
    await errors;
    return { from, seeds: undefined, violation: "" };
  }
}

/** Kills a process that says nothing for too long. */
class Watchdog {
  fired = false;
  #timer: ReturnType<typeof setTimeout>;
  readonly #kill: () => void;

  constructor(kill: () => void) {
    this.#kill = kill;
    this.#timer = this.#start();
  }

  restart(): void {
    clearTimeout(this.#timer);
    this.#timer = this.#start();
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  #start(): ReturnType<typeof setTimeout> {
    return setTimeout(() => {
      this.fired = true;
      this.#kill();
    }, SEED_MS_MAX);
  }
}

async function* linesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  let rest = "";
  for await (const text of stream.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    yield* lines;
  }
}
