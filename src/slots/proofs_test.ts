import assert from "node:assert/strict";
import type { Engine, LoadedModel } from "../ports/mod.ts";
import type { ExactProof, LoadSettings } from "../protocol/mod.ts";
import { ProofBook, provenEngine } from "./proofs.ts";

const PROOF: ExactProof = {
  of: "build/cpu",
  policy: "short",
  reason: "",
  isFinished: true,
  anyThreads: true,
  prefillRatio: 0.9,
  decodeRatio: 1,
  proofMs: 1_000,
};
const settings = (modelPath: string) =>
  ({ modelPath, adapterPaths: [] }) as unknown as LoadSettings;

function memoryFile() {
  let kept: Uint8Array | undefined;
  return {
    read: () => Promise.resolve(kept),
    write: (bytes: Uint8Array) => Promise.resolve(void (kept = bytes)),
  };
}

/** An engine that proves what it is not told. */
function provingEngine() {
  const asked: LoadSettings[] = [];
  const engine: Engine = {
    load(settings) {
      asked.push(settings);
      const isKnown = settings.proofs?.some(({ of }) => of === PROOF.of) === true;
      // A double: nothing else of it is called.
      return Promise.resolve((isKnown ? {} : { proof: PROOF }) as LoadedModel);
    },
  };
  return { engine, asked };
}
const options = { signal: new AbortController().signal };

Deno.test("provenEngine() proves a model once, in each folder and after each start", async () => {
  const { engine, asked } = provingEngine();
  const file = memoryFile();
  const book = await ProofBook.open(file);
  await provenEngine(engine, book).load(settings("/a/sha256-1"), options);
  await provenEngine(engine, book).load(settings("/b/sha256-1"), options);
  await provenEngine(engine, book).load(settings("/a/sha256-2"), options);
  await book.saved();
  const again = await ProofBook.open(file);
  await provenEngine(engine, again).load(settings("/c/sha256-1"), options);
  assert.deepEqual(asked.map(({ proofs }) => proofs), [[], [PROOF], [], [PROOF]]);
});

Deno.test("ProofBook forgets with the process what there was no time to prove", async () => {
  const file = memoryFile();
  const book = await ProofBook.open(file);
  const { policy: _, ...rest } = PROOF;
  book.add(settings("m"), { ...rest, isFinished: false, reason: "too long" });
  assert.equal(book.find(settings("m")).length, 1);
  await book.saved();
  assert.deepEqual((await ProofBook.open(file)).find(settings("m")), []);
});

Deno.test("ProofBook starts anew over a file that is none", async () => {
  for (const text of ["", "{", "[]", '{"version":0,"models":[]}', '{"version":1,"models":[1]}']) {
    const bytes = new TextEncoder().encode(text);
    const book = await ProofBook.open({ read: async () => bytes, write: async () => {} });
    assert.deepEqual(book.find(settings("m")), [], text);
  }
});
