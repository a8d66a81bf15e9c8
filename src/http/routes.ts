import { Hono } from "hono";
import { Exchange, type HttpParts } from "./exchange.ts";
import { authorize, type Caller, type RouteScope, scopeOf } from "./trust/mod.ts";
import { describeFailure, type Failure, unroutedAnswer } from "./wire/mod.ts";

/** One endpoint. `path` may hold `:name` parameters, one segment each. */
export interface Route {
  readonly methods: readonly ("GET" | "HEAD" | "POST" | "PUT" | "DELETE")[];
  readonly path: string;
  handle(exchange: Exchange): Response | Promise<Response>;
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
}

/** Answers requests by path and method, and says 404, 405 or a redirect where there is no such route. */
export class Router {
  readonly #hono = new Hono<{ Bindings: RouteBindings }>();
  readonly #paths = new Map<string, { readonly pattern: RegExp; readonly methods: Set<string> }>();
  readonly #parts: HttpParts;
  readonly #admitting: () => boolean;
  readonly #failureAnswer: ApiFamily["failureAnswer"];

  /** @throws InvariantError for a route that `route_scopes.ts` has no row for. */
  constructor(
    parts: HttpParts,
    families: readonly ApiFamily[],
    options: {
      readonly admitting: () => boolean;
      /** Words a refusal where no family does. */
      readonly failureAnswer: ApiFamily["failureAnswer"];
    },
  ) {
    this.#parts = parts;
    this.#admitting = options.admitting;
    this.#failureAnswer = options.failureAnswer;
    for (const family of families) {
      for (const route of family.routes) this.#mount(family, route);
    }
    this.#hono.notFound((context) => this.#unrouted(context.req.raw, context.env));
  }

  answer(request: Request, bindings: RouteBindings): Response | Promise<Response> {
    return this.#hono.fetch(request, bindings);
  }

  #mount(family: ApiFamily, route: Route): void {
    const known = this.#paths.get(route.path) ??
      { pattern: pathPattern(route.path), methods: new Set<string>() };
    // Whatever can be read can be asked about; Hono dispatches HEAD as GET.
    const methods = new Set(
      route.methods.flatMap((method) => method === "GET" ? [method, "HEAD" as const] : [method]),
    );
    for (const method of methods) known.methods.add(method);
    const scopes = new Map<string, ReturnType<typeof scopeOf>>(
      [...methods].map((method) => [method, scopeOf(method, route.path)]),
    );
    this.#paths.set(route.path, known);
    const mounted = new Set(route.methods.map((method) => method === "HEAD" ? "GET" : method));
    this.#hono.on([...mounted], route.path, async (context) => {
      const request = context.req.raw;
      const scope = scopes.get(request.method);
      if (scope === undefined) return this.#unrouted(request, context.env);
      const exchange = new Exchange(this.#parts, {
        family: family.name,
        route: route.path,
        requestId: context.env.requestId,
        gone: context.env.gone,
        body: context.env.body,
        caller: context.env.caller,
        admitting: this.#admitting,
      }, { request, params: context.req.param() });
      const response = await handle({ family, route, scope }, exchange);
      exchange.answered(response);
      // A stream that nobody reads would go on being made.
      if (request.method === "HEAD") await response.body?.cancel();
      return response;
    });
  }

  /** Counted under one label: the paths that strangers try must not become metrics of their own. */
  async #unrouted(request: Request, { caller }: RouteBindings): Promise<Response> {
    const response = await this.#refusedKey(request, caller) ?? this.#refuse(request);
    const labels = { family: "none", route: "unmatched", status: String(response.status) };
    this.#parts.metrics.increment("odist_http_requests_total", labels);
    return response;
  }

  /** Strangers are not even told which paths there are. */
  async #refusedKey(request: Request, caller: Caller): Promise<Response | undefined> {
    const authorization = request.headers.get("authorization");
    try {
      await authorize(caller, "use", { access: this.#parts.access, authorization });
      return undefined;
    } catch (error) {
      return challenge(this.#failureAnswer(describeFailure(error, request.signal)));
    }
  }

  #refuse(request: Request): Response {
    const url = new URL(request.url);
    const methods = this.#methodsOf(url.pathname);
    if (methods !== undefined) {
      const response = unroutedAnswer("405 method not allowed", 405);
      response.headers.set("allow", [...methods].join(", "));
      return response;
    }
    const bare = url.pathname.slice(0, -1);
    if (url.pathname.endsWith("/") && this.#methodsOf(bare) !== undefined) {
      const status = request.method === "GET" ? 301 : 307;
      return new Response(null, { status, headers: { location: `${bare}${url.search}` } });
    }
    // A base address that ends in a slash makes two of them.
    const single = url.pathname.replaceAll(/\/{2,}/g, "/");
    if (single !== url.pathname && this.#methodsOf(single) !== undefined) {
      return new Response(null, { status: 307, headers: { location: `${single}${url.search}` } });
    }
    return unroutedAnswer("404 page not found", 404);
  }

  #methodsOf(path: string): ReadonlySet<string> | undefined {
    for (const { pattern, methods } of this.#paths.values()) {
      if (pattern.test(path)) return methods;
    }
    return undefined;
  }
}

interface Mounted {
  readonly family: ApiFamily;
  readonly route: Route;
  readonly scope: RouteScope;
}

async function handle({ family, route, scope }: Mounted, exchange: Exchange): Promise<Response> {
  try {
    if (scope === "open") return await route.handle(exchange);
    const by = await exchange.authorize(scope);
    return await exchange.attribute(by, () => route.handle(exchange));
  } catch (error) {
    return challenge(family.failureAnswer(exchange.describe(error)));
  }
}

function challenge(response: Response): Response {
  if (response.status === 401) response.headers.set("www-authenticate", "Bearer");
  return response;
}

function pathPattern(path: string): RegExp {
  return new RegExp(`^${path.replaceAll(/:[a-z]+/g, "[^/]+")}$`);
}
