/** Where a node listens or is reached. */
export interface HostAddress {
  /** `odist`: the port between nodes, which takes clients with a key; only for commands. */
  readonly scheme: "http" | "https" | "odist";
  /** A name or an address, without brackets. */
  readonly hostname: string;
  /** 0..65535; 0 = any free port, for listening only. */
  readonly port: number;
  /** "" or `/prefix` without a slash at its end; clients put it before each path. */
  readonly path: string;
}

/** What an address that says less means. */
export interface HostFallback {
  readonly hostname: string;
  readonly port: number;
}

/** Of nodes, UDP: the one after the HTTP API's. */
export const CLUSTER_PORT = 11435;
/** Ollama's own, so that existing clients find the node. */
const API_FALLBACK: HostFallback = { hostname: "127.0.0.1", port: 11434 };
const SCHEME_PORTS = { http: 80, https: 443, odist: CLUSTER_PORT } as const;

/** What a text came to: the address, and what was wrong with its port. */
export interface ReadHost {
  readonly address: HostAddress;
  /** The port as written when it is none; the address then carries the default one. */
  readonly badPort: string | undefined;
}

/**
 * Reads `host`, `host:port`, `:port`, `[v6]:port` and `scheme://host:port/path` (contract section 6). A scheme without
 * a port means that scheme's own port; anything else that of `fallback`, 11434. Undefined when it is no address at all.
 */
export function readHost(
  text: string,
  fallback: HostFallback = API_FALLBACK,
): ReadHost | undefined {
  const [, schemeText = "", rest = ""] = /^(?:([a-z][a-z0-9+.-]*):\/\/)?(.*)$/i.exec(text) ?? [];
  const scheme = schemeText === "" ? "http" : schemeText.toLowerCase();
  if (scheme !== "http" && scheme !== "https" && scheme !== "odist") return undefined;
  const slash = rest.indexOf("/");
  const authority = slash < 0 ? rest : rest.slice(0, slash);
  const path = slash < 0 ? "" : rest.slice(slash).replace(/\/+$/, "");
  const split = splitPort(authority);
  if (split === undefined || /[\s@?#%]/.test(split.hostname)) return undefined;
  const fallbackPort = schemeText === "" ? fallback.port : SCHEME_PORTS[scheme];
  const port = split.portText === undefined ? fallbackPort : parsePort(split.portText);
  return {
    address: {
      scheme,
      hostname: split.hostname === "" ? fallback.hostname : split.hostname,
      port: port ?? fallbackPort,
      path,
    },
    badPort: port === undefined ? split.portText : undefined,
  };
}

/** The form {@link readHost} reads back; the scheme only where it says something. */
export function formatHost(address: HostAddress): string {
  const host = address.hostname.includes(":") ? `[${address.hostname}]` : address.hostname;
  const plain = address.scheme === "http" && address.path === "";
  return plain
    ? `${host}:${address.port}`
    : `${address.scheme}://${host}:${address.port}${address.path}`;
}

function splitPort(
  authority: string,
): { readonly hostname: string; readonly portText: string | undefined } | undefined {
  const bracketed = /^\[([0-9a-f:.]+)\](?::(.*))?$/i.exec(authority);
  if (bracketed !== null) return { hostname: bracketed[1] ?? "", portText: bracketed[2] };
  // More than one colon without brackets is an IPv6 address without a port.
  if (/^[0-9a-f.]*:[0-9a-f:.]*:[0-9a-f:.]*$/i.test(authority)) {
    return { hostname: authority, portText: undefined };
  }
  const plain = /^([^:[\]]*)(?::([^:]*))?$/.exec(authority);
  return plain === null ? undefined : { hostname: plain[1] ?? "", portText: plain[2] };
}

function parsePort(text: string): number | undefined {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : NaN;
  return port <= 65535 ? port : undefined;
}
