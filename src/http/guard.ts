import type { HttpSettings } from "./settings.ts";

const LOCAL_ORIGIN_HOSTS = ["localhost", "127.0.0.1", "0.0.0.0"];
const APP_ORIGINS = [
  "app://*",
  "file://*",
  "tauri://*",
  "vscode-webview://*",
  "vscode-file://*",
];
const ALLOWED_METHODS = "GET,POST,PUT,PATCH,DELETE,HEAD,OPTIONS";
const ALLOWED_HEADERS = [
  "Authorization",
  "Content-Type",
  "User-Agent",
  "Accept",
  "X-Requested-With",
  "OpenAI-Beta",
  ...[
    "Arch",
    "Async",
    "Custom-Poll-Interval",
    "Helper-Method",
    "Lang",
    "OS",
    "Package-Version",
    "Poll-Helper",
    "Retry-Count",
    "Runtime",
    "Runtime-Version",
    "Timeout",
  ].map((name) => `X-Stainless-${name}`),
].join(",");
const PREFLIGHT_SECONDS_MAX = 12 * 3600;
const LOCAL_HOST_SUFFIXES = [".localhost", ".local", ".internal"];

/** What the guard decides: an answer instead of routing, or headers for whatever answer comes. */
export interface GuardVerdict {
  readonly refusal?: Response;
  readonly headers?: Readonly<Record<string, string>>;
}

/**
 * Who may call at all (contract 1.0): browsers only from allowed origins, and on a loopback listener only under a
 * `Host` that can't be a rebound foreign name.
 */
export class Guard {
  readonly #allOrigins: boolean;
  readonly #exactOrigins: ReadonlySet<string>;
  readonly #originEnds: readonly (readonly [string, string])[];
  readonly #loopback: boolean;
  readonly #ownHosts: ReadonlySet<string>;

  constructor(settings: HttpSettings) {
    const origins = [...builtInOrigins(), ...settings.extraOrigins];
    this.#allOrigins = origins.includes("*");
    this.#exactOrigins = new Set(origins.filter((origin) => !origin.includes("*")));
    this.#originEnds = origins.filter((origin) => origin.includes("*")).map((origin) => {
      const star = origin.indexOf("*");
      return [origin.slice(0, star), origin.slice(star + 1)];
    });
    this.#loopback = isLoopback(settings.bindAddress);
    this.#ownHosts = new Set(settings.ownHosts.map((host) => host.toLowerCase()));
  }

  check(request: Request): GuardVerdict {
    const host = request.headers.get("host") ?? "";
    const origin = request.headers.get("origin") ?? "";
    const crossOrigin = origin !== "" && origin !== `http://${host}` &&
      origin !== `https://${host}`;
    if (crossOrigin && !this.#originAllowed(origin)) return { refusal: emptyAnswer(403) };
    const headers = crossOrigin ? this.#originHeaders(origin) : undefined;
    if (crossOrigin && request.method === "OPTIONS") {
      return { refusal: emptyAnswer(204, { ...headers, ...preflightHeaders() }) };
    }
    if (this.#loopback && !this.#hostAllowed(host)) return { refusal: emptyAnswer(403) };
    return headers === undefined ? {} : { headers };
  }

  #originAllowed(origin: string): boolean {
    return this.#allOrigins || this.#exactOrigins.has(origin) ||
      this.#originEnds.some(([start, end]) =>
        origin.length >= start.length + end.length && origin.startsWith(start) &&
        origin.endsWith(end)
      );
  }

  #originHeaders(origin: string): Record<string, string> {
    return this.#allOrigins
      ? { "access-control-allow-origin": "*" }
      : { "access-control-allow-origin": origin, "vary": "Origin" };
  }

  #hostAllowed(hostHeader: string): boolean {
    const host = hostWithoutPort(hostHeader).toLowerCase();
    return host === "" || host === "localhost" || this.#ownHosts.has(host) ||
      LOCAL_HOST_SUFFIXES.some((suffix) => host.endsWith(suffix)) ||
      isLoopback(host) || isPrivate(host);
  }
}

function builtInOrigins(): string[] {
  return [
    ...LOCAL_ORIGIN_HOSTS.flatMap((host) =>
      ["http", "https"].flatMap((scheme) => [`${scheme}://${host}`, `${scheme}://${host}:*`])
    ),
    ...APP_ORIGINS,
  ];
}

function preflightHeaders(): Record<string, string> {
  return {
    "access-control-allow-methods": ALLOWED_METHODS,
    "access-control-allow-headers": ALLOWED_HEADERS,
    "access-control-max-age": String(PREFLIGHT_SECONDS_MAX),
  };
}

function emptyAnswer(status: number, headers: Record<string, string> = {}): Response {
  return new Response(null, { status, headers });
}

function hostWithoutPort(host: string): string {
  const bracketed = /^\[([^\]]*)\](?::\d*)?$/.exec(host);
  if (bracketed !== null) return bracketed[1] ?? "";
  // More than one colon without brackets is a bare IPv6 address, which has no port.
  return host.indexOf(":") === host.lastIndexOf(":") ? host.replace(/:\d*$/, "") : host;
}

function ipv4Parts(address: string): readonly number[] | undefined {
  const match = /^(?:::ffff:)?(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(address);
  if (match === null) return undefined;
  const parts = match.slice(1).map(Number);
  return parts.every((part) => part <= 255) ? parts : undefined;
}

/** Whether an address or name is this machine's own. */
export function isLoopback(address: string): boolean {
  return address === "localhost" || address === "::1" || ipv4Parts(address)?.[0] === 127;
}

/** Private or unspecified: RFC 1918, unique local IPv6, `0.0.0.0`, `::`. */
function isPrivate(address: string): boolean {
  const parts = ipv4Parts(address);
  if (parts === undefined) return address === "::" || /^f[cd][0-9a-f]{2}:[0-9a-f:]*$/.test(address);
  const [first = 0, second = 0] = parts;
  return first === 10 || (first === 172 && second >= 16 && second < 32) ||
    (first === 192 && second === 168) || parts.every((part) => part === 0);
}
