import { Hono } from "hono";
import { TrieRouter } from "hono/router/trie-router";
import { assert } from "../base/mod.ts";
import { KeyMeter } from "../core/queue/mod.ts";
import type { Scope } from "../protocol/mod.ts";
import { Exchange, type HttpParts } from "./exchange.ts";
import type { Resuming, Revival } from "./resuming/mod.ts";
import type { RunningRequests } from "./running_requests.ts";
import { authorizationOf, authorize, type Caller } from "./trust/mod.ts";
import { describeFailure, type Failure, unroutedAnswer } from "./wire/mod.ts";

/** `open`: answered to everyone, as it says nothing but whether the node lives. */
export type RouteScope = Scope | "open";

/** One endpoint. `path` may hold `:name` parameters, one segment each. */
export interface Route {
  /** HEAD is answered as GET, without a body, where it has no row of its own. */
  readonly method: "GET" | "HEAD" | "POST" | "PUT" | "DELETE";
  readonly path: string;
  /** What it wants of its caller, whether it comes over HTTP or over the port between nodes. */
  readonly scope: RouteScope;
  /** Present = clients may come back for the answer; how its body is read. */
  readonly resumable?: { readonly zstd: boolean };
  handle(exchange: Exchange): Response | Promise<Response>;
}

/** Rows for callers of one scope, as `"GET /path": handle`. */
export function routesFor(
  scope: RouteScope,
  handlers: Readonly<Record<`${Route["method"]} /${string}`, Route["handle"]>>,
): readonly Route[] {
  return Object.entries(handlers).map(([key, handle]) => {
    const [method, path = ""] = key.split(" ");
    return { method: method as Route["method"], path, scope, handle };
  });
}

/** As {@link routesFor}, for answers that clients may come back for. */
export function resumableRoutes(
  how: { readonly zstd: boolean },
  handlers: Readonly<Record<`POST /${string}`, Route["handle"]>>,
): readonly Route[] {
  return routesFor("use", handlers).map((route) => ({ ...route, resumable: how }));
}

/** The endpoints that word their errors alike. */
export interface ApiFamily {
  readonly name: string;
  readonly routes: readonly Route[];
  /** The only place where this family writes an error body. */
  failureAnswer(failure: Failure): Response;
}

/** What the app hands to the routes besides the request. */
export interface RouteBindings {
  readonly requestId: string;
  readonly gone: AbortSignal;
  readonly body: AsyncIterable<Uint8Array> | undefined;
  readonly caller: Caller;
  /** What is gone on with, and the answer that it goes on as. */
  readonly again?: Revival;
}

interface Mounted {
  readonly family: ApiFamily;
  readonly route: Route;
}

/** Answers requests by path and method, and says 404, 405 or a redirect where there is no such route. */
export class Router {
  /** Hono's usual router comes to this one, too, after it has tried to make one expression of all paths. */
  readonly #hono = new Hono<{ Bindings: RouteBindings }>({ router: new TrieRouter() });
  readonly #parts: HttpParts;
  readonly #admitting: () => boolean;
  readonly #running: RunningRequests;
  readonly #resuming: Resuming;
  /** What comes in on any of this node's ports counts together. */
  readonly #meter: KeyMeter;
  readonly #failureAnswer: ApiFamily["failureAnswer"];
  readonly #paths: ReadonlyMap<string, ReadonlyMap<string, Mounted>>;

