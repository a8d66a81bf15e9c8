import type { NodeId } from "../../base/mod.ts";
import { ByteReader, ByteWriter, type Decoded } from "../bytes.ts";
import { labelField, nodeIdField, publicKeyField, timeField } from "../catalogue.ts";
import { type FieldCodec, flagField, listField, recordField, textField } from "../field_codec.ts";
import { ADDRESS_BYTES_MAX } from "../membership.ts";
import { clusterIdField, signatureField } from "./hello.ts";

/** Recoveries of one cluster that are told; the oldest is forgotten. */
export const RECOVERIES_MAX = 4;
/** Ids by which one cluster may be known: of its authorities, which follow each other. */
const CLUSTER_IDS_MAX = 8;
const TALK_IDS_MAX = CLUSTER_IDS_MAX * (RECOVERIES_MAX + 1);

/** What a node says that made itself the only voter of a new cluster, because the voters of the old one were lost. */
export interface Recovery {
  /** Of the cluster that is over, the present one first. */
  readonly clusterIds: readonly string[];
  /** A member of that cluster. */
  readonly by: NodeId;
  readonly name: string;
  /** Where it listened then, `host:port`. */
  readonly address: string;
  /** Milliseconds since the epoch, by its clock. */
  readonly atMs: number;
}

/** A {@link Recovery} with a signature by the node's own key, which other members of the old cluster know. */
export interface SignedRecovery {
  readonly recovery: Recovery;
  readonly signature: Uint8Array<ArrayBuffer>;
}

/** A member of the old cluster that a recovery left behind. */
export interface LeftBehind {
  readonly nodeId: NodeId;
  readonly name: string;
  readonly address: string;
  /** SPKI. */
  readonly publicKey: Uint8Array;
}

const recoveryField: FieldCodec<Recovery> = recordField({
  clusterIds: listField(clusterIdField, CLUSTER_IDS_MAX),
  by: nodeIdField,
  name: labelField,
  address: textField(ADDRESS_BYTES_MAX),
  atMs: timeField,
});
const signedField = recordField<SignedRecovery>({
  recovery: recoveryField,
  signature: signatureField,
});
/** What two nodes say to each other of recoveries. */
export interface RecoveryTalk {
  /** By which the asker knows its cluster and those that this one was recovered from; who answers says none. */
  readonly clusterIds: readonly string[];
  /** Oldest first. In an answer: of the asker's clusters alone. */
  readonly recoveries: readonly SignedRecovery[];
  /** In an answer: a cluster that the asker says to be over has a quorum that answered all the time. */
  readonly livesOn: boolean;
}

export const recoveryTalkField = recordField<RecoveryTalk>({
  clusterIds: listField(clusterIdField, TALK_IDS_MAX),
  recoveries: listField(signedField, RECOVERIES_MAX),
  livesOn: flagField,
});
const leftBehindField: FieldCodec<LeftBehind> = recordField({
  nodeId: nodeIdField,
  name: labelField,
  address: textField(ADDRESS_BYTES_MAX),
  publicKey: publicKeyField,
});

/** What is signed. */
export function recoveryBytes(recovery: Recovery): Uint8Array<ArrayBuffer> {
  const writer = new ByteWriter(256).text("odist recovery");
  const cut = { ...recovery, clusterIds: recovery.clusterIds.slice(0, CLUSTER_IDS_MAX) };
  recoveryField.write(writer, cut);
  return writer.finish();
}

/** As settings and small files keep it. */
export function encodeSignedRecovery(signed: SignedRecovery): string {
  return encoded(signedField, signed);
}

/** Never throws. */
export function decodeSignedRecovery(text: string): Decoded<SignedRecovery> {
  return decodedFrom(signedField, text);
}

export function encodeLeftBehind(left: LeftBehind): string {
  return encoded(leftBehindField, left);
}

/** Never throws. */
export function decodeLeftBehind(text: string): Decoded<LeftBehind> {
  return decodedFrom(leftBehindField, text);
}

function encoded<T>(field: FieldCodec<T>, value: T): string {
  const writer = new ByteWriter(256);
  field.write(writer, value);
  return writer.finish().toBase64();
}

function decodedFrom<T>(field: FieldCodec<T>, text: string): Decoded<T> {
  const reader = new ByteReader(bytesOf(text));
  const value = field.read(reader);
  return reader.finish(value);
}

function bytesOf(text: string): Uint8Array {
  try {
    return Uint8Array.fromBase64(text);
  } catch {
    return new Uint8Array(0); // No base64, so nothing of ours: the reader says that it is too short.
  }
}
