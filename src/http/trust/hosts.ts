import { canonicalAddress, isLoopback, isSharedAddress, networkOf } from "./addresses.ts";
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
