/** This machine's key towards model registries (contract 2.4). The key itself never leaves its owner. */
export interface RegistryKey {
  /** Public key in SSH wire form, standard base64. */
  publicKey(): Promise<string>;
  /** Ed25519 signature of the text's UTF-8 bytes, standard base64. */
  sign(text: string): Promise<string>;
}
