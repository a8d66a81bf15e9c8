// The tests of failover under plants: each must fail where what it claims is not so, or one of its assertions was lowered.
import assert from "node:assert/strict";
import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Edit, patch } from "../../tests/sim/mutants/mutant.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
/** All that the tests need: plants never touch the working tree. */
const SOURCES = ["src", "tests", "deno.json", "deno.lock"];
const TESTS = "tests/integration/requests_cross_nodes_test.ts";

interface Plant {
  /** As the end of "… fail when". */
  readonly name: string;
  /** All of one file. */
  readonly edits: readonly [Edit, ...Edit[]];
  /** Titles of the tests that must fail. */
  readonly fails: readonly string[];
}

const AT_ANY_TOKEN = "An answer loses and repeats no byte whichever token its node dies at";
const SILENT = "A silent node costs an answer some two seconds, and no more than three";
const SUSPECTED = "A node that is gone and suspected costs an answer less than a second";
const DIES = "A node that dies costs an answer less than two seconds, since gossip misses it";
const RUNNER_DIES = "A runner that dies on the only holder is replaced there";
const ONLY_HOLDER_DIES = "When the only holder dies, the answer ends with an error that says so";
const CUT_OFF = "The only holder goes on with the answer after it was cut off for 8 s";
const EMBEDDINGS = "Embeddings cross nodes, and survive the death of the node that computes them";
const SHORTENED =
  "A conversation is shortened with another node's tokens, whose node may die meanwhile";
const UNNOTICED =
  "A dead node that nobody has noticed costs one request about a second, and the next nothing";

function inLimits(find: string, replace: string): Edit {
  return { file: "src/core/answers/limits.ts", find, replace };
}

function inServing(find: string, replace: string): Edit {
  return { file: "src/slots/serving.ts", find, replace };
}

const PLANTS: readonly Plant[] = [
  {
    name: "their fault never strikes",
    edits: [{ file: TESTS, find: "position < token ||", replace: "position < Infinity ||" }],
    fails: [AT_ANY_TOKEN, SILENT, SUSPECTED, DIES, RUNNER_DIES, ONLY_HOLDER_DIES, CUT_OFF],
  },
  {
    name: "a node that crashes goes on",
    edits: [{
      file: "tests/harness/node_world.ts",
      find: "    this.#end(number);\n    this.machine(number).crash(this.#random, options);\n",
      replace: "    void [number, options];\n",
    }],
    fails: [AT_ANY_TOKEN, SUSPECTED, DIES, ONLY_HOLDER_DIES, EMBEDDINGS, SHORTENED],
  },
  {
    name: "an answer begins anew on another node",
    edits: [{
      file: "src/core/answers/answer.ts",
      find: "prompt, emittedTokens } }];",
      replace: "prompt, emittedTokens: [] } }];",
    }],
    fails: [AT_ANY_TOKEN, SILENT, SUSPECTED, DIES, RUNNER_DIES],
  },
  {
    name: "a request is given up with its first runner",
    edits: [inLimits("FRUITLESS_ATTEMPTS_MAX = 3", "FRUITLESS_ATTEMPTS_MAX = 1")],
    fails: [EMBEDDINGS, SHORTENED],
  },
  {
    name: "silence is borne twice as long",
    edits: [inLimits("silenceMs: 2_000 }", "silenceMs: 4_000 }")],
    fails: [SILENT],
  },
  {
    name: "a doubted node is borne as long as any",
    edits: [inLimits("limitMs: 800, leastMs: 250,", "limitMs: 2_000, leastMs: 2_000,")],
    fails: [SUSPECTED],
  },
  {
    name: "what gossip says of a node is not heard",
    edits: [
      inServing("onPeerDoubted: (peer) => remote.onPeerDoubted(peer),", "onPeerDoubted: () => {},"),
      inServing("      remote.onPeerGone(peer);\n", ""),
    ],
    fails: [SUSPECTED, DIES],
  },
  {
    name: "the only holder is given up after 5 s",
    edits: [inLimits("silenceMs: 10_000 }", "silenceMs: 5_000 }")],
    fails: [CUT_OFF],
  },
  {
    name: "a first word is waited for three seconds",
    edits: [inLimits("firstWordMs: 1_000,", "firstWordMs: 3_000,")],
    fails: [UNNOTICED],
  },
];

/** Titles of the tests among `fails` that fail with the plant in. */
async function failing(folder: string, { edits, name, fails }: Plant): Promise<Set<string>> {
  const [{ file }] = edits;
  const path = join(folder, file);
  const original = await readFile(path, "utf8");
  const mutant = { name, origin: "", does: "", kind: "L", edits } as const;
  await writeFile(path, patch(original, file, mutant));
  try {
    const filter = `/^(?:${fails.map((title) => RegExp.escape(title)).join("|")})$/`;
    const { stdout } = await new Deno.Command(Deno.execPath(), {
      args: [
        "test",
        "-A",
        "--unstable-net",
        "--no-check",
        "--reporter=tap",
        "--filter",
        filter,
        TESTS,
      ],
      cwd: folder,
      stderr: "null",
    }).output();
    const lines = new TextDecoder().decode(stdout).matchAll(/^not ok \d+ - (.*)$/gm);
    return new Set([...lines].map(([, title = ""]) => title));
  } finally {
    await writeFile(path, original);
  }
}

Deno.test("the tests of failover fail", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "odist-plants-"));
  try {
    for (const source of SOURCES) {
      await cp(join(ROOT, source), join(folder, source), { recursive: true });
    }
    for (const plant of PLANTS) {
      await t.step(`when ${plant.name}`, async () => {
        const failed = await failing(folder, plant);
        assert.deepEqual(plant.fails.filter((title) => !failed.has(title)), [], "these still pass");
      });
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
