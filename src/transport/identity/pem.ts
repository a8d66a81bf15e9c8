const LINE_CHARACTERS = 64;

/** The textual form of a key or certificate (RFC 7468). */
export function formatPem(label: string, bytes: Uint8Array): string {
  const lines = bytes.toBase64().match(new RegExp(`.{1,${LINE_CHARACTERS}}`, "g")) ?? [];
  return [`-----BEGIN ${label}-----`, ...lines, `-----END ${label}-----`, ""].join("\n");
}

/** The bytes in the first block with this label; undefined when there is none or it is not base64. */
export function parsePem(label: string, text: string): Uint8Array<ArrayBuffer> | undefined {
  const begin = `-----BEGIN ${label}-----`;
  const start = text.indexOf(begin);
  const end = text.indexOf(`-----END ${label}-----`, start);
  if (start < 0 || end < 0) return undefined;
  try {
    return Uint8Array.fromBase64(text.slice(start + begin.length, end).replaceAll(/\s/g, ""));
  } catch {
    return undefined; // The only way to learn that it is no base64; callers name the file.
  }
}

/** The bytes of each block with this label, in order; undefined when there is none or one is not base64. */
export function parsePems(label: string, text: string): Uint8Array<ArrayBuffer>[] | undefined {
  const end = `-----END ${label}-----`;
  const blocks = text.split(end).slice(0, -1).map((block) => parsePem(label, block + end));
  const whole = blocks.filter((block) => block !== undefined);
  return whole.length > 0 && whole.length === blocks.length ? whole : undefined;
}
