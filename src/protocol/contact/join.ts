import { type NodeId, printable, sha256 } from "../../base/mod.ts";
import { ByteReader, ByteWriter, type Decoded } from "../bytes.ts";
import { accessIdField, labelField, nodeIdField, publicKeyField } from "../catalogue.ts";
import {
  bytesField,
  type FieldCodec,
  listField,
  optionalField,
  recordField,
  textField,
  uintField,
} from "../field_codec.ts";
import { type SpokenVersions, spokenVersionsField, type VersionRange } from "./versions.ts";
import { certificateField, clusterIdField, cutText, nonceField, signatureField } from "./hello.ts";
import { type RecoveryTalk, recoveryTalkField } from "./recovery.ts";

/**
 * The first contact of a node that wants in, in four frames over a connection whose certificate the joiner has checked
 * against the key in its token.
 *
 * ```
 * joiner                              member
 *   opening (token id, key, nonce) ──►
 *           ◄──  challenge (certificate, nonce, signature, proof)
 *   proof   (proof, signature)     ──►
 *           ◄──  answer (certificate, authority, members, proof)
 * ```
 *
 * The token's secret makes a key: the joiner's proof is a signature by it, and the cluster keeps but the hash of its public
 * half, which lets nobody in. The member's proof is an HMAC under that hash: it has the token's row. A joiner whose answer was lost after its token was used up is known by its key: then both sides do with
 * signatures alone.
 */
export const JOIN_VERSIONS: VersionRange = { min: 1, max: 2 };
/** The first version in which the member says what else is spoken: a joiner that can't must not become one. */
const SAYS_VERSIONS = 2;
/** Id of no token: a node that shows it asks what it is to the cluster. Tokens are called by hex digits. */
export const STANDING_QUESTION = "standing";
/** Bytes of a member's proof: HMAC with SHA-256. */
const JOIN_PROOF_BYTES = 32;
/** Members named in one answer: enough to find the rest of them through. */
export const JOIN_MEMBERS_MAX = 128;
/** Revoked nodes named in one answer, the last ones; the catalogue brings all of them a moment later. */
export const JOIN_REVOKED_MAX = 1_024;
/** Bytes of a frame that a stranger may send. */
const STRANGER_FRAME_BYTES_MAX = 4_096;
/** Bytes of the answer: what one frame of a join may hold. */
const ANSWER_BYTES_MAX = 64 * 1024;
const ADDRESS_BYTES_MAX = 260;
const PEM_BYTES_MAX = 8_192;
const REFUSAL_TEXT_BYTES_MAX = 512;

/** Why a join ended. The order is the wire number: only ever appended to. */
const JOIN_REFUSALS = [
  "malformed",
  "unknown_version",
  "token_unknown",
  "token_expired",
  "wrong_secret",
  "bad_signature",
  "member_revoked",
  "already_exists",
  "table_full",
  "no_quorum",
  "not_ready",
] as const;
/** Why a join ended. */
export type JoinRefusal = (typeof JOIN_REFUSALS)[number];

/** What the joiner says first. Nothing in it is secret. */
export interface JoinOpening {
  /** The versions of the join it speaks. */
  readonly versionMin: number;
  readonly versionMax: number;
  readonly tokenId: string;
  readonly nonce: Uint8Array;
  /** SPKI. */
  readonly publicKey: Uint8Array<ArrayBuffer>;
  readonly name: string;
}

/** What the member says of itself, less signature and proof. */
export interface JoinChallenge {
  /** One of the joiner's. */
  readonly version: number;
  readonly clusterId: string;
  readonly nonce: Uint8Array;
  /** DER. */
  readonly certificate: Uint8Array<ArrayBuffer>;
  /** Exactly from version 2 on. */
  readonly speaks?: SpokenVersions;
}

/** Where another member is. */
export interface JoinedMember {
  readonly nodeId: NodeId;
  readonly name: string;
  /** Cluster address, `host:port`; "" when unknown. */
  readonly address: string;
  /** SPKI. */
  readonly publicKey: Uint8Array;
}

