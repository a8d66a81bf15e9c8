import { type NodeId, RequestError, StorageError } from "../base/mod.ts";
import {
  admittedMembers,
  type Catalogue,
  recoveriesOf,
  recoverySettings,
  refoundCatalogue,
} from "../core/catalogue/mod.ts";
import type { Log, RaftLogStore, SecretFiles } from "../ports/mod.ts";
import {
  decodeSignedRecovery,
  encodeSignedRecovery,
  type Recovery,
  recoveryBytes,
  type SignedRecovery,
} from "../protocol/mod.ts";
import { authorityIds, type StoredIdentity } from "../transport/mod.ts";
import { replay } from "./join.ts";
import { type KeptWord, NO_WORD, readWord } from "./kept_word.ts";

/** There from the wish for a recovery until the log of the cluster that it founds has begun: which cluster, and the word. */
const WISH = "recovery.txt";
/** What that log is to begin with. It names keys' hashes. */
const STATE = "recovery.snapshot";

/** What a recovery is wished for with. */
export interface RecoverParts {
  readonly stored: StoredIdentity;
  readonly files: SecretFiles;
  readonly name: string;
  /** Where this node listens. */
  readonly address: string;
  readonly nowMs: () => number;
}

/**
 * Has the next start found a cluster of its own with all that this node knows, and signs for the others that it did.
 * Nothing is changed before that start.
 *
 * @throws StorageError; RequestError `conflict` for a node that is of no cluster.
 */
export async function prepareRecovery(parts: RecoverParts): Promise<void> {
  const { stored, files, name, address, nowMs } = parts;
  const { membership, nodeId: by, key } = stored;
  if (membership === undefined) {
    throw new RequestError("conflict", "this node has left its cluster");
  }
  const clusterIds = authorityIds(membership.authority);
  const atMs = Math.max(0, Math.floor(nowMs()));
  const recovery: Recovery = { clusterIds, by, name, address, atMs };
  const signature = await key.sign(recoveryBytes(recovery));
  const lines = [membership.identity.clusterId, encodeSignedRecovery({ recovery, signature })];
  await files.write(WISH, new TextEncoder().encode(lines.join("\n")));
}

/** How a node finds itself at its start, as far as recoveries go. */
export interface RecoveredStart {
  /** It has just founded its cluster anew: how it was started before that is about another one. */
  readonly isFresh: boolean;
  /** There is nothing to stay in its cluster for: that was recovered elsewhere, too. */
  readonly isOver: boolean;
  readonly kept: KeptWord;
}

/** Of a node that has just joined. */
export const NOTHING_RECOVERED: RecoveredStart = { isFresh: false, isOver: false, kept: NO_WORD };

/** What carrying out a recovery takes. */
export interface FinishParts {
  readonly stored: StoredIdentity;
  readonly files: SecretFiles;
  /** Opens the log of the cluster this node is of. */
  readonly openLog: () => Promise<RaftLogStore>;
  /** Deletes that log. */
  readonly dropLog: () => Promise<void>;
  /** Where a member was last reached; "" = unknown. */
  readonly addressOf: (nodeId: NodeId) => string;
  readonly log: Log;
}

/**
 * Carries out what was wished for, before anything else of a node is opened; safe to repeat after a crash at any place.
 *
 * @throws StorageError.
 */
export async function finishRecovery(parts: FinishParts): Promise<RecoveredStart> {
  const { stored, files } = parts;
  const wish = await readWish(files);
  if (wish !== undefined) {
    const present = stored.membership?.identity.clusterId;
    if (present === undefined || present === wish.clusterId) await foundAnew(wish, parts);
  }
  const kept = await readWord(files, stored.membership?.identity.clusterId);
  const isOver = kept.over !== undefined || kept.rivals.length > 0;
  return { isFresh: wish !== undefined, isOver, kept };
}

/** The catalogue that a recovered cluster begins with; undefined when it has begun, or is none. */
export async function recoveredState(files: SecretFiles): Promise<Uint8Array | undefined> {
  return await files.read(STATE);
}

/** The recovered cluster's log holds its first state. */
export async function forgetRecoveredState(files: SecretFiles): Promise<void> {
  // In this order: a state without a wish would found the next cluster, too.
  await files.remove(STATE);
  await files.remove(WISH);
}

interface Wish {
  readonly clusterId: string;
  readonly signed: SignedRecovery;
}

async function readWish(files: SecretFiles): Promise<Wish | undefined> {
  const bytes = await files.read(WISH);
  if (bytes === undefined) return undefined;
  const [clusterId = "", line = ""] = new TextDecoder().decode(bytes).split("\n");
  const signed = decodeSignedRecovery(line);
  if (signed.kind === "decoded") return { clusterId, signed: signed.value };
  const message = `Cannot recover: ${WISH} in the cluster folder is damaged: ${signed.reason}`;
  throw new StorageError("corrupt_file", `${message}. Remove it, and ask for the recovery again`);
}

async function foundAnew(wish: Wish, parts: FinishParts): Promise<void> {
  const { stored, files, dropLog, log } = parts;
  if (await files.read(STATE) === undefined) await files.write(STATE, await stateOf(wish, parts));
  await dropLog();
  await stored.forgetCluster();
  await stored.found();
  log.log("warn", "cluster_recovered", { was: wish.clusterId });
}

/**
 * All that this node's log holds, committed or not: what is not may have been acknowledged by those who are lost. With it
 * how it came about, and who has to be told.
 */
async function stateOf(wish: Wish, { openLog, addressOf }: FinishParts): Promise<Uint8Array> {
  const store = await openLog();
  let catalogue: Catalogue;
  try {
    catalogue = replay(store);
  } finally {
    await store.close();
  }
  const left = admittedMembers(catalogue, wish.signed.recovery.by)
    .map(({ nodeId, label: name, publicKey }) => ({
      nodeId,
      name,
      address: addressOf(nodeId),
      publicKey,
    }));
  const recoveries = [...recoveriesOf(catalogue), wish.signed];
  const settings = recoverySettings(recoveries, left);
  const state = refoundCatalogue(catalogue.snapshot(), { settings, keepsRevoked: true });
  if (state.kind === "decoded") return state.value;
  throw new StorageError("corrupt_file", `Cannot recover from this node's log: ${state.reason}`);
}
