import { createHash } from "node:crypto";
import { cpuUsage } from "node:process";
import { assert, Random, UnavailableError } from "../../base/mod.ts";
import {
  type Exactness,
  type ExactProof,
  type LoadSettings,
  UNPROVEN_REASON,
} from "../../protocol/mod.ts";
import {
  DRAFTED_ROWS_MAX,
  exactnessOf,
  findPolicy,
  inexact,
  isWorthAuto,
  type PolicyTraits,
  PROOF_CELLS,
  type ProofRows,
  type ProofStand,
  STAND_BATCH_TOKENS,
} from "../exactness/mod.ts";
import type { Llama } from "../llama/mod.ts";
import { Batch } from "./batch.ts";
import { openContext, type Weights } from "./context.ts";

/** A proof that nobody asked for may not take longer. Milliseconds. */
const PROOF_MS_MAX = 120_000;
/** Of the tokens that a proof computes; the same on every machine. */
const TOKEN_SEED = 15;

/** What is to be proven, and for whom. */
export interface ProofParts {
  readonly llama: Llama;
  readonly settings: LoadSettings;
  readonly weights: Weights;
  /** The window that answers will have. */
  readonly contextTokens: number;
}

/** How a model is to be computed. */
export interface Settled {
  readonly exactness: Exactness;
  /** Present where it was made for this load. */
  readonly proof?: ExactProof;
  readonly numericClass: string;
  /** What batches of several rows of one answer take; nothing where it isn't exact, or they would not be. */
  readonly draftCosts: readonly number[];
}

/**
 * Takes what earlier loads have proven of the model, or proves it.
 *
 * @throws UnavailableError `load_failed` for a model that must be exact and can't be.
 */
export async function settleExactness(
  parts: ProofParts,
  onStep: () => void,
): Promise<Settled> {
  const { settings } = parts;
  const { exact = "off", threads } = settings;
  const reason = reasonAgainst(settings);
  if (exact === "on" && reason !== "") {
    throw new UnavailableError("load_failed", `not exact: ${reason}`);
  }
  if (exact === "off" || reason !== "") {
    const exactness = inexact(reason || "the model is loaded with it off");
    return { exactness, numericClass: classOf(parts, "plain", threads), draftCosts: [] };
  }
  const of = proofKeyOf(parts);
  const known = settings.proofs?.find((proof) =>
    proof.of === of && (proof.isFinished || exact === "auto")
  );
  if (known === undefined && exact === "auto" && settings.provesLater === true) {
    return {
      exactness: inexact(UNPROVEN_REASON),
      numericClass: classOf(parts, "plain", threads),
      draftCosts: [],
    };
  }
  const proof = known ?? {
    of,
    ...await findPolicy({
      open: (traits) => openStand(parts, traits, onStep),
      threads,
      isWorth: exact === "on" ? () => true : isWorthAuto,
      proofMsMax: exact === "on" ? Infinity : PROOF_MS_MAX,
      nowMs: () => performance.now(),
      spentMs: parts.llama.gpus.length > 0 ? () => performance.now() : processorMs,
    }),
  };
  const exactness = exactnessOf(proof, exact, { isNew: known === undefined });
  if (exact === "on" && !exactness.isExact) {
    throw new UnavailableError("load_failed", `not exact: ${exactness.reason}`);
  }
  const isAnyThreads = exactness.isExact && proof.anyThreads;
  return {
    exactness,
    ...(known === undefined ? { proof } : {}),
    numericClass: classOf(parts, exactness.policy, isAnyThreads ? undefined : threads),
    draftCosts: exactness.isExact ? proof.draftCosts ?? [] : [],
  };
}

/** Why it isn't worth a proof; "" = it is. */
function reasonAgainst({ mode, shards }: LoadSettings): string {
  if (mode === "embed") return "it computes no answers";
  // Each shape would travel, and whoever takes a worker's place may compute other figures.
  return shards === undefined ? "" : "several nodes compute it";
}

