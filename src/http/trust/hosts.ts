import type { HttpSettings } from "../settings.ts";

/**
 * What a `Host` header says about who asks. `own`: a name that only clients on this machine use for this machine, or one
 * of its own names and addresses. `known`: a name that nobody else can point here, but that may stand for a machine
 * between. `doubtful`: whoever answers name queries on some network could have pointed it here. `foreign`: none of ours.
 */
export type HostStanding = "own" | "known" | "doubtful" | "foreign";

/** By which programs in containers and virtual machines reach their host. */
const HOST_OF_CONTAINER = [
  "host.docker.internal",
  "gateway.docker.internal",
  "kubernetes.docker.internal",
  "host.containers.internal",
  "host.lima.internal",
  "host.orb.internal",
];
/** What home and office networks hang behind the names of their machines; nobody can register any of them. */
const SITE_SUFFIXES = ["local", "lan", "home", "home.arpa", "internal", "localdomain"];
/** A service of Compose (`ollama`) or Kubernetes (`ollama.apps.svc`). Never a number, which is another way to write an address. */
const SERVICE_PATTERN = /^(?!\d+$|0x)[a-z0-9_-]+(\.[a-z0-9-]+\.svc(\.cluster\.local)?)?$/;

type HostSettings = Pick<
  HttpSettings,
  "bindAddress" | "ownNames" | "isOwnAddress" | "allowedHosts"
>;

/** Tells names of this machine from others, so that no page can have its own name pointed here (DNS rebinding). */
export class HostRules {
  readonly #settings: HostSettings;
  readonly #ownNames: ReadonlySet<string>;
  readonly #onlyHere: boolean;

  constructor(settings: HostSettings) {
    this.#settings = settings;
    this.#onlyHere = isLoopback(settings.bindAddress);
    this.#ownNames = new Set(settings.ownNames.flatMap(spellingsOf));
  }

  standingOf(hostHeader: string): HostStanding {
    const host = hostWithoutPort(hostHeader).toLowerCase();
    if (host === "" || host === "localhost" || host.endsWith(".localhost")) return "own";
    const address = canonicalAddress(host);
    if (address !== undefined) return this.#standingOfAddress(address);
    if (this.#ownNames.has(host)) return "own";
    return this.#standingOfName(host);
  }

  #standingOfAddress(address: string): HostStanding {
    const network = networkOf(address);
    if (network === "loopback" || this.#settings.isOwnAddress(address)) return "own";
    // An address can't be pointed elsewhere, but it may be that of a machine that carries requests here.
    if (network === "private" || isSharedAddress(address)) return "known";
    return this.#isAllowed(address) ? "known" : this.#unlessAnyIsAllowed();
  }

  #standingOfName(host: string): HostStanding {
    if (HOST_OF_CONTAINER.includes(host) || this.#isAllowed(host)) return "known";
    if (!this.#onlyHere && SERVICE_PATTERN.test(host)) return "doubtful";
    return this.#unlessAnyIsAllowed();
  }

  #isAllowed(host: string): boolean {
    return this.#settings.allowedHosts.some((allowed) =>
      allowed.startsWith("*.")
        ? host.endsWith(allowed.slice(1).toLowerCase())
        : host === allowed.toLowerCase()
    );
  }

  #unlessAnyIsAllowed(): HostStanding {
    return this.#settings.allowedHosts.includes("*") ? "doubtful" : "foreign";
  }
}

/** `box` is also called `box.lan`; `box.example.com` also `box`. */
function spellingsOf(name: string): string[] {
  const whole = name.toLowerCase();
  const label = whole.replace(/\..*$/, "");
  return [whole, label, ...SITE_SUFFIXES.map((suffix) => `${label}.${suffix}`)];
}

function hostWithoutPort(host: string): string {
  const bracketed = /^\[([^\]]*)\](?::\d*)?$/.exec(host);
  if (bracketed !== null) return bracketed[1] ?? "";
  // More than one colon without brackets is a bare IPv6 address, which has no port.
  return host.indexOf(":") === host.lastIndexOf(":") ? host.replace(/:\d*$/, "") : host;
}

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
function isSharedAddress(address: string): boolean {
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
