import assert from "node:assert/strict";
import { parseModelName } from "../../protocol/mod.ts";
import { type LocalModelOrder, type NamedManifest, reconcileModels } from "./mod.ts";

/** `"m=1 n=2"`: names and what they point at. */
function models(text: string): NamedManifest[] {
  return text.split(" ").filter((part) => part !== "").map((part) => {
    const [name = "", manifestDigest = ""] = part.split("=");
    const parsed = parseModelName(name);
    if (parsed === undefined) throw new Error(`bad name ${name}`);
    return { name: parsed, manifestDigest };
  });
}

function reconcile(
  facts: { local?: string; catalogue?: string; known?: string; whole?: string },
): string[] {
  const known = models(facts.known ?? "").map((model) => textOf(model));
  const orders = reconcileModels({
    local: models(facts.local ?? ""),
    catalogue: models(facts.catalogue ?? ""),
    isKnown: (model) => known.includes(textOf(model)),
    isWholeHere: (digest) => (facts.whole ?? "").split(" ").includes(digest),
  });
  return orders.map(wordsOf);
}

const textOf = ({ name, manifestDigest }: NamedManifest) =>
  `${name.model.toLowerCase()}=${manifestDigest}`;

function wordsOf(order: LocalModelOrder): string {
  const model = `${order.name.model}=${order.manifestDigest}`;
  return order.kind === "remove"
    ? `remove ${model} ${order.because} ${order.blobs}`
    : `${order.kind} ${model}`;
}

Deno.test("reconcileModels() leaves what the catalogue has too, in any spelling", () => {
  assert.deepEqual(reconcile({ local: "m=1", catalogue: "M=1", whole: "1" }), []);
});

Deno.test("reconcileModels() tells the catalogue of a model it never had", () => {
  assert.deepEqual(reconcile({ local: "m=1" }), ["import m=1"]);
});

Deno.test("reconcileModels() removes what was deleted while the node looked away", () => {
  assert.deepEqual(reconcile({ local: "m=1", known: "m=1" }), ["remove m=1 deleted removed"]);
});

Deno.test("reconcileModels() takes a known name with another manifest for a new model", () => {
  assert.deepEqual(reconcile({ local: "m=2", known: "m=1" }), ["import m=2"]);
});

Deno.test("reconcileModels() lets the catalogue win a name and keeps a stranger's blobs", () => {
  const local = "m=1";
  const catalogue = "m=2";
  assert.deepEqual(reconcile({ local, catalogue }), ["remove m=1 conflict kept"]);
  assert.deepEqual(
    reconcile({ local, catalogue, whole: "2" }),
    ["remove m=1 conflict kept", "write m=2"],
  );
  assert.deepEqual(
    reconcile({ local, catalogue, known: "m=1", whole: "2" }),
    ["remove m=1 replaced removed", "write m=2"],
  );
});

Deno.test("reconcileModels() writes down what this node turns out to hold, and nothing else", () => {
  assert.deepEqual(reconcile({ catalogue: "b=2 a=1", whole: "1" }), ["write a=1"]);
});
