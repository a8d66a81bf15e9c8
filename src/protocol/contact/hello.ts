import { printable, sha256 } from "../../base/mod.ts";
import { ByteReader, ByteWriter, type Decoded } from "../bytes.ts";
import { bytesField, type FieldCodec, recordField, textField, uintField } from "../field_codec.ts";
import { type SpokenVersions, spokenVersionsField, type VersionRange } from "./versions.ts";

/**
 * The hello: how two members prove themselves to each other on a fresh connection, in four frames.
 *
 * ```
 * dialer                            listener
 *   offer  (certificate, nonce)  ──►
 *          ◄──  answer (certificate, nonce, signature)
 *   proof  (signature)           ──►
 *          ◄──  welcome
 * ```
 *
 * Either side may say `refusal` instead, so that both can tell their users why. Both signatures cover all of offer and
 * answer and say whose they are: one made for another connection, another peer or the other direction fits nowhere else.
 *
 * From version 2 on answer and proof say which versions of all else their senders speak ({@link SpokenVersions}), each under its
 * signature; the dialer's come in the proof, because only then it is known that the listener reads them.
 */
export const HELLO_VERSIONS: VersionRange = { min: 1, max: 2 };
/** The first version that says what else is spoken. */
const SAYS_VERSIONS = 2;
/** Bytes of any frame of a hello. */
export const HELLO_FRAME_BYTES_MAX = 4_096;
/** Bytes that each side draws for one hello alone. */
export const NONCE_BYTES = 32;
/** Bytes of a P-256 signature: two numbers of 32 bytes. */
export const SIGNATURE_BYTES = 64;
/** Bytes of one certificate from a peer; ours have about 400. */
export const CERTIFICATE_BYTES_MAX = 2_048;
/** Bytes of the text that goes with a refusal. */
const REFUSAL_TEXT_BYTES_MAX = 512;

/** Why a hello ended. The order is the wire number: only ever appended to. */
const HELLO_REFUSALS = [
  "malformed",
  "unknown_version",
  "other_cluster",
  "bad_certificate",
  "not_yet_valid",
  "expired",
  "bad_signature",
  "own_id",
  "wrong_node",
  "revoked",
  "key_mismatch",
  "unknown_member",
] as const;
/** Why a hello ended. */
export type HelloRefusal = (typeof HELLO_REFUSALS)[number];

/** What the dialer says first. */
export interface HelloOffer {
  /** The versions of the hello it speaks. */
  readonly versionMin: number;
  readonly versionMax: number;
  readonly clusterId: string;
  readonly nonce: Uint8Array;
  /** DER. */
  readonly certificate: Uint8Array<ArrayBuffer>;
}

/** What the listener says of itself, less the signature. */
export interface HelloAnswer {
  /** One of the dialer's. */
  readonly version: number;
  readonly clusterId: string;
  readonly nonce: Uint8Array;
  /** DER. */
  readonly certificate: Uint8Array<ArrayBuffer>;
  /** Exactly from version 2 on. */
  readonly speaks?: SpokenVersions;
}

/** One frame of a hello. */
export type HelloFrame =
  | { readonly kind: "offer"; readonly offer: HelloOffer }
  | {
    readonly kind: "answer";
    readonly answer: HelloAnswer;
    readonly signature: Uint8Array<ArrayBuffer>;
  }
  | {
    readonly kind: "proof";
    readonly signature: Uint8Array<ArrayBuffer>;
    /** Exactly where the answer's version has it. */
    readonly speaks?: SpokenVersions;
  }
  | { readonly kind: "welcome" }
  | { readonly kind: "refusal"; readonly reason: HelloRefusal; readonly text: string };

/** A certificate's bytes. */
export const certificateField = bytesField(1, CERTIFICATE_BYTES_MAX) as FieldCodec<
  Uint8Array<ArrayBuffer> // What `ByteReader.bytes` copies into is never shared.
>;
/** A signature's bytes. */
export const signatureField = bytesField(SIGNATURE_BYTES, SIGNATURE_BYTES) as FieldCodec<
  Uint8Array<ArrayBuffer>
>;
/** A nonce's bytes. */
export const nonceField: FieldCodec<Uint8Array> = bytesField(NONCE_BYTES, NONCE_BYTES);
/** Sixteen hex digits. */
export const clusterIdField: FieldCodec<string> = {
  write: (writer, clusterId) => void writer.hex64(clusterId),
  read: (reader) => reader.hex64(),
};
const versionField = uintField(1_000);

const OFFER_VERSIONS = { versionMin: versionField, versionMax: versionField };
const SELF = { clusterId: clusterIdField, nonce: nonceField, certificate: certificateField };
const offerField = recordField<HelloOffer>({ ...OFFER_VERSIONS, ...SELF });
const plainAnswerField = recordField<Omit<HelloAnswer, "speaks">>({
  version: versionField,
  ...SELF,
});
/** A frame of a version that this program doesn't speak, as far as it can be read. */
const UNREAD = {
  clusterId: "0".repeat(16),
  nonce: new Uint8Array(0),
  certificate: new Uint8Array(0),
};
const refusalTextField = textField(REFUSAL_TEXT_BYTES_MAX);