/** On a busy machine the time on the wall says little about what a kernel takes. */
function processorMs(): number {
  const { user, system } = cpuUsage();
  return (user + system) / 1_000;
}

/** What a proof holds for. */
function proofKeyOf(parts: ProofParts): string {
  const cells = cellsOf(parts);
  return `${classOf(parts, undefined, parts.settings.threads)}/cells=${cells}`;
}

/** `threads` undefined = any number gives the same. */
function classOf(
  { llama, settings, weights }: ProofParts,
  policy: string | undefined,
  threads: number | undefined,
): string {
  const { kvCacheType, flashAttention } = settings;
  return [
    llama.buildText,
    weights.place,
    `kv=${kvCacheType}`,
    `fa=${flashAttention}`,
    ...(settings.shards === undefined ? [] : ["split"]),
    ...(policy === undefined ? [] : [policy]),
    ...(threads === undefined ? [] : [`threads=${threads}`]),
  ].join("/");
}

function cellsOf({ contextTokens }: ProofParts): number {
  return Math.min(PROOF_CELLS, contextTokens);
}

/** Opens a context of two sequences over the weights. @throws UnavailableError `load_failed`. */
async function openStand(
  parts: ProofParts,
  traits: PolicyTraits,
  onStep: () => void,
): Promise<ProofStand> {
  const { llama, settings } = parts;
  const { call } = llama;
  const cells = cellsOf(parts);
  const weights = await parts.weights.laidOut(traits);
  const context = await openContext(llama, weights, {
    settings,
    shape: {
      totalTokens: 2 * cells,
      batchTokens: STAND_BATCH_TOKENS,
      microBatchTokens: STAND_BATCH_TOKENS,
      sequences: 2,
      traits,
      draftedRows: DRAFTED_ROWS_MAX,
    },
  });
  const memory = call.llama_get_memory(context);
  const vocabularyTokens = call.llama_vocab_n_tokens(call.llama_model_get_vocab(weights));
  const texts = proofTexts(vocabularyTokens, cells);
  const batch = new Batch(STAND_BATCH_TOKENS + 2);
  const outputs = traits.pairsRows ? 2 : 1;
  const add = ({ sequence, from, to }: ProofRows, outputsOfRows = outputs) => {
    let index = -1;
    for (let position = from; position < to; position++) {
      const token = texts[sequence]?.[position] ?? 0;
      index = batch.add(token, { position, sequence, wantsOutput: position >= to - outputsOfRows });
    }
    return index;
  };
  const decode = () => {
    onStep();
    // Nobody is waited on before the model is loaded, and to change threads costs most where the machine is busy.
    const result = call.llama_decode(context, batch.struct);
    if (result === 0) return;
    throw new UnavailableError("load_failed", `llama.cpp cannot run the model (code ${result})`);
  };
  const digestOf = (index: number) => {
    const row = call.llama_get_logits_ith(context, index);
    assert(row !== null, "A row that wants an output has one", { index });
    const bytes = Deno.UnsafePointerView.getArrayBuffer(row, vocabularyTokens * 4);
    return createHash("sha256").update(new Uint8Array(bytes)).digest("base64");
  };
  return {
    cells,
    rewind: (sequence, count) => call.llama_memory_seq_rm(memory, sequence, count, -1),
    compute(rows) {
      batch.clear();
      const [first = -1] = rows.map((each) => add(each));
      decode();
      return digestOf(first);
    },
    computeEach(rows) {
      batch.clear();
      const count = rows.to - rows.from;
      const last = add(rows, count);
      decode();
      return Array.from({ length: count }, (_, index) => digestOf(last - count + 1 + index));
    },
    useThreads: (threads) => call.llama_set_n_threads(context, threads, threads),
    close: () => call.llama_free(context),
  };
}

/** Two texts of any tokens: what matters is that the sums have much to round. */
function proofTexts(vocabularyTokens: number, cells: number): readonly (readonly number[])[] {
  const random = new Random(TOKEN_SEED);
  const text = () => Array.from({ length: cells }, () => random.below(vocabularyTokens));
  return [text(), text()];
}
