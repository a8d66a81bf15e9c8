import assert from "node:assert/strict";
import { HandClock } from "../../../tests/harness/hand_clock.ts";
import type { Engine, LoadedModel } from "../../ports/mod.ts";
import { type ExactProof, type LoadSettings, UNPROVEN_REASON } from "../../protocol/mod.ts";
import { IdleProver, ProofBook, provenEngine } from "./proofs.ts";

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
      return Promise.resolve({ facts: {}, ...isKnown ? {} : { proof: PROOF } } as LoadedModel);
    },
  };
  return { engine, asked };
}
const options = { signal: new AbortController().signal };

Deno.test("provenEngine() proves a model once, in each folder and after each start", async () => {
  const { engine, asked } = provingEngine();
  const file = memoryFile();
  const book = await ProofBook.open(file);
  await provenEngine(engine, { book }).load(settings("/a/sha256-1"), options);
  await provenEngine(engine, { book }).load(settings("/b/sha256-1"), options);
  await provenEngine(engine, { book }).load(settings("/a/sha256-2"), options);
  await book.saved();
  const again = await ProofBook.open(file);
  await provenEngine(engine, { book: again }).load(settings("/c/sha256-1"), options);
  assert.deepEqual(asked.map(({ proofs }) => proofs), [[], [PROOF], [], [PROOF]]);
});

Deno.test("ProofBook forgets with the process what there was no time to prove", async () => {
  const file = memoryFile();
  const book = await ProofBook.open(file);
  const { policy: _, ...rest } = PROOF;
  book.add(settings("m"), { ...rest, isFinished: false, reason: "too long" });
  assert.equal(book.find("m").length, 1);
  await book.saved();
  assert.deepEqual((await ProofBook.open(file)).find("m"), []);
});

Deno.test("ProofBook starts anew over a file that is none", async () => {
  for (const text of ["", "{", "[]", '{"version":0,"models":[]}', '{"version":1,"models":[1]}']) {
    const bytes = new TextEncoder().encode(text);
    const book = await ProofBook.open({ read: async () => bytes, write: async () => {} });
    assert.deepEqual(book.find("m"), [], text);
  }
});

const GIB = 2 ** 30;
const IDLE = { isIdle: true, availableBytes: () => 8 * GIB };
const BUSY = { ...IDLE, isIdle: false };

/** A prover over an engine that proves a model when told to, and a model that waits for its proof. */
function provingLater() {
  const clock = new HandClock();
  const book = new ProofBook();
  const asked: LoadSettings[] = [];
  const proofs: { finish(): void; readonly signal: AbortSignal }[] = [];
  let unloaded = 0;
  const engine: Engine = {
    load(settings, { signal }) {
      asked.push(settings);
      const unload = () => Promise.resolve(void unloaded++);
      const exactness = { reason: UNPROVEN_REASON };
      const facts = { memoryBytes: GIB, ...settings.provesLater && { exactness } };
      // Doubles: nothing else of them is called.
      if (settings.provesLater) return Promise.resolve({ facts } as LoadedModel);
      const { promise, resolve, reject } = Promise.withResolvers<LoadedModel>();
      signal.addEventListener("abort", () => reject(signal.reason));
      const proven = { facts, proof: PROOF, unload } as LoadedModel;
      proofs.push({ finish: () => resolve(proven), signal });
      return promise;
    },
  };
  const log = { log() {} };
  const prover = new IdleProver({ engine, book, clock, log, reserveBytes: GIB });
  const load = () => provenEngine(engine, { book, prover }).load(settings("m"), options);
  return { clock, book, asked, proofs, prover, load, unloaded: () => unloaded };
}
const REST_MS = 30_000;

Deno.test("IdleProver proves what was loaded without a proof once nobody is answered for a while", async () => {
  const { clock, book, asked, proofs, prover, load, unloaded } = provingLater();
  prover.look(BUSY);
  await load();
  await clock.advance(REST_MS);
  assert.equal(proofs.length, 0);
  prover.look(IDLE);
  await clock.advance(REST_MS - 1);
  assert.equal(proofs.length, 0);
  await clock.advance(1);
  proofs[0]?.finish();
  await settled();
  await prover.close();
  assert.deepEqual(book.find("m"), [PROOF]);
  assert.deepEqual(asked.map(({ provesLater, slots }) => [provesLater, slots]), [
    [true, undefined],
    [undefined, 1],
  ]);
  assert.equal(unloaded(), 1);
});

Deno.test("IdleProver gives a proof up for an answer, and begins anew when that has ended", async () => {
  const { clock, book, proofs, prover, load } = provingLater();
  prover.look(BUSY);
  await load();
  prover.look(IDLE);
  await clock.advance(REST_MS);
  prover.look(BUSY);
  assert.equal(proofs[0]?.signal.aborted, true);
  await settled();
  prover.look(IDLE);
  await clock.advance(REST_MS);
  assert.equal(proofs.length, 2);
  proofs[1]?.finish();
  await settled();
  assert.deepEqual(book.find("m"), [PROOF]);
});

Deno.test("IdleProver leaves alone what there is no room for, and what it was told before it was closed", async () => {
  const { clock, proofs, prover, load } = provingLater();
  prover.look(BUSY);
  await load();
  prover.look({ ...IDLE, availableBytes: () => 3 * GIB - 1 });
  await clock.advance(REST_MS);
  assert.equal(proofs.length, 0);
  prover.look(BUSY);
  await load();
  prover.look(IDLE);
  await prover.close();
  await clock.advance(REST_MS);
  assert.equal(proofs.length, 0);
});

/** Whatever was begun has gone as far as it goes by itself. */
async function settled(): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve));
}

Deno.test("provenEngine() asks other machines only for what may be exact and isn't known here", async () => {
  const { engine, asked } = provingEngine();
  const questions: string[] = [];
  const exchange = {
    ask: (files: string) => Promise.resolve([PROOF].slice(0, questions.push(files))),
  };
  const book = new ProofBook();
  const proven = provenEngine(engine, { book, exchange });
  await proven.load({ ...settings("a/m"), exact: "on", mode: "generate" }, options);
  assert.deepEqual(asked[0]?.proofs, [PROOF]);
  await proven.load({ ...settings("m"), exact: "off" }, options);
  await proven.load({ ...settings("m"), exact: "auto", mode: "generate" }, options);
  assert.deepEqual(questions, ["m"]);
});
