import assert from "node:assert/strict";
import {
  displayModelName,
  formatModelName,
  isSameModelName,
  type ModelName,
  parseKeptName,
  parseModelName,
} from "./mod.ts";

function parse(text: string): ModelName {
  const name = parseModelName(text);
  assert.ok(name, `${text} is valid`);
  return name;
}

Deno.test("parseModelName() fills in host, namespace and tag", () => {
  assert.equal(formatModelName(parse("m")), "registry.ollama.ai/library/m:latest");
  assert.equal(formatModelName(parse("ns/m")), "registry.ollama.ai/ns/m:latest");
  assert.equal(formatModelName(parse("m:q4_K_M")), "registry.ollama.ai/library/m:q4_K_M");
  assert.equal(formatModelName(parse("localhost:5000/ns/m:t")), "localhost:5000/ns/m:t");
  assert.equal(formatModelName(parse("_a/_b/_c:_d")), "_a/_b/_c:_d");
});

Deno.test("parseModelName() drops the scheme", () => {
  assert.equal(formatModelName(parse("http://h.example:80/ns/m")), "h.example:80/ns/m:latest");
});

Deno.test("parseModelName() refuses what breaks the grammar", () => {
  const bad = ["", "m:", ":t", "/m", "ns/", "-m", "a b", "h/n/m@sha256:abc", "a/b/c/d:t", "n.s/m"];
  bad.push(".m", "m:-t", "../../etc/passwd:x", "h/../m", "m\u0000", "é", `${"m".repeat(81)}`);
  bad.push(`${"h".repeat(351)}/n/m`, "h//m", "x".repeat(100_000));
  for (const text of bad) assert.equal(parseModelName(text), undefined, text);
});

Deno.test("parseModelName() takes parts at their longest", () => {
  assert.ok(parseModelName(`${"h".repeat(350)}/${"n".repeat(80)}/${"m".repeat(80)}:t`));
});

Deno.test("displayModelName() leaves out defaults but never the tag", () => {
  assert.equal(displayModelName(parse("m")), "m:latest");
  assert.equal(displayModelName(parse("ns/m:t")), "ns/m:t");
  assert.equal(displayModelName(parse("h/library/m")), "h/library/m:latest");
});

Deno.test("isSameModelName() ignores case", () => {
  assert.ok(isSameModelName(parse("Llama3:8B"), parse("llama3:8b")));
  assert.ok(!isSameModelName(parse("llama3"), parse("llama3:8b")));
});

Deno.test("parseKeptName() takes a node behind the name, and only there", () => {
  const kept = parseKeptName("ns/m:t@attic.lan");
  assert.deepEqual([kept?.model, kept?.tag, kept?.node], ["m", "t", "attic.lan"]);
  assert.equal(kept && displayModelName(kept), "ns/m:t@attic.lan");
  assert.deepEqual(parseKeptName("m"), parse("m"));
  for (const text of ["m@", "@attic", "m@a:t", "m@a b", "m@a@b", `m@${"a".repeat(65)}`]) {
    assert.equal(parseKeptName(text), undefined, text);
  }
  assert.equal(parseModelName("m@attic"), undefined);
});
