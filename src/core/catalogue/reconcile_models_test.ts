import assert from "node:assert/strict";
import { parseModelName } from "../../protocol/mod.ts";
import { judgeOwnModel, type LocalModelOrder, type NamedManifest, reconcileModels } from "./mod.ts";

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
  facts: {
    local?: string;
    catalogue?: string;
    known?: string;
    kept?: string;
    whole?: string;
    isCurrent?: boolean;
  },
): string[] {
  const kept = models(facts.kept ?? "").map((model) => textOf(model));
  const known = models(facts.known ?? "").map((model) => textOf(model));
  const orders = reconcileModels({
    local: models(facts.local ?? ""),
    catalogue: models(facts.catalogue ?? ""),
    isKnown: (model) => known.includes(textOf(model)),
    isKept: (model) => kept.includes(textOf(model)),
    isCurrent: facts.isCurrent ?? true,
    isWholeHere: (digest) => (facts.whole ?? "").split(" ").includes(digest),
  });
  return orders.map(wordsOf);
}

const textOf = ({ name, manifestDigest }: NamedManifest) =>
  `${name.model.toLowerCase()}=${manifestDigest}`;

function wordsOf(order: LocalModelOrder): string {
  const model = `${order.name.model}=${order.manifestDigest}`;
  return order.kind === "remove" ? `remove ${model} ${order.because}` : `${order.kind} ${model}`;
}

Deno.test("reconcileModels() leaves what the catalogue has too, in any spelling", () => {
  assert.deepEqual(reconcile({ local: "m=1", catalogue: "M=1", whole: "1" }), []);
});

Deno.test("reconcileModels() tells the catalogue of a model it never had", () => {
  assert.deepEqual(reconcile({ local: "m=1" }), ["import m=1"]);
});

Deno.test("reconcileModels() removes what was deleted while the node looked away", () => {
  assert.deepEqual(reconcile({ local: "m=1", known: "m=1" }), ["remove m=1 deleted"]);
});

Deno.test("reconcileModels() takes a known name with another manifest for a new model", () => {
  assert.deepEqual(reconcile({ local: "m=2", known: "m=1" }), ["import m=2"]);
});

Deno.test("reconcileModels() replaces what was the cluster's, and nothing else", () => {
  const [local, catalogue] = ["m=1", "m=2"];
  assert.deepEqual(
    reconcile({ local, catalogue, known: "m=1", whole: "2" }),
    ["remove m=1 replaced", "write m=2"],
  );
  assert.deepEqual(reconcile({ local, catalogue, known: "m=1" }), ["remove m=1 replaced"]);
});

Deno.test("reconcileModels() keeps a model of a taken name where it is, once, and for good", () => {
  const [local, catalogue] = ["m=1", "m=2"];
  for (const whole of ["", "2"]) {
    assert.deepEqual(reconcile({ local, catalogue, whole }), ["keep m=1"]);
    assert.deepEqual(reconcile({ local, catalogue, whole, kept: "m=1" }), []);
  }
  // Nor is it offered behind the back of who deleted the cluster's.
  assert.deepEqual(reconcile({ local, kept: "m=1" }), []);
});

Deno.test("reconcileModels() neither offers nor gives up a name without a quorum", () => {
  assert.deepEqual(reconcile({ local: "m=1", isCurrent: false }), []);
  assert.deepEqual(reconcile({ local: "m=1", catalogue: "m=2", whole: "2", isCurrent: false }), []);
  assert.deepEqual(
    reconcile({ catalogue: "m=2", whole: "2", isCurrent: false }),
    ["write m=2"],
    "what a removed one made room for",
  );
});

Deno.test("judgeOwnModel() calls a model by its name until it was offered, then by its node", () => {
  const [local] = models("m=1");
  assert.ok(local);
  const judge = (digest: string | undefined, isKnown: boolean, isKept: boolean) =>
    judgeOwnModel({
      local,
      catalogue: digest === undefined ? undefined : { manifestDigest: digest },
      isKnown,
      isKept,
    });
  assert.equal(judge(undefined, false, false), "named");
  assert.equal(judge("2", false, false), "named");
  assert.equal(judge("2", false, true), "aside");
  assert.equal(judge(undefined, false, true), "aside");
  assert.equal(judge("1", false, false), "no");
  assert.equal(judge("2", true, false), "no", "replaced, and not yet written");
  assert.equal(judge(undefined, true, false), "no", "deleted, and not yet removed");
});

Deno.test("reconcileModels() writes down what this node turns out to hold, and nothing else", () => {
  assert.deepEqual(reconcile({ catalogue: "b=2 a=1", whole: "1" }), ["write a=1"]);
});