  constructor(
    parts: HttpParts,
    families: readonly ApiFamily[],
    options: {
      readonly admitting: () => boolean;
      /** Is told of every request while it is answered. */
      readonly running: RunningRequests;
      readonly resuming: Resuming;
      /** Words a refusal where no family does. */
      readonly failureAnswer: ApiFamily["failureAnswer"];
    },
  ) {
    this.#parts = parts;
    this.#meter = parts.keyMeter ?? new KeyMeter();
    this.#admitting = options.admitting;
    this.#running = options.running;
    this.#resuming = options.resuming;
    this.#failureAnswer = options.failureAnswer;
    this.#paths = byPath(families);
    for (const [path, methods] of this.#paths) this.#mount(path, methods);
    this.#hono.notFound((context) => {
      return this.#unrouted(context.req.raw, context.env, () => this.#notFound(context.req.raw));
    });
  }

  answer(request: Request, bindings: RouteBindings): Response | Promise<Response> {
    return this.#hono.fetch(request, bindings);
  }

  /** What a path takes, as an `Allow` header has it; undefined when there is no such path. */
  methodsOf(pathname: string): string | undefined {
    const [[matched] = []] = this.#hono.router.match("GET", pathname);
    const methods = matched === undefined ? undefined : this.#paths.get(matched[0][1].path);
    return methods && [...methods.keys()].join(", ");
  }

  #mount(path: string, methods: ReadonlyMap<string, Mounted>): void {
    this.#hono.all(path, async (context) => {
      const request = context.req.raw;
      const mounted = methods.get(request.method);
      if (mounted === undefined) {
        return await this.#unrouted(request, context.env, () => notAllowed([...methods.keys()]));
      }
      const exchange = new Exchange(this.#parts, {
        family: mounted.family.name,
        route: path,
        requestId: context.env.requestId,
        gone: context.env.gone,
        body: context.env.body,
        caller: context.env.caller,
        admitting: this.#admitting,
        meter: this.#meter,
      }, { request, params: context.req.param() });
      exchange.onEnd(this.#running.add(exchange));
      const response = await this.#handle(mounted, exchange, context.env.again);
      exchange.answered(response);
      // A stream that nobody reads would go on being made.
      if (request.method === "HEAD") await response.body?.cancel();
      return response;
    });
  }

  async #handle(
    { family, route }: Mounted,
    exchange: Exchange,
    again: Revival | undefined,
  ): Promise<Response> {
    try {
      if (route.scope === "open") return await route.handle(exchange);
      if (again !== undefined) return await this.#resuming.goOn(exchange, route, again);
      const by = await exchange.authorize(route.scope);
      const { resumable } = route;
      return await exchange.attribute(
        by,
        () =>
          resumable === undefined
            ? route.handle(exchange)
            : this.#resuming.answer(exchange, { ...route, resumable }),
      );
    } catch (error) {
      return challenge(family.failureAnswer(exchange.describe(error)));
    }
  }

  /** Counted under one label: the paths that strangers try must not become metrics of their own. */
  async #unrouted(
    request: Request,
    { caller }: RouteBindings,
    refuse: () => Response,
  ): Promise<Response> {
    const response = await this.#refusedKey(request, caller) ?? refuse();
    const labels = { family: "none", route: "unmatched", status: String(response.status) };
    this.#parts.metrics.increment("odist_http_requests_total", labels);
    return response;
  }

  /** Strangers are not even told which paths there are. */
  async #refusedKey(request: Request, caller: Caller): Promise<Response | undefined> {
    const authorization = authorizationOf(request.headers);
    try {
      await authorize(caller, "use", { access: this.#parts.access, authorization });
      return undefined;
    } catch (error) {
      return challenge(this.#failureAnswer(describeFailure(error, request.signal)));
    }
  }

  #notFound(request: Request): Response {
    const { pathname, search } = new URL(request.url);
    const moved = (path: string, status: number) =>
      new Response(null, { status, headers: { location: `${path}${search}` } });
    const bare = pathname.slice(0, -1);
    if (pathname.endsWith("/") && this.#isRouted(bare)) {
      return moved(bare, request.method === "GET" ? 301 : 307);
    }
    // A base address that ends in a slash makes two of them.
    const single = pathname.replaceAll(/\/{2,}/g, "/");
    if (single !== pathname && this.#isRouted(single)) return moved(single, 307);
    return unroutedAnswer("404 page not found", 404);
  }

  /** Every path is mounted for all methods, so that any will do to ask. */
  #isRouted(path: string): boolean {
    const [handlers] = this.#hono.router.match("GET", path);
    return handlers.length > 0;
  }
}

/** The rows of all families as they are mounted: under each path who answers which method. */
function byPath(
  families: readonly ApiFamily[],
): ReadonlyMap<string, ReadonlyMap<string, Mounted>> {
  const paths = new Map<string, Map<string, Mounted>>();
  for (const family of families) {
    for (const route of family.routes) {
      const methods = paths.get(route.path) ?? new Map<string, Mounted>();
      assert(!methods.has(route.method), "An endpoint has one row", { path: route.path });
      paths.set(route.path, methods.set(route.method, { family, route }));
    }
  }
  for (const methods of paths.values()) {
    const get = methods.get("GET");
    if (get !== undefined && !methods.has("HEAD")) methods.set("HEAD", get);
  }
  return paths;
}

function notAllowed(methods: readonly string[]): Response {
  const response = unroutedAnswer("405 method not allowed", 405);
  response.headers.set("allow", methods.join(", "));
  return response;
}

function challenge(response: Response): Response {
  if (response.status === 401) response.headers.set("www-authenticate", "Bearer");
  return response;
}
