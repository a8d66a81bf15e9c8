/** Characters of a challenge that are read; longer ones are no challenge. */
const CHALLENGE_CHARS_MAX = 8_192;

/** What a registry wants a token for. */
export interface BearerChallenge {
  /** Where tokens are made; "" where it says none. */
  readonly realm: string;
  readonly service: string;
  readonly scopes: readonly string[];
}

/**
 * Reads `Bearer realm="…",service="…",scope="a b"` (RFC 9110 section 11.6.1) in one pass. Values without quotes are
 * taken too, unknown names are left out. Undefined for other schemes and for what is too long.
 */
export function parseChallenge(header: string | null): BearerChallenge | undefined {
  if (header === null || header.length > CHALLENGE_CHARS_MAX) return undefined;
  if (header.slice(0, 7).toLowerCase() !== "bearer ") return undefined;
  const values = new Map<string, string>();
  for (let at = 7; at < header.length;) {
    const equals = header.indexOf("=", at);
    if (equals < 0) break;
    const [value, end] = readValue(header, equals + 1);
    values.set(header.slice(at, equals).replaceAll(",", " ").trim().toLowerCase(), value);
    at = end;
  }
  return {
    realm: values.get("realm") ?? "",
    service: values.get("service") ?? "",
    scopes: (values.get("scope") ?? "").split(" ").filter((scope) => scope !== ""),
  };
}

/** A value from `start` on, and where what follows it begins. */
function readValue(header: string, start: number): readonly [string, number] {
  const isQuoted = header[start] === '"';
  const from = isQuoted ? start + 1 : start;
  const found = header.indexOf(isQuoted ? '"' : ",", from);
  const end = found < 0 ? header.length : found;
  return [header.slice(from, end), end + 1];
}
