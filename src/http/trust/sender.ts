import { canonicalAddress, type Network, networkOf } from "./addresses.ts";

/** Who a request came from, as far as its connection tells. */
export type Sender =
  | {
    readonly kind: "machine";
    readonly address: string;
    /** {@link address} is one of this machine's own. */
    readonly isOwn: boolean;
  }
  /** A client on the port between nodes, which lets nobody in without a key. */
  | { readonly kind: "key_holder"; readonly address: string; readonly key: string };

/** Who a request counts as: what connection, `Host` and the headers of proxies leave of {@link Sender}. */
export type Caller =
  /** A client on this machine, which asks under one of its names. */
  | { readonly kind: "own"; readonly address: string; readonly isPage: boolean }
  | {
    readonly kind: "afar";
    readonly address: string;
    readonly network: "private" | "public";
    /** A web page of another origin that may ask at all: whoever wrote it is not who opened it. */
    readonly isPage: boolean;
  }
  | Extract<Sender, { readonly kind: "key_holder" }>;

/** This machine itself, where nothing else is said. */
export const OWN_SENDER: Sender = { kind: "machine", address: "127.0.0.1", isOwn: true };

/** Headers with which proxies, tunnels and load balancers say that they carry somebody else's request. */
const FORWARDING_HEADERS: ReadonlySet<string> = new Set([
  "forwarded",
  "via",
  "x-real-ip",
  "x-client-ip",
  "x-cluster-client-ip",
  "x-original-forwarded-for",
  "x-envoy-external-address",
  "true-client-ip",
  "fly-client-ip",
  "fastly-client-ip",
]);
const FORWARDING_PREFIXES = ["x-forwarded-", "cf-", "tailscale-"];
/** Those of them that name the client, one address or several with commas between. */
const CLIENT_HEADERS = [
  "x-forwarded-for",
  "x-real-ip",
  "x-client-ip",
  "x-cluster-client-ip",
  "x-original-forwarded-for",
  "x-envoy-external-address",
  "true-client-ip",
  "cf-connecting-ip",
  "fly-client-ip",
  "fastly-client-ip",
];

/**
 * A request that was carried here is from afar, whoever carried it. Its addresses can be forged, but only towards what a
 * carrier that says nothing would have got anyway; one public address, or none at all, makes it public.
 */
export function callerOf(
  sender: Extract<Sender, { readonly kind: "machine" }>,
  request: {
    readonly headers: Headers;
    readonly underOwnName: boolean;
    readonly isPage: boolean;
  },
): Exclude<Caller, { readonly kind: "key_holder" }> {
  const { address, isOwn } = sender;
  const { headers, underOwnName, isPage } = request;
  const direct = canonicalAddress(address);
  if (!isForwarded(headers)) {
    if (isOwn && underOwnName) return { kind: "own", address, isPage };
    const network = isOwn ? "private" : privateOrPublic(direct);
    return { kind: "afar", address, network, isPage };
  }
  const named = forwardedAddresses(headers);
  const networks = [isOwn ? "private" : privateOrPublic(direct), ...named.map(privateOrPublic)];
  const isPrivate = named.length > 0 && networks.every((network) => network === "private");
  const shown = named.find((one) => one !== undefined);
  return {
    kind: "afar",
    address: shown === undefined ? address : `${shown} through ${address}`,
    network: isPrivate ? "private" : "public",
    isPage,
  };
}

function isForwarded(headers: Headers): boolean {
  for (const name of headers.keys()) {
    if (FORWARDING_HEADERS.has(name)) return true;
    if (FORWARDING_PREFIXES.some((prefix) => name.startsWith(prefix))) return true;
  }
  return false;
}

/** Undefined for each that can't be read. */
function forwardedAddresses(headers: Headers): readonly (string | undefined)[] {
  const listed = CLIENT_HEADERS.flatMap((name) => headers.get(name)?.split(",") ?? []);
  const elements = headers.get("forwarded")?.split(",") ?? [];
  const clients = elements.map((element) => /(?:^|;)\s*for="?([^";]*)/i.exec(element)?.[1] ?? "");
  return [...listed, ...clients].map((text) => readAddress(text.trim()));
}

/** With or without a port. */
function readAddress(text: string): string | undefined {
  const whole = canonicalAddress(text);
  if (whole !== undefined) return whole;
  return canonicalAddress(text.replace(/:\d{1,5}$/, ""));
}

function privateOrPublic(address: string | undefined): "private" | "public" {
  if (address === undefined) return "public";
  const network: Network = networkOf(address);
  return network === "public" ? "public" : "private";
}
