import { assert, sha256 } from "../../base/mod.ts";
import { ByteReader, ByteWriter, type Decoded } from "../bytes.ts";
import { accessIdField } from "../catalogue.ts";
import { bytesField, recordField } from "../field_codec.ts";

/** Characters of an encoded credential, all of them safe in a URL, a shell and a double click. */
export const CREDENTIAL_CHARACTERS_MAX = 160;
/** Bytes of the secret in it. */
const SECRET_BYTES = 16;
const CREDENTIAL_VERSION = 1;
/** Of SHA-256: one mistyped credential in four thousand million passes as a wrong one. */
const CHECKSUM_BYTES = 4;
const ID_CHARACTERS_MAX = 24;
/** What stands before the two coordinates of every P-256 key in SPKI form (RFC 5480). */
const SPKI_HEAD = Uint8Array.fromHex("3059301306072a8648ce3d020106082a8648ce3d03010703420004");
const POINT_BYTES = 64;

/** A secret of a cluster in the hands of people: what it opens, and how to know that the right one answers. */
interface Credential {
  /** Names its row in the catalogue; no secret. */
  readonly id: string;
  readonly secret: Uint8Array;
  /** SPKI of the cluster's authority: whoever can't show a certificate of it is told nothing. */
  readonly authorityKey: Uint8Array<ArrayBuffer>;
}

/** How one kind of credential is written: `prefix` opens it, so that people and scanners know one when they see it. */
interface CredentialForm {
  readonly prefix: string;
  /** With its article: `a join token`. */
  readonly noun: string;
}

const credentialField = recordField<Credential>({
  id: accessIdField,
  secret: bytesField(SECRET_BYTES, SECRET_BYTES),
  authorityKey: {
    write: (writer, key) => void writer.raw(key.subarray(SPKI_HEAD.length)),
    read: (reader) => Uint8Array.from([...SPKI_HEAD, ...reader.raw(POINT_BYTES)]),
  },
});

/** The text that is handed to people. */
function encodeCredential(form: CredentialForm, credential: Credential): string {
  const { id } = credential;
  assert(id.length <= ID_CHARACTERS_MAX, "A credential's id must fit into it", { id });
  const writer = new ByteWriter().uint8(CREDENTIAL_VERSION);
  credentialField.write(writer, credential);
  const content = writer.finish();
  const whole = new Uint8Array([...content, ...checksum(content)]);
  return form.prefix + toBase64(whole);
}

/** Takes one from people; the reason tells a typo from one that this program can't read. Never throws. */
function decodeCredential(form: CredentialForm, text: string): Decoded<Credential> {
  const characters = text.trim();
  if (!characters.startsWith(form.prefix)) {
    return malformed(`${form.noun} begins with "${form.prefix}"`);
  }
  if (characters.length > CREDENTIAL_CHARACTERS_MAX) return malformed("it is too long");
  const whole = fromBase64(characters.slice(form.prefix.length));
  const end = (whole?.length ?? 0) - CHECKSUM_BYTES;
  if (whole === undefined || end < 1) return malformed("it is cut short or has a typo");
  const content = whole.subarray(0, end);
  const wanted = checksum(content);
  if (!wanted.every((byte, index) => byte === whole[end + index])) {
    return malformed("it is cut short or has a typo (its checksum differs)");
  }
  const reader = new ByteReader(content);
  const version = reader.uint8();
  if (version !== CREDENTIAL_VERSION) {
    return malformed(`it is of version ${version}, this odist reads version ${CREDENTIAL_VERSION}`);
  }
  return reader.finish(credentialField.read(reader));
}

function malformed(reason: string): Decoded<Credential> {
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

/** No join token begins like this: what follows its prefix is a version, never these letters. */
const KEY_FORM: CredentialForm = { prefix: "odist-key-", noun: "an API key" };

/** What a client needs to use a node from afar, besides an address. */
export interface ApiKey extends Pick<Credential, "secret" | "authorityKey"> {
  /** Names the key's row in the catalogue; no secret. */
  readonly keyId: string;
}

/** The text that is handed to people. */
export function encodeApiKey({ keyId, secret, authorityKey }: ApiKey): string {
  return encodeCredential(KEY_FORM, { id: keyId, secret, authorityKey });
}

/** Takes a key from its user; the reason tells a typo from a key that this program can't read. Never throws. */
export function decodeApiKey(text: string): Decoded<ApiKey> {
  const decoded = decodeCredential(KEY_FORM, text);
  if (decoded.kind === "malformed") return decoded;
  const { id, secret, authorityKey } = decoded.value;
  return { kind: "decoded", value: { keyId: id, secret, authorityKey } };
}

const TOKEN_FORM: CredentialForm = { prefix: "odist-", noun: "a join token" };

/** What a node needs to join a cluster, besides an address. */
export interface JoinToken extends Pick<Credential, "secret" | "authorityKey"> {
  /** Names the token's row in the catalogue; no secret. */
  readonly tokenId: string;
}

/** The text that is handed to people. */
export function encodeJoinToken({ tokenId, secret, authorityKey }: JoinToken): string {
  return encodeCredential(TOKEN_FORM, { id: tokenId, secret, authorityKey });
}

/** Takes a token from a command line; the reason tells a typo from a token that this program can't read. Never throws. */
export function decodeJoinToken(text: string): Decoded<JoinToken> {
  const decoded = decodeCredential(TOKEN_FORM, text);
  if (decoded.kind === "malformed") return decoded;
  const { id, secret, authorityKey } = decoded.value;
  return { kind: "decoded", value: { tokenId: id, secret, authorityKey } };
}
