import { assert, sha256 } from "../../base/mod.ts";
import { ByteReader, ByteWriter, type Decoded } from "../bytes.ts";
import { accessIdField } from "../catalogue.ts";
import { bytesField, recordField } from "../field_codec.ts";

/** Characters of an encoded token, all of them safe in a URL, a shell and a double click. */
export const JOIN_TOKEN_CHARACTERS_MAX = 160;
/** Bytes of the secret in a token. */
const TOKEN_SECRET_BYTES = 16;
/** Every token begins with it, so that people and scanners for leaked secrets know one when they see it. */
const PREFIX = "odist-";
const TOKEN_VERSION = 1;
/** Of SHA-256: one mistyped token in four thousand million passes as a wrong one. */
const CHECKSUM_BYTES = 4;
const TOKEN_ID_CHARACTERS_MAX = 24;
/** What stands before the two coordinates of every P-256 key in SPKI form (RFC 5480). */
const SPKI_HEAD = Uint8Array.fromHex("3059301306072a8648ce3d020106082a8648ce3d03010703420004");
const POINT_BYTES = 64;

/** What a node needs to join a cluster, besides an address. */
export interface JoinToken {
  /** Names the token's row in the catalogue; no secret. */
  readonly tokenId: string;
  readonly secret: Uint8Array;
  /** SPKI of the cluster's authority: whoever can't show a certificate of it is told nothing. */
  readonly authorityKey: Uint8Array<ArrayBuffer>;
}

const tokenField = recordField<JoinToken>({
  tokenId: accessIdField,
  secret: bytesField(TOKEN_SECRET_BYTES, TOKEN_SECRET_BYTES),
  authorityKey: {
    write: (writer, key) => void writer.raw(key.subarray(SPKI_HEAD.length)),
    read: (reader) => Uint8Array.from([...SPKI_HEAD, ...reader.raw(POINT_BYTES)]),
  },
});

/** The text that is handed to people. */
export function encodeJoinToken(token: JoinToken): string {
  assert(token.tokenId.length <= TOKEN_ID_CHARACTERS_MAX, "A token's id must fit into the token", {
    tokenId: token.tokenId,
  });
  const writer = new ByteWriter().uint8(TOKEN_VERSION);
  tokenField.write(writer, token);
  const content = writer.finish();
  const whole = new Uint8Array([...content, ...checksum(content)]);
  return PREFIX + toBase64(whole);
}

/** Takes a token from a command line; the reason tells a typo from a token that this program can't read. Never throws. */
export function decodeJoinToken(text: string): Decoded<JoinToken> {
  const characters = text.trim();
  if (!characters.startsWith(PREFIX)) return malformed(`a join token begins with "${PREFIX}"`);
  if (characters.length > JOIN_TOKEN_CHARACTERS_MAX) return malformed("it is too long");
  const whole = fromBase64(characters.slice(PREFIX.length));
  const end = (whole?.length ?? 0) - CHECKSUM_BYTES;
  if (whole === undefined || end < 1) return malformed("it is cut short or has a typo");
  const content = whole.subarray(0, end);
  const wanted = checksum(content);
  if (!wanted.every((byte, index) => byte === whole[end + index])) {
    return malformed("it is cut short or has a typo (its checksum differs)");
  }
  const reader = new ByteReader(content);
  const version = reader.uint8();
  if (version !== TOKEN_VERSION) {
    return malformed(`it is of version ${version}, this odist reads version ${TOKEN_VERSION}`);
  }
  return reader.finish(tokenField.read(reader));
}

function malformed(reason: string): Decoded<JoinToken> {
  return { kind: "malformed", reason };
}

function checksum(content: Uint8Array): Uint8Array {
  return sha256(content).subarray(0, CHECKSUM_BYTES);
}

function toBase64(bytes: Uint8Array): string {
  return bytes.toBase64({ alphabet: "base64url", omitPadding: true });
}

function fromBase64(characters: string): Uint8Array | undefined {
  try {
    const bytes = Uint8Array.fromBase64(characters, { alphabet: "base64url" });
    // The last character has bits that stand for nothing: two spellings of one token would hide a typo.
    return toBase64(bytes) === characters ? bytes : undefined;
  } catch {
    return undefined; // The only way to learn that it is none.
  }
}
