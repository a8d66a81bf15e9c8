/** Whose an address can be: this machine's, one's on a network that others don't share, or anyone's. */
export type Network = "loopback" | "private" | "public";

/** One spelling per address: no brackets, no zone, IPv4 within IPv6 as IPv4. Undefined for what is none. */
export function canonicalAddress(text: string): string | undefined {
  const bare = text.replace(/^\[(.*)\]$/, "$1").replace(/%.*$/, "");
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(bare)?.[1] ?? bare;
  if (ipv4Parts(mapped) !== undefined) return mapped;
  if (!/^[0-9a-f:.]*:[0-9a-f:.]*$/i.test(mapped)) return undefined;
  const url = URL.parse(`http://[${mapped}]/`);
  if (url === null) return undefined;
  const address = url.hostname.slice(1, -1);
  const [, high, low] = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(address) ?? [];
  return high === undefined || low === undefined ? address : dotted(high, low);
}

/** Of a {@link canonicalAddress}. Unspecified addresses are nobody else's, and so count as this machine's. */
export function networkOf(address: string): Network {
  const parts = ipv4Parts(address);
  if (parts === undefined) return networkOfIpv6(address);
  const [first = 0, second = 0] = parts;
  if (first === 127 || parts.every((part) => part === 0)) return "loopback";
  const isPrivate = first === 10 || (first === 172 && second >= 16 && second < 32) ||
    (first === 192 && second === 168) || (first === 169 && second === 254);
  return isPrivate ? "private" : "public";
}

/** Behind a provider's address translation (RFC 6598): nobody's name in DNS, and yet shared with strangers. */
export function isSharedAddress(address: string): boolean {
  const [first = 0, second = 0] = ipv4Parts(address) ?? [];
  return first === 100 && second >= 64 && second < 128;
}

/** Whether an address or name is this machine's own. */
export function isLoopback(host: string): boolean {
  if (host === "localhost") return true;
  const address = canonicalAddress(host);
  return address !== undefined && !isUnspecified(address) && networkOf(address) === "loopback";
}

function isUnspecified(address: string): boolean {
  return address === "0.0.0.0" || address === "::";
}

function networkOfIpv6(address: string): Network {
  if (address === "::1" || address === "::") return "loopback";
  return /^(f[cd][0-9a-f]{2}|fe[89ab][0-9a-f]):/.test(address) ? "private" : "public";
}

function ipv4Parts(address: string): readonly number[] | undefined {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(address);
  const parts = match?.slice(1).map(Number);
  return parts?.every((part) => part <= 255) === true ? parts : undefined;
}

function dotted(high: string, low: string): string {
  const bits = [high, low].map((half) => parseInt(half, 16));
  return bits.flatMap((half) => [half >> 8, half & 255]).join(".");
}
