import { isIP } from "node:net";
import { errorMessage, PeerError, printable, RequestError } from "../../base/mod.ts";
import type { Clock } from "../../ports/mod.ts";
import { type AdmittedAddress, refused } from "./address_policy.ts";
import { hostnameOf, type RegistryNetwork, SYSTEM_NETWORK } from "./registry_network.ts";
import { type IncomingAnswer, readAnswer } from "./send_request.ts";
import { sendWatched } from "./send_watched.ts";

/** Redirects that are followed from one address. */
const IMAGE_REDIRECTS_MAX = 5;
/** How long one image may take altogether, and say nothing meanwhile. Milliseconds. */
const IMAGE_TIMEOUT_MS = 30_000;
const IMAGE_STALL_MS = 10_000;

/** What fetching takes. */
export interface ImageFetcherParts {
  readonly clock: Clock;
  readonly userAgent: string;
  /** Default {@link SYSTEM_NETWORK}. */
  readonly network?: RegistryNetwork;
}

/** Reads the image at an address that a request named. */
export type FetchImage = (
  address: string,
  how: { readonly bytesMax: number; readonly signal: AbortSignal },
) => Promise<Uint8Array>;

/**
 * Fetches images for clients, from public addresses alone, redirected or not: a client must not see through this node what
 * only this machine or its network can reach. Names are resolved here and connected to at what was found.
 *
 * @returns A function that throws RequestError `invalid_request` with the reason.
 */
export function createImageFetcher(parts: ImageFetcherParts): FetchImage {
  return async (address, { bytesMax, signal }) => {
    const late = new AbortController();
    const timer = parts.clock.after(
      IMAGE_TIMEOUT_MS,
      () =>
        late.abort(new PeerError("registry_failed", `it took more than ${IMAGE_TIMEOUT_MS} ms`)),
    );
    try {
      const either = AbortSignal.any([signal, late.signal]);
      return await readAnswer(await follow(address, parts, either), bytesMax);
    } catch (cause) {
      signal.throwIfAborted();
      const reason = printable(errorMessage(cause));
      throw new RequestError("invalid_request", `cannot fetch an image: ${reason}`, { cause });
    } finally {
      timer.cancel();
    }
  };
}

async function follow(
  address: string,
  { clock, userAgent, network = SYSTEM_NETWORK }: ImageFetcherParts,
  signal: AbortSignal,
): Promise<IncomingAnswer> {
  let url = parse(address);
  for (let hops = 0; hops <= IMAGE_REDIRECTS_MAX; hops++) {
    const target = await admit(url, network);
    const headers = { "user-agent": userAgent, accept: "image/*" };
    const request = { method: "GET", headers, signal } as const;
    const answer = await sendWatched(target, request, { clock, stallMs: IMAGE_STALL_MS });
    if (answer.status === 200) return answer;
    const location = answer.header("location");
    answer.leave();
    if (answer.status < 300 || answer.status > 399 || location === undefined) {
      throw new PeerError("registry_failed", `${url.host} answered ${answer.status}`);
    }
    const next = parse(location, url);
    if (url.protocol === "https:" && next.protocol === "http:") {
      throw refused("it leaves https for http", next);
    }
    url = next;
  }
  throw new PeerError("registry_failed", `more than ${IMAGE_REDIRECTS_MAX} redirects`);
}

function parse(address: string, base?: URL): URL {
  const url = URL.parse(address, base?.href);
  if (url === null) throw new PeerError("address_refused", "its address is none");
  return url;
}

async function admit(url: URL, network: RegistryNetwork): Promise<AdmittedAddress> {
  if (url.protocol !== "https:" && url.protocol !== "http:") {
    throw refused("images are fetched by http and https", url);
  }
  if (url.username !== "" || url.password !== "") throw refused("it holds a user name", url);
  const hostname = hostnameOf(url);
  // Also where a proxy connects: it may reach more than this machine's clients should.
  const found = isIP(hostname) === 0 ? await network.resolve(hostname) : [hostname];
  const addresses = found.filter((numeric) => network.kindOf(numeric) === "public");
  if (addresses.length === 0) throw refused("images are fetched from public addresses only", url);
  return { url, addresses: network.isProxied(url) ? [] : addresses };
}
