import { HostRules } from "./hosts.ts";
import { type Caller, callerOf, type Sender } from "./caller.ts";
import type { HttpSettings } from "../settings.ts";

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
  "X-Api-Key",
  "Anthropic-Version",
  "Anthropic-Beta",
  "Anthropic-Dangerous-Direct-Browser-Access",
  "Idempotency-Key",
  "X-Conversation-Id",
  "X-Request-Id",
  "X-Odist-Deadline",
  "X-Odist-Keep",
  "X-Odist-Priority",
  "X-Odist-Status",
  "X-Odist-Volatile-Lines",
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
/** What pages may read besides what all may: who answered, under which id, what was not followed, and how to come back. */
const EXPOSED_HEADERS =
  "X-Request-Id, X-Odist-Node, X-Odist-Queue, X-Odist-Wake, X-Odist-Warning, " +
  "X-Odist-Volatile-Lines, X-Odist-Answer, X-Odist-Resume, Retry-After, " +
  ["Limit", "Remaining", "Reset"].flatMap((
    what,
  ) => [`X-RateLimit-${what}-Requests`, `X-RateLimit-${what}-Tokens`]).join(", ");
const PREFLIGHT_SECONDS_MAX = 12 * 3600;
const PREFLIGHT_VARY = "Origin, Access-Control-Request-Method, Access-Control-Request-Headers";
/**
 * What a browser sends for an origin: scheme, host and perhaps a port. Patterns are matched against nothing else, so that
 * their `*` never stands for a user name, a path, or a port that is none.
 */
const ORIGIN_PATTERN = /^[a-z][a-z0-9+.-]*:\/\/([\w.-]*|\[[0-9a-f:.]+\])(:\d{1,5})?$/i;
/** What every answer tells browsers: not to guess its type, not to show it on other sites, not to keep it. */
const SAFETY_HEADERS = {
  "x-content-type-options": "nosniff",
  "cross-origin-resource-policy": "same-origin",
  "cache-control": "no-store",
} as const;

/** What the guard decides: an answer instead of routing, or who asks and the headers of whatever answer comes. */
export type GuardVerdict =
  & { readonly headers: Readonly<Record<string, string>> }
  & (
    | { readonly kind: "answered"; readonly response: Response; readonly refusal?: GuardRefusal }
    | { readonly kind: "passed"; readonly caller: Caller }
  );

/** Why a request is none that this node answers. */
export type GuardRefusal = "foreign_host" | "foreign_origin" | "cross_site";

/**
 * Who may call at all (contract 1.0): only under a `Host` that can't be a rebound foreign name, and browsers only from
 * allowed origins. The same on every address that is listened on.
 */
export class Guard {
  readonly #allOrigins: boolean;
  readonly #exactOrigins: ReadonlySet<string>;
  readonly #originEnds: readonly (readonly [string, string])[];
  readonly #hosts: HostRules;
  readonly #isMemberOrigin: (origin: string) => boolean;

  constructor(settings: HttpSettings) {
    const origins = [...builtInOrigins(), ...settings.extraOrigins];
    this.#allOrigins = origins.includes("*");
    this.#exactOrigins = new Set(origins.filter((origin) => !origin.includes("*")));
    this.#originEnds = origins.filter((origin) => origin.includes("*")).map((origin) => {
      const star = origin.indexOf("*");
      return [origin.slice(0, star), origin.slice(star + 1)];
    });
    this.#hosts = new HostRules(settings);
    this.#isMemberOrigin = settings.isMemberOrigin ?? (() => false);
  }

  check(request: Request, sender: Sender): GuardVerdict {
    // A client that shows a key to the port between nodes is no page that was made to.
    if (sender.kind === "key_holder") {
      return { kind: "passed", caller: sender, headers: SAFETY_HEADERS };
    }
    const { headers } = request;
    const host = headers.get("host") ?? "";
    const standing = this.#hosts.standingOf(host);
    if (standing === "foreign") return refused("foreign_host");
    const origin = headers.get("origin") ?? "";
    // A page under a doubtful name may well be somebody else's.
    const sameOrigin = standing !== "doubtful" &&
      (origin === `http://${host}` || origin === `https://${host}`);
    const crossOrigin = origin !== "" && !sameOrigin;
    if (crossOrigin && !this.#originAllowed(origin)) return refused("foreign_origin");
    if (!crossOrigin && this.#isCrossSite(headers)) return refused("cross_site");
    const answerHeaders = {
      ...SAFETY_HEADERS,
      ...(crossOrigin ? this.#originHeaders(origin) : {}),
    };
    if (crossOrigin && request.method === "OPTIONS") {
      const preflight = this.#preflightHeaders();
      return {
        kind: "answered",
        response: emptyAnswer(204),
        headers: { ...answerHeaders, ...preflight },
      };
    }
    const underOwnName = standing === "own";
    const caller = callerOf(sender, { headers, underOwnName, isPage: crossOrigin });
    return { kind: "passed", caller, headers: answerHeaders };
  }

  #originAllowed(origin: string): boolean {
    if (this.#allOrigins) return true;
    if (!ORIGIN_PATTERN.test(origin)) return false;
    return this.#exactOrigins.has(origin) || this.#isMemberOrigin(origin) ||
      this.#originEnds.some(([start, end]) =>
        origin.length >= start.length + end.length && origin.startsWith(start) &&
        origin.endsWith(end)
      );
  }

  /** Pictures, scripts and links of other sites carry no `Origin`, but browsers say where they come from. */
  #isCrossSite(headers: Headers): boolean {
    return headers.get("sec-fetch-site") === "cross-site" && !this.#allOrigins;
  }

  #originHeaders(origin: string): Record<string, string> {
    return {
      "access-control-expose-headers": EXPOSED_HEADERS,
      ...(this.#allOrigins
        ? { "access-control-allow-origin": "*" }
        : { "access-control-allow-origin": origin, "vary": "Origin" }),
    };
  }

  #preflightHeaders(): Record<string, string> {
    return {
      "access-control-allow-methods": ALLOWED_METHODS,
      "access-control-allow-headers": ALLOWED_HEADERS,
      "access-control-max-age": String(PREFLIGHT_SECONDS_MAX),
      ...(this.#allOrigins ? {} : { "vary": PREFLIGHT_VARY }),
    };
  }
}

/** Empty, as Ollama's; a header tells people what they met. */
function refused(why: GuardRefusal): GuardVerdict {
  const headers = { ...SAFETY_HEADERS, "x-odist-refused": REFUSAL_TEXTS[why] };
  return { kind: "answered", response: emptyAnswer(403), headers, refusal: why };
}

const REFUSAL_TEXTS: Readonly<Record<GuardRefusal, string>> = {
  foreign_host: "the Host header names another machine; --allowed-hosts adds names of this one",
  foreign_origin: "pages of this origin may not ask; --origins adds origins",
  cross_site: "pages of other sites may not ask; --origins adds origins",
};

function builtInOrigins(): string[] {
  return [
    ...LOCAL_ORIGIN_HOSTS.flatMap((host) =>
      ["http", "https"].flatMap((scheme) => [`${scheme}://${host}`, `${scheme}://${host}:*`])
    ),
    ...APP_ORIGINS,
  ];
}

function emptyAnswer(status: number): Response {
  return new Response(null, { status });
}
