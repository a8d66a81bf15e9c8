import assert from "node:assert/strict";
import { join } from "node:path";
import { KnownMembersFile } from "./known_members.ts";

async function withFolder(run: (folder: string) => void): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    run(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("KnownMembersFile keeps each cluster's members over runs, for this user alone", () =>
  withFolder((folder) => {
    const data = join(folder, "data");
    const file = new KnownMembersFile(data);
    assert.deepEqual(file.find("c1"), []);
    file.keep("c1", ["a", "b"]);
    file.keep("c2", ["c"]);
    file.keep("c1", ["b"]);
    const again = new KnownMembersFile(data);
    assert.deepEqual([again.find("c1"), again.find("c2")], [["b"], ["c"]]);
    const { mode } = Deno.statSync(again.path);
    if (Deno.build.os !== "windows") assert.equal((mode ?? 0) & 0o777, 0o600);
    assert.deepEqual([...Deno.readDirSync(data)].map(({ name }) => name), ["known_members.json"]);
  }));

Deno.test("KnownMembersFile forgets the clusters asked longest ago, and what is damaged", () =>
  withFolder((folder) => {
    const file = new KnownMembersFile(folder);
    for (let at = 0; at < 65; at++) file.keep(`c${at}`, [`${at}`]);
    assert.deepEqual([file.find("c0"), file.find("c1"), file.find("c64")], [[], ["1"], ["64"]]);
    for (const text of ["{", "[]", `{"c1": 5}`, `{"c1": [5]}`, "null"]) {
      Deno.writeTextFileSync(file.path, text);
      assert.deepEqual(file.find("c1"), [], text);
    }
  }));
