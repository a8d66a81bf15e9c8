import type { Decoded } from "../bytes.ts";
import {
  type Credential,
  type CredentialForm,
  decodeCredential,
  encodeCredential,
} from "./credential.ts";

/** No join token begins like this: what follows its prefix is a version, never these letters. */
const FORM: CredentialForm = { prefix: "odist-key-", noun: "an API key" };

/** What a client needs to use a node from afar, besides an address. */
export interface ApiKey extends Pick<Credential, "secret" | "authorityKey"> {
  /** Names the key's row in the catalogue; no secret. */
  readonly keyId: string;
}

/** The text that is handed to people. */
export function encodeApiKey({ keyId, secret, authorityKey }: ApiKey): string {
  return encodeCredential(FORM, { id: keyId, secret, authorityKey });
}

/** Takes a key from its user; the reason tells a typo from a key that this program can't read. Never throws. */
export function decodeApiKey(text: string): Decoded<ApiKey> {
  const decoded = decodeCredential(FORM, text);
  if (decoded.kind === "malformed") return decoded;
  const { id, secret, authorityKey } = decoded.value;
  return { kind: "decoded", value: { keyId: id, secret, authorityKey } };
}
