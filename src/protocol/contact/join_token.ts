import type { Decoded } from "../bytes.ts";
import {
  type Credential,
  type CredentialForm,
  decodeCredential,
  encodeCredential,
} from "./credential.ts";

const FORM: CredentialForm = { prefix: "odist-", noun: "a join token" };

/** What a node needs to join a cluster, besides an address. */
export interface JoinToken extends Pick<Credential, "secret" | "authorityKey"> {
  /** Names the token's row in the catalogue; no secret. */
  readonly tokenId: string;
}

/** The text that is handed to people. */
export function encodeJoinToken({ tokenId, secret, authorityKey }: JoinToken): string {
  return encodeCredential(FORM, { id: tokenId, secret, authorityKey });
}

/** Takes a token from a command line; the reason tells a typo from a token that this program can't read. Never throws. */
export function decodeJoinToken(text: string): Decoded<JoinToken> {
  const decoded = decodeCredential(FORM, text);
  if (decoded.kind === "malformed") return decoded;
  const { id, secret, authorityKey } = decoded.value;
  return { kind: "decoded", value: { tokenId: id, secret, authorityKey } };
}
