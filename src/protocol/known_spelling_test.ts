import assert from "node:assert/strict";
import { nameOf } from "../../tests/harness/model_storage_contract.ts";
import { displayModelName } from "./model_name.ts";
import { knownSpelling } from "./known_spelling.ts";

const KNOWN = ["Host.example/NS/Model:Tag", "host2.example/ns/model:tag", "a/b:c", "A/d:e"];

Deno.test("knownSpelling() spells each part as it is known below the parts before it", () => {
  const cases = [
    ["host.EXAMPLE/ns/c", "Host.example/NS/c:latest"],
    ["host.example/ns/MODEL:x", "Host.example/NS/Model:x"],
    ["HOST2.example/NS/MODEL:TAG", "host2.example/ns/model:tag"],
    ["new.example/ns/model", "new.example/ns/model:latest"],
    ["A/b:C", "A/b:c"],
    ["a/D", "a/d:latest"],
    ["B/b", "B/b:latest"],
  ];
  for (const [text = "", spelled] of cases) {
    const name = knownSpelling(nameOf(text), KNOWN.map(nameOf));
    assert.equal(displayModelName(name), spelled, text);
  }
});
