import assert from "node:assert/strict";
import { parseChallenge } from "./challenge.ts";

Deno.test("parseChallenge() reads realm, service and scopes, quoted or not", () => {
  const header = 'Bearer realm="https://a.example/token?x=1,2",service=s, Scope="a:pull  b"';
  assert.deepEqual(parseChallenge(header), {
    realm: "https://a.example/token?x=1,2",
    service: "s",
    scopes: ["a:pull", "b"],
  });
  assert.deepEqual(parseChallenge("bearer x"), { realm: "", service: "", scopes: [] });
});

Deno.test("parseChallenge() takes no other scheme and nothing endless", () => {
  const endless = `Bearer realm="${"a".repeat(8_192)}"`;
  for (const header of [null, "", "Basic realm=x", "Bearer", endless]) {
    assert.equal(parseChallenge(header), undefined);
  }
});

Deno.test("parseChallenge() takes time that grows as the header does", () => {
  const shapes = ['"', "=", "a", 'a="', 'a="b"', "a=,", " ", ",", '="'];
  const startedMs = performance.now();
  for (const shape of shapes) {
    const header = `Bearer ${shape.repeat(8_000 / shape.length)}`;
    for (let round = 0; round < 10; round++) parseChallenge(header);
  }
  // 90 headers of 8,000 characters; in quadratic time one takes 100 ms.
  assert.ok(performance.now() - startedMs < 1_000);
});
