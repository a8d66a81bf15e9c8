import { joinBytes } from "../../base/mod.ts";

/** Bytes of AES-GCM's initialization vector. */
const IV_BYTES = 12;

/** What only this process can open. */
export interface Seal {
  close(plain: Uint8Array<ArrayBuffer>): Promise<Uint8Array>;
  /** @throws DOMException for what was changed, or closed by another. */
  open(sealed: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>>;
}

/** AES-256-GCM under a key that is in no file: what it closes, nobody opens once this process has ended. */
export async function drawSeal(): Promise<Seal> {
  const algorithm = { name: "AES-GCM", length: 256 };
  const key = await crypto.subtle.generateKey(algorithm, false, ["encrypt", "decrypt"]);
  return {
    async close(plain) {
      const iv = crypto.getRandomValues(new Uint8Array(IV_BYTES));
      const sealed = new Uint8Array(await crypto.subtle.encrypt({ ...algorithm, iv }, key, plain));
      return joinBytes([iv, sealed]);
    },
    async open(sealed) {
      const iv = sealed.subarray(0, IV_BYTES);
      const body = sealed.subarray(IV_BYTES);
      return new Uint8Array(await crypto.subtle.decrypt({ ...algorithm, iv }, key, body));
    },
  };
}
