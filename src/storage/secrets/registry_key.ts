import { dirname } from "node:path";
import { errorMessage, StorageError } from "../../base/mod.ts";
import type { RegistryKey } from "../../ports/mod.ts";
import { FILE_MODE, FOLDER_MODE, writeFileDurably } from "../durable_file.ts";

/**
 * This machine's registry key in an OpenSSH file without passphrase (`id_ed25519`, contract 2.2). Read, or made with its
 * `.pub` beside it, when first asked for.
 *
 * @throws StorageError from its methods: `corrupt_file` when the file is no such key, `storage_failed` when it can't be
 *   written.
 */
export function openRegistryKey(path: string): RegistryKey {
  let opened: Promise<KeyPair> | undefined;
  const open = async () => {
    try {
      return await (opened ??= readOrMake(path));
    } catch (error) {
      opened = undefined; // The user may mend the file and try again.
      throw error;
    }
  };
  return {
    publicKey: async () => encodeBase64(encodePublicKey((await open()).publicBytes)),
    async sign(text) {
      const { privateKey } = await open();
      const bytes = new TextEncoder().encode(text);
      return encodeBase64(new Uint8Array(await crypto.subtle.sign("Ed25519", privateKey, bytes)));
    },
  };
}

interface KeyPair {
  readonly privateKey: CryptoKey;
  readonly publicBytes: Uint8Array;
}

const KEY_TYPE = "ssh-ed25519";
const MAGIC = "openssh-key-v1\0";
const SEED_BYTES = 32;
const BEGIN = "-----BEGIN OPENSSH PRIVATE KEY-----";
const END = "-----END OPENSSH PRIVATE KEY-----";
/** What stands before the seed in a PKCS#8 Ed25519 key (RFC 8410). */
const PKCS8_PREFIX = [48, 46, 2, 1, 0, 48, 5, 6, 3, 43, 101, 112, 4, 34, 4, 32];

async function readOrMake(path: string): Promise<KeyPair> {
  try {
    return await parseKeyFile(await Deno.readTextFile(path), path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  const { seed, publicBytes } = await generate();
  try {
    await Deno.mkdir(dirname(path), { recursive: true, mode: FOLDER_MODE });
    const file = new TextEncoder().encode(formatKeyFile(seed, publicBytes));
    await writeFileDurably(path, file, { mode: FILE_MODE });
    const publicLine = `${KEY_TYPE} ${encodeBase64(encodePublicKey(publicBytes))}\n`;
    await writeFileDurably(`${path}.pub`, new TextEncoder().encode(publicLine));
  } catch (cause) {
    if (cause instanceof StorageError) throw cause;
    throw new StorageError(
      "storage_failed",
      `Cannot write the registry key "${path}": ${errorMessage(cause)}`,
      { cause },
    );
  }
  return { privateKey: await importSeed(seed), publicBytes };
}

async function generate(): Promise<{ seed: Uint8Array; publicBytes: Uint8Array }> {
  const pair = await crypto.subtle.generateKey("Ed25519", true, ["sign", "verify"]);
  if (!("privateKey" in pair)) throw new TypeError("Ed25519 keys come in pairs");
  const pkcs8 = new Uint8Array(await crypto.subtle.exportKey("pkcs8", pair.privateKey));
  const publicBytes = new Uint8Array(await crypto.subtle.exportKey("raw", pair.publicKey));
  return { seed: pkcs8.slice(PKCS8_PREFIX.length, PKCS8_PREFIX.length + SEED_BYTES), publicBytes };
}

async function importSeed(seed: Uint8Array): Promise<CryptoKey> {
  const pkcs8 = new Uint8Array([...PKCS8_PREFIX, ...seed]);
  return await crypto.subtle.importKey("pkcs8", pkcs8, "Ed25519", false, ["sign"]);
}

async function parseKeyFile(text: string, path: string): Promise<KeyPair> {
  try {
    const { seed, publicBytes } = decodeKey(text);
    return { privateKey: await importSeed(seed), publicBytes };
  } catch (cause) {
    throw new StorageError(
      "corrupt_file",
      `Cannot read the registry key "${path}": it must be an Ed25519 key in OpenSSH form ` +
        `without a passphrase (${errorMessage(cause)})`,
      { cause },
    );
  }
}

function decodeKey(text: string): { seed: Uint8Array; publicBytes: Uint8Array } {
  const body = text.slice(text.indexOf(BEGIN) + BEGIN.length, text.indexOf(END));
  const reader = new WireReader(decodeBase64(body.replaceAll(/\s/g, "")));
  reader.expect(MAGIC);
  if (reader.text() !== "none") throw new TypeError("it has a passphrase");
  reader.string();
  reader.string();
  if (reader.uint32() !== 1) throw new TypeError("it holds more than one key");
  reader.string();
  const inner = new WireReader(reader.string());
  if (inner.uint32() !== inner.uint32()) throw new TypeError("its check numbers differ");
  if (inner.text() !== KEY_TYPE) throw new TypeError("it is of another type");
  const publicBytes = inner.string();
  return { publicBytes, seed: inner.string().slice(0, SEED_BYTES) };
}

function formatKeyFile(seed: Uint8Array, publicBytes: Uint8Array): string {
  const check = crypto.getRandomValues(new Uint8Array(4));
  const inner = join([
    check,
    check,
    wireString(KEY_TYPE),
    wireString(publicBytes),
    wireString(join([seed, publicBytes])),
    wireString(""),
  ]);
  const padding = Uint8Array.from({ length: (8 - inner.length % 8) % 8 }, (_, index) => index + 1);
  const body = encodeBase64(join([
    new TextEncoder().encode(MAGIC),
    wireString("none"),
    wireString("none"),
    wireString(""),
    uint32(1),
    wireString(encodePublicKey(publicBytes)),
    wireString(join([inner, padding])),
  ]));
  return [BEGIN, ...body.match(/.{1,70}/g) ?? [], END, ""].join("\n");
}

function encodePublicKey(publicBytes: Uint8Array): Uint8Array {
  return join([wireString(KEY_TYPE), wireString(publicBytes)]);
}

/** Reads SSH's length-prefixed fields (RFC 4251 section 5). */
class WireReader {
  readonly #bytes: Uint8Array;
  #position = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  expect(text: string): void {
    if (new TextDecoder().decode(this.#take(text.length)) !== text) {
      throw new TypeError("it does not begin as it should");
    }
  }

  uint32(): number {
    const bytes = this.#take(4);
    return new DataView(bytes.buffer, bytes.byteOffset).getUint32(0);
  }

  string(): Uint8Array {
    return this.#take(this.uint32());
  }

  text(): string {
    return new TextDecoder().decode(this.string());
  }

  #take(count: number): Uint8Array {
    if (count > this.#bytes.length - this.#position) throw new TypeError("it ends early");
    this.#position += count;
    return this.#bytes.slice(this.#position - count, this.#position);
  }
}

function uint32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value);
  return bytes;
}

function wireString(content: string | Uint8Array): Uint8Array {
  const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
  return join([uint32(bytes.length), bytes]);
}

function join(pieces: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(pieces.flatMap((piece) => [...piece]));
}

function encodeBase64(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes));
}

function decodeBase64(text: string): Uint8Array {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}
