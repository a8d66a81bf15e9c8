import { isIP } from "node:net";
import { errorMessage, PeerError, printable } from "../../base/mod.ts";
import type { AddressKind } from "./address_kind.ts";
import { hostnameOf, type RegistryNetwork } from "./registry_network.ts";

/** What a request does where it goes: reads, or sends what a model is made of. */
export type RequestPurpose = "read" | "write";

/** A url that may be connected to, and only at these numeric addresses. */
export interface AdmittedAddress {
  readonly url: URL;
  /** Empty where a proxy connects. */
  readonly addresses: readonly string[];
}

/** From the widest to the narrowest. Who lives in one may name addresses of those before it. */
const REACHES: readonly AddressKind[] = ["public", "private", "loopback"];

/**
 * Where one registry may send this node. Every request passes here before it is made, redirected or not:
 *
 * - http and https only, and nothing by http that began with https;
 * - what is sent goes to the registry's own origin, or elsewhere when both ends speak https;
 * - addresses that only this machine or its network can reach only when the registry's own name means such an address.
 *
 * Host names are resolved here and connected to at what was found, so a name can't mean something else by then. Behind a
 * proxy it is the proxy that resolves: a name this machine doesn't know is then judged by its spelling alone.
 */
export class AddressPolicy {
  readonly #origin: URL;
  readonly #network: RegistryNetwork;
  readonly #allowsPrivate: boolean;
  /** Of the registry itself, once it was resolved. */
  #ownKind: AddressKind | undefined;

  constructor(
    origin: string,
    options: { readonly network: RegistryNetwork; readonly allowsPrivate: boolean },
  ) {
    this.#origin = new URL(origin);
    this.#network = options.network;
    this.#allowsPrivate = options.allowsPrivate;
  }

  /** Whether an address is the registry's own: scheme, host and port. */
  isOwn(url: URL): boolean {
    return url.origin === this.#origin.origin;
  }

  /** @throws PeerError `address_refused` that says what is not allowed; `registry_failed` for a name nobody knows. */
  async admit(url: URL, purpose: RequestPurpose): Promise<AdmittedAddress> {
    this.#checkForm(url, purpose);
    const isProxied = this.#network.isProxied(url);
    const ownKind = this.#ownKind ??= widest(
      await this.#kinds(await this.#resolve(this.#origin, isProxied)),
    );
    const found = await this.#resolve(url, isProxied);
    const addresses = found.filter((address) => this.#reaches(address, ownKind));
    if (found.length > 0 && addresses.length === 0) {
      const [kind = "special"] = this.#kinds(found);
      throw refused(
        `${hostnameOf(url)} is a ${kind.replace("_", "-")} address and the registry's own is not` +
          `; --allow-private-registry allows it`,
        url,
      );
    }
    return { url, addresses: isProxied ? [] : addresses };
  }

  #checkForm(url: URL, purpose: RequestPurpose): void {
    if (url.protocol !== "https:" && url.protocol !== "http:") {
      throw refused(`wants http or https, got ${url.protocol.slice(0, -1)}`, url);
    }
    if (url.username !== "" || url.password !== "") throw refused("it holds a user name", url);
    if (this.isOwn(url)) return;
    if (this.#origin.protocol === "https:" && url.protocol === "http:") {
      throw refused("it leaves https for http", url);
    }
    if (purpose === "write" && this.#origin.protocol !== "https:") {
      throw refused("without https a model is sent to the registry itself only", url);
    }
  }

  #reaches(address: string, ownKind: AddressKind): boolean {
    const kind = this.#network.kindOf(address);
    if (this.#allowsPrivate || kind === ownKind || kind === "public") return true;
    const reach = REACHES.indexOf(kind);
    return reach >= 0 && reach < REACHES.indexOf(ownKind);
  }

  #kinds(addresses: readonly string[]): AddressKind[] {
    return addresses.map((address) => this.#network.kindOf(address));
  }

  async #resolve(url: URL, isProxied: boolean): Promise<readonly string[]> {
    const hostname = hostnameOf(url);
    if (isIP(hostname) !== 0) return [hostname];
    try {
      return await this.#network.resolve(hostname);
    } catch (cause) {
      if (isProxied) return [];
      throw new PeerError(
        "registry_failed",
        `cannot reach ${url.host}: ${printable(errorMessage(cause))}`,
        { cause },
      );
    }
  }
}

/** A name that means a public address and others is held to be public: it gains nothing by adding one of ours. */
function widest(kinds: readonly AddressKind[]): AddressKind {
  return REACHES.find((kind) => kinds.includes(kind)) ?? kinds[0] ?? "public";
}

/** An address that is not gone to. */
export function refused(reason: string, url: URL): PeerError {
  // Path and query may hold secrets of whoever made the address.
  const shown = url.host === "" ? `a ${url.protocol} address` : `${url.protocol}//${url.host}`;
  return new PeerError("address_refused", `refused to go to ${printable(shown)}: ${reason}`);
}