/** All that makes a node a member. */
export interface JoinAnswer {
  readonly clusterId: string;
  /** The joiner's own, DER. */
  readonly certificate: Uint8Array<ArrayBuffer>;
  /** What the cluster's authority is known by. */
  readonly authorityChainPem: string;
  /** The one that answers first; at most JOIN_MEMBERS_MAX. */
  readonly members: readonly JoinedMember[];
  /** At most JOIN_REVOKED_MAX. */
  readonly revoked: readonly NodeId[];
}

/** One frame of a join. */
export type JoinFrame =
  | { readonly kind: "opening"; readonly opening: JoinOpening }
  | {
    readonly kind: "challenge";
    readonly challenge: JoinChallenge;
    readonly signature: Uint8Array<ArrayBuffer>;
    /** Undefined when the token is gone and the joiner is known by its key. */
    readonly proof: Uint8Array<ArrayBuffer> | undefined;
  }
  | {
    readonly kind: "proof";
    readonly signature: Uint8Array<ArrayBuffer>;
    /** Public half of the key that the token's secret makes, SPKI. */
    readonly tokenKey: Uint8Array<ArrayBuffer>;
    /** A signature by it. */
    readonly proof: Uint8Array<ArrayBuffer>;
  }
  | {
    readonly kind: "answer";
    readonly answer: JoinAnswer;
    readonly signature: Uint8Array<ArrayBuffer>;
    /** Undefined where the challenge had none. */
    readonly proof: Uint8Array<ArrayBuffer> | undefined;
  }
  | { readonly kind: "refusal"; readonly reason: JoinRefusal; readonly text: string }
  /** Said instead of a join, by both sides: which clusters are over, and who goes on in their place. */
  | { readonly kind: "recovered"; readonly talk: RecoveryTalk };

const versionField = uintField(1_000);
// What `ByteReader.bytes` copies into is never shared, which these two say by their types.
const proofField = bytesField(JOIN_PROOF_BYTES, JOIN_PROOF_BYTES) as FieldCodec<
  Uint8Array<ArrayBuffer>
>;
const joinerKeyField = publicKeyField as FieldCodec<Uint8Array<ArrayBuffer>>;
const optionalProofField = optionalField(proofField);
const pemField = textField(PEM_BYTES_MAX);

const OPENING_VERSIONS = { versionMin: versionField, versionMax: versionField };
const OPENING_REST = {
  tokenId: accessIdField,
  nonce: nonceField,
  publicKey: joinerKeyField,
  name: labelField,
};
const openingField = recordField<JoinOpening>({ ...OPENING_VERSIONS, ...OPENING_REST });
const CHALLENGE_REST = {
  clusterId: clusterIdField,
  nonce: nonceField,
  certificate: certificateField,
};
const challengeField = recordField<Omit<JoinChallenge, "speaks">>({
  version: versionField,
  ...CHALLENGE_REST,
});
const memberField = recordField<JoinedMember>({
  nodeId: nodeIdField,
  name: labelField,
  address: textField(ADDRESS_BYTES_MAX),
  publicKey: publicKeyField,
});
const answerField = recordField<JoinAnswer>({
  clusterId: clusterIdField,
  certificate: certificateField,
  authorityChainPem: pemField,
  members: listField(memberField, JOIN_MEMBERS_MAX),
  revoked: listField(nodeIdField, JOIN_REVOKED_MAX),
});
const refusalTextField = textField(REFUSAL_TEXT_BYTES_MAX);

const KINDS = ["opening", "challenge", "proof", "answer", "refusal", "recovered"] as const;

/** The bytes of a frame. A refusal's text is cut where it is too long. */
export function encodeJoin(frame: JoinFrame): Uint8Array<ArrayBuffer> {
  const writer = new ByteWriter(1_024).uint8(KINDS.indexOf(frame.kind));
  switch (frame.kind) {
    case "opening":
      openingField.write(writer, frame.opening);
      break;
    case "challenge":
      writeChallenge(writer, frame.challenge);
      signatureField.write(writer, frame.signature);
      optionalProofField.write(writer, frame.proof);
      break;
    case "proof":
      signatureField.write(writer, frame.signature);
      joinerKeyField.write(writer, frame.tokenKey);
      signatureField.write(writer, frame.proof);
      break;
    case "answer":
      answerField.write(writer, frame.answer);
      signatureField.write(writer, frame.signature);
      optionalProofField.write(writer, frame.proof);
      break;
    case "refusal":
      writer.uint8(JOIN_REFUSALS.indexOf(frame.reason));
      refusalTextField.write(writer, cutText(frame.text, REFUSAL_TEXT_BYTES_MAX));
      break;
    case "recovered":
      recoveryTalkField.write(writer, frame.talk);
  }
  return writer.finish();
}

