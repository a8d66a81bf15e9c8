import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { describeDifference, replay } from "./replay/replay.ts";

const HERE = dirname(fileURLToPath(import.meta.url));
const OWN = join(HERE, "transcripts");
const VECTORS = Deno.env.get("ODIST_TEST_VECTORS") ?? join(HERE, "../../../shared/vectors");
const RECORDED = join(VECTORS, "etcd-raft");

function filesIn(folder: string): string[] {
  try {
    return [...Deno.readDirSync(folder)].flatMap((entry) =>
      entry.isDirectory
        ? filesIn(join(folder, entry.name))
        : entry.name.endsWith(".txt")
        ? [join(folder, entry.name)]
        : []
    ).sort();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}

function register(folder: string, name: string): void {
  for (const file of filesIn(folder)) {
    Deno.test(`Raft replays ${name} ${file.slice(folder.length + 1)}`, () => {
      const { directiveCount, differences } = replay(Deno.readTextFileSync(file));
      assert.ok(directiveCount > 0, "the file holds no directive");
      assert.equal(differences.map(describeDifference).join("\n"), "");
    });
  }
}

register(OWN, "its own");
register(RECORDED, "recorded");

Deno.test({
  name: `Raft replays recorded cases${filesIn(RECORDED).length > 0 ? "" : `: none in ${RECORDED}`}`,
  ignore: filesIn(RECORDED).length === 0,
  fn: () => assert.ok(filesIn(RECORDED).length >= 30),
});