/** The order is the wire number. */
const KINDS = ["offer", "answer", "proof", "welcome", "refusal", "speaking_proof"] as const;

/** The bytes of a frame. A refusal's text is cut where it is too long. */
export function encodeHello(frame: HelloFrame): Uint8Array<ArrayBuffer> {
  const isSpeaking = frame.kind === "proof" && frame.speaks !== undefined;
  const kind = isSpeaking ? "speaking_proof" : frame.kind;
  const writer = new ByteWriter(1_024).uint8(KINDS.indexOf(kind));
  switch (frame.kind) {
    case "offer":
      offerField.write(writer, frame.offer);
      break;
    case "answer":
      writeAnswer(writer, frame.answer);
      signatureField.write(writer, frame.signature);
      break;
    case "proof":
      signatureField.write(writer, frame.signature);
      if (frame.speaks !== undefined) spokenVersionsField.write(writer, frame.speaks);
      break;
    case "welcome":
      break;
    case "refusal":
      writer.uint8(HELLO_REFUSALS.indexOf(frame.reason));
      refusalTextField.write(writer, cutText(frame.text, REFUSAL_TEXT_BYTES_MAX));
  }
  return writer.finish();
}

/** Reads a frame from a peer that nothing is known of yet; never throws. */
export function decodeHello(bytes: Uint8Array): Decoded<HelloFrame> {
  if (bytes.length > HELLO_FRAME_BYTES_MAX) {
    return { kind: "malformed", reason: `frame of ${bytes.length} bytes` };
  }
  const reader = new ByteReader(bytes);
  const kind = KINDS[reader.uint8()];
  switch (kind) {
    case "offer":
      return reader.finish({ kind, offer: readOffer(reader) });
    case "answer":
      return reader.finish({ kind, ...readAnswer(reader) });
    case "proof":
      return reader.finish({ kind, signature: signatureField.read(reader) });
    case "speaking_proof":
      return reader.finish({
        kind: "proof",
        signature: signatureField.read(reader),
        speaks: spokenVersionsField.read(reader),
      });
    case "welcome":
      return reader.finish({ kind });
    case "refusal": {
      const reason = HELLO_REFUSALS[reader.uint8()];
      const text = refusalTextField.read(reader);
      if (reason === undefined) reader.fail("unknown refusal");
      return reader.finish({ kind, reason: reason ?? "malformed", text: printable(text) });
    }
    default:
      reader.fail("unknown kind");
      return reader.finish({ kind: "welcome" });
  }
}

function writeAnswer(writer: ByteWriter, answer: HelloAnswer): void {
  plainAnswerField.write(writer, answer);
  if (answer.speaks !== undefined) spokenVersionsField.write(writer, answer.speaks);
}

/** The fields behind the versions belong to a version: those of another one are skipped, not called malformed. */
function readOffer(reader: ByteReader): HelloOffer {
  const versions = recordField(OFFER_VERSIONS).read(reader);
  const { min, max } = HELLO_VERSIONS;
  if (versions.versionMin > max || versions.versionMax < min) {
    reader.raw(reader.remaining);
    return { ...versions, ...UNREAD };
  }
  return { ...versions, ...recordField(SELF).read(reader) };
}

function readAnswer(reader: ByteReader) {
  const version = versionField.read(reader);
  if (version < HELLO_VERSIONS.min || version > HELLO_VERSIONS.max) {
    reader.raw(reader.remaining);
    return { answer: { version, ...UNREAD }, signature: new Uint8Array(0) };
  }
  const self = { version, ...recordField(SELF).read(reader) };
  const answer = version < SAYS_VERSIONS
    ? self
    : { ...self, speaks: spokenVersionsField.read(reader) };
  return { answer, signature: signatureField.read(reader) };
}

/**
 * What each side signs. Everything that decides what the signature means is named, and offer and answer are in it whole,
 * so that nothing on the way can change what was offered (versions above all) either.
 */
export function helloTranscript(
  signer: "dialer" | "listener",
  said: {
    readonly offer: HelloOffer;
    readonly answer: HelloAnswer;
    /** Of the dialer, in its own transcript. */
    readonly speaks?: SpokenVersions | undefined;
  },
): Uint8Array<ArrayBuffer> {
  const { offer, answer, speaks } = said;
  const writer = new ByteWriter(512)
    .text("odist hello")
    .varint(answer.version)
    .text(signer)
    .hex64(answer.clusterId)
    .raw(sha256(offer.certificate))
    .raw(sha256(answer.certificate))
    .raw(offer.nonce)
    .raw(answer.nonce);
  const whole = new ByteWriter(1_024);
  offerField.write(whole, offer);
  writeAnswer(whole, answer);
  if (speaks !== undefined) spokenVersionsField.write(whole, speaks);
  return writer.raw(sha256(whole.finish())).finish();
}

/** The first bytes of a text, cut between characters. */
export function cutText(text: string, bytesMax: number): string {
  let bytes = 0;
  let kept = "";
  for (const character of text) {
    const code = character.codePointAt(0) ?? 0;
    bytes += code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x1_0000 ? 3 : 4;
    if (bytes > bytesMax) break;
    kept += character;
  }
  return kept;
}
