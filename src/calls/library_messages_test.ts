import assert from "node:assert/strict";
import { digestOf } from "../../tests/harness/memory_models.ts";
import { PeerError, Random } from "../base/mod.ts";
import type { ShownModel } from "../ports/mod.ts";
import { readShape, type Shape } from "../protocol/mod.ts";
import { decodeValue, encodeValue } from "../transport/mod.ts";
import { BLOB_PURPOSE, blobAnswerShape, blobOpeningShape } from "./blob_messages.ts";
import {
  SHOW_PURPOSE,
  showAnswerShape,
  shownModelShape,
  showOpeningShape,
} from "./show_messages.ts";

const INPUTS = 20_000;
const DIGEST = digestOf(new Uint8Array(3));

const SHOWN: ShownModel = {
  license: "free",
  details: {
    parentModel: "",
    format: "gguf",
    family: "llama",
    families: ["llama"],
    parameterSize: "8B",
    quantizationLevel: "Q4_0",
    contextLength: 8192,
  },
  messages: [{ role: "user", content: "hi" }],
  modelInfo: { "general.architecture": "llama", "llama.block_count": 2, tokens: null },
  tensors: [{ name: "t", type: "F32", shape: [2, 3] }],
  capabilities: ["completion"],
  modifiedAtMs: 1.5,
};

const MESSAGES: readonly (readonly [string, Shape<unknown>, object])[] = [
  ["a request for a blob", blobOpeningShape, {
    purpose: BLOB_PURPOSE,
    digest: DIGEST,
    offset: 7,
    length: 2 ** 40,
  }],
  ["an answer with a blob", blobAnswerShape, { kind: "granted", blobBytes: 2 ** 33 }],
  ["a refusal", blobAnswerShape, {
    kind: "refused",
    error: { code: "blob_not_found", message: "no", status: 404 },
  }],
  ["a question about a model", showOpeningShape, {
    purpose: SHOW_PURPOSE,
    model: "h/n/m:t",
    manifestDigest: DIGEST.slice(7),
    verbose: true,
    system: undefined,
    options: { numCtx: 7, stop: ["x"] },
  }],
  ["an answer about a model", showAnswerShape, { kind: "shown", json: "{}" }],
  ["what a model shows", shownModelShape, SHOWN],
];

Deno.test("What nodes say of models and blobs comes back as it was", () => {
  for (const [name, shape, message] of MESSAGES) {
    const read = readShape(shape, decodeValue(encodeValue(message)));
    assert.equal(read.kind, "decoded", name);
  }
  const shown = readShape(shownModelShape, JSON.parse(JSON.stringify(SHOWN)));
  assert.deepEqual(shown, { kind: "decoded", value: SHOWN });
});

Deno.test("Damaged messages about models and blobs are refused or read, and nothing else happens", () => {
  const random = new Random(11);
  const encoded = MESSAGES.map(([, shape, message]) => ({ shape, bytes: encodeValue(message) }));
  let refused = 0;
  for (let input = 0; input < INPUTS; input++) {
    const picked = encoded[random.below(encoded.length)];
    assert.ok(picked);
    const bytes = picked.bytes.slice(0, random.below(4) === 0 ? random.below(99) : undefined);
    for (let flips = random.below(4); flips >= 0 && bytes.length > 0; flips--) {
      bytes[random.below(bytes.length)] = random.below(256);
    }
    try {
      if (readShape(picked.shape, decodeValue(bytes)).kind === "malformed") refused++;
    } catch (error) {
      assert.ok(error instanceof PeerError, String(error));
      refused++;
    }
  }
  assert.ok(refused > INPUTS / 2, `${refused} of ${INPUTS}`);
});