/** Reads a frame from a stranger; never throws. */
export function decodeJoin(bytes: Uint8Array): Decoded<JoinFrame> {
  const reader = new ByteReader(bytes);
  const kind = KINDS[reader.uint8()];
  const bytesMax = kind === "answer" ? ANSWER_BYTES_MAX : STRANGER_FRAME_BYTES_MAX;
  if (bytes.length > bytesMax) {
    return { kind: "malformed", reason: `frame of ${bytes.length} bytes` };
  }
  switch (kind) {
    case "opening":
      return reader.finish({ kind, opening: readOpening(reader) });
    case "challenge":
      return reader.finish({ kind, ...readChallenge(reader) });
    case "proof": {
      const signature = signatureField.read(reader);
      const tokenKey = joinerKeyField.read(reader);
      return reader.finish({ kind, signature, tokenKey, proof: signatureField.read(reader) });
    }
    case "answer": {
      const answer = answerField.read(reader);
      const signature = signatureField.read(reader);
      return reader.finish({ kind, answer, signature, proof: optionalProofField.read(reader) });
    }
    case "refusal":
      return reader.finish({ kind, ...readRefusal(reader) });
    case "recovered":
      return reader.finish({ kind, talk: recoveryTalkField.read(reader) });
    default:
      reader.fail("unknown kind");
      return reader.finish({ kind: "refusal", reason: "malformed", text: "" });
  }
}

/** What has been said when something is signed or proved. */
export interface JoinSaid {
  readonly opening: JoinOpening;
  readonly challenge: JoinChallenge;
  /** Only for the answer. */
  readonly answer?: JoinAnswer;
}

/**
 * What is signed by the node's key and proved by the token, at each of the three steps. Opening, challenge and answer are
 * in it whole, so that nothing on the way can be changed, kept for another join or sent back to where it came from.
 */
export function joinTranscript(
  step: "challenge" | "proof" | "answer",
  said: JoinSaid,
): Uint8Array<ArrayBuffer> {
  const { opening, challenge, answer } = said;
  const whole = new ByteWriter(1_024);
  openingField.write(whole, opening);
  writeChallenge(whole, challenge);
  if (answer !== undefined) answerField.write(whole, answer);
  return new ByteWriter(128)
    .text("odist join")
    .varint(challenge.version)
    .text(step)
    .hex64(challenge.clusterId)
    .raw(sha256(challenge.certificate))
    .raw(sha256(whole.finish()))
    .finish();
}

function writeChallenge(writer: ByteWriter, challenge: JoinChallenge): void {
  challengeField.write(writer, challenge);
  if (challenge.speaks !== undefined) spokenVersionsField.write(writer, challenge.speaks);
}

/** The fields behind the versions belong to a version: those of another one are skipped, not called malformed. */
function readOpening(reader: ByteReader): JoinOpening {
  const versions = recordField(OPENING_VERSIONS).read(reader);
  const { min, max } = JOIN_VERSIONS;
  if (versions.versionMin > max || versions.versionMax < min) {
    reader.raw(reader.remaining);
    const empty = new Uint8Array(0);
    return { ...versions, tokenId: "", nonce: empty, publicKey: empty, name: "" };
  }
  return { ...versions, ...recordField(OPENING_REST).read(reader) };
}

function readChallenge(reader: ByteReader) {
  const plain = challengeField.read(reader);
  const challenge: JoinChallenge = plain.version < SAYS_VERSIONS
    ? plain
    : { ...plain, speaks: spokenVersionsField.read(reader) };
  const signature = signatureField.read(reader);
  return { challenge, signature, proof: optionalProofField.read(reader) };
}

function readRefusal(reader: ByteReader) {
  const reason = JOIN_REFUSALS[reader.uint8()];
  const text = refusalTextField.read(reader);
  if (reason === undefined) reader.fail("unknown refusal");
  return { reason: reason ?? "malformed", text: printable(text) };
}
