/**
 * A model registry on loopback that can be as awkward as real ones: tokens, redirects, and faults on demand. `registry.ts`
 * has the plain one.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { encodeManifest, type Manifest } from "../../src/protocol/mod.ts";

/** How a registry answers a blob request without a range. */
type BlobStyle =
  /** 200 with a `Location` back to the same path. */
  | "location"
  /** 307 to another host name, as the vendor's does. */
  | "redirect"
  /** 200 with the bytes and no `Location`. */
  | "plain";

export interface RegistrySettings {
  readonly blobStyle?: BlobStyle;
  /** Wants a signed token for everything but direct blob reads. */
  readonly wantsToken?: boolean;
  /** Sends upload parts elsewhere with a 307. */
  readonly redirectsUploads?: boolean;
  /** Default any that is free. */
  readonly port?: number;
  /** Speaks https as `localhost`. */
  readonly tls?: { readonly cert: string; readonly key: string };
}

/** A request as it came. */
export interface SeenRequest {
  readonly method: string;
  /** Path and query. */
  readonly path: string;
  readonly headers: Headers;
}

/** Answers a range request otherwise than rightly; undefined = rightly. */
type RangeFault = (request: SeenRequest, right: Uint8Array) => Response | undefined;
/** Answers any request in the registry's place; undefined = the registry does. */
type Interception = (request: SeenRequest) => Response | Promise<Response> | undefined;

export class FaultyRegistry {
  readonly seen: SeenRequest[] = [];
  readonly manifests = new Map<string, Uint8Array>();
  readonly blobs = new Map<string, Uint8Array>();
  rangeFault: RangeFault = () => undefined;
  intercept: Interception = () => undefined;
  readonly #firstRange = Promise.withResolvers<void>();
  /** Issues tokens `token-1`, `token-2`...; only the latest is good. */
  #tokens = 0;
  #expiry = { method: "", requests: Infinity };
  readonly #settings: RegistrySettings;
  readonly #server: Deno.HttpServer<Deno.NetAddr>;
  readonly #uploads = new Map<string, Uint8Array>();

  constructor(settings: RegistrySettings = {}) {
    this.#settings = settings;
    this.#server = Deno.serve(
      { hostname: "127.0.0.1", port: settings.port ?? 0, onListen: () => {}, ...settings.tls },
      (request) => this.#answer(request),
    );
  }

  /** Host and port for model names. */
  get host(): string {
    const hostname = this.#settings.tls === undefined ? "127.0.0.1" : "localhost";
    return `${hostname}:${this.#server.addr.port}`;
  }

  get #scheme(): "http" | "https" {
    return this.#settings.tls === undefined ? "http" : "https";
  }

  /** Its port, for addresses under other names. */
  get port(): number {
    return this.#server.addr.port;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }

  /** Offers a model `library/<model>:latest` with one layer per content. */
  offer(model: string, manifest: Manifest, contents: readonly Uint8Array[]): Uint8Array {
    for (const bytes of contents) this.blobs.set(digestTextOf(bytes), bytes);
    const bytes = encodeManifest(manifest);
    this.manifests.set(`library/${model}/latest`, bytes);
    return bytes;
  }

  /** Resolves once a range was asked for. */
  get seenRange(): Promise<void> {
    return this.#firstRange.promise;
  }

  /** The token in force goes bad with the `requests`th request of this method. */
  expireTokenAfter(method: string, requests: number): void {
    this.#expiry = { method, requests };
  }

  /** Ranges asked for so far, as `first-last`. */
  ranges(): string[] {
    return this.seen.map((request) => request.headers.get("range")?.replace("bytes=", ""))
      .filter((range) => range !== undefined);
  }

  async #answer(request: Request): Promise<Response> {
    const url = new URL(request.url);
    const seen = {
      method: request.method,
      path: url.pathname + url.search,
      headers: request.headers,
    };
    this.seen.push(seen);
    if (request.headers.has("range")) this.#firstRange.resolve();
    if (seen.method === this.#expiry.method && --this.#expiry.requests === 0) this.#tokens++;
    const intercepted = this.intercept(seen);
    if (intercepted !== undefined) {
      await request.body?.cancel();
      return await intercepted;
    }
    if (url.pathname === "/token") return await this.#issueToken(request);
    if (url.pathname.startsWith("/storage/")) return await this.#store(request, url);
    const isDirect = url.pathname.startsWith("/direct/") || request.headers.has("range");
    const isAllowed = request.headers.get("authorization") === `Bearer token-${this.#tokens}`;
    if (this.#settings.wantsToken && !isDirect && !isAllowed) {
      await request.body?.cancel();
      return this.#challenge(request);
    }
    const [, repository = "", kind, reference = ""] =
      /^\/(?:v2|direct)\/(.+)\/(manifests|blobs)\/(.+)$/.exec(url.pathname) ?? [];
    if (kind === "manifests") return await this.#manifest(request, `${repository}/${reference}`);
    if (kind !== "blobs") return new Response("no such path", { status: 404 });
    if (reference.startsWith("uploads/")) return await this.#upload(request, url, repository);
    return this.#blob(seen, url, reference);
  }

  async #manifest(request: Request, key: string): Promise<Response> {
    if (request.method === "PUT") {
      this.manifests.set(key, new Uint8Array(await request.arrayBuffer()));
      return new Response(null, { status: 201 });
    }
    const bytes = this.manifests.get(key);
    return bytes === undefined
      ? new Response("unknown", { status: 404 })
      : new Response(new Uint8Array(bytes));
  }

  #blob(seen: SeenRequest, url: URL, digest: string): Response {
    const bytes = this.blobs.get(digest);
    if (bytes === undefined) return new Response("unknown", { status: 404 });
    const range = /^bytes=(\d+)-(\d+)$/.exec(seen.headers.get("range") ?? "");
    if (range !== null) {
      const right = bytes.slice(Number(range[1]), Number(range[2]) + 1);
      return this.rangeFault(seen, right) ?? new Response(right, { status: 206 });
    }
    if (seen.method === "HEAD") {
      return new Response(null, { headers: { "content-length": String(bytes.length) } });
    }
    switch (this.#settings.blobStyle ?? "location") {
      case "location":
        return new Response("", { headers: { location: url.pathname } });
      case "redirect": {
        const location = url.toString().replace("127.0.0.1", "localhost").replace(
          "/v2/",
          "/direct/",
        );
        return new Response(null, { status: 307, headers: { location } });
      }
      case "plain":
        return new Response(new Uint8Array(bytes));
    }
  }

  async #upload(request: Request, url: URL, repository: string): Promise<Response> {
    const id = url.pathname.split("/").at(-1) || crypto.randomUUID();
    const location = `${this.#scheme}://${this.host}/v2/${repository}/blobs/uploads/${id}`;
    if (request.method === "POST") {
      const mounted = url.searchParams.get("mount");
      if (mounted !== null && this.blobs.has(mounted)) return new Response(null, { status: 201 });
      this.#uploads.set(id, new Uint8Array());
      return new Response(null, { status: 202, headers: { location } });
    }
    if (request.method === "PUT") return this.#finishUpload(id, url.searchParams);
    if (this.#settings.redirectsUploads) {
      await request.arrayBuffer();
      const range = request.headers.get("content-range");
      return new Response(null, {
        status: 307,
        headers: {
          location: `${this.#scheme}://${this.host}/storage/${id}?range=${range}`,
          "docker-upload-location": location,
        },
      });
    }
    const offset = Number(request.headers.get("content-range")?.split("-")[0]);
    this.#append(id, offset, new Uint8Array(await request.arrayBuffer()));
    return new Response(null, { status: 202, headers: { location } });
  }

  async #store(request: Request, url: URL): Promise<Response> {
    const offset = Number(url.searchParams.get("range")?.split("-")[0]);
    const id = url.pathname.split("/").at(-1) ?? "";
    this.#append(id, offset, new Uint8Array(await request.arrayBuffer()));
    return new Response(null, { status: 200 });
  }

  #append(id: string, offset: number, bytes: Uint8Array): void {
    const known = this.#uploads.get(id) ?? new Uint8Array();
    const whole = new Uint8Array(Math.max(known.length, offset + bytes.length));
    whole.set(known);
    whole.set(bytes, offset);
    this.#uploads.set(id, whole);
  }

  #finishUpload(id: string, query: URLSearchParams): Response {
    const bytes = this.#uploads.get(id) ?? new Uint8Array();
    const digest = query.get("digest") ?? "";
    if (digestTextOf(bytes) !== digest) return new Response("digest invalid", { status: 400 });
    this.blobs.set(digest, bytes);
    return new Response(null, { status: 201 });
  }

  #challenge(request: Request): Response {
    const realm = `${this.#scheme}://${request.headers.get("host")}/token`;
    const scope = `repository:library/m:pull ${request.method}`;
    return new Response("sign in", {
      status: 401,
      headers: { "www-authenticate": `Bearer realm="${realm}",service="test",scope="${scope}"` },
    });
  }

  async #issueToken(request: Request): Promise<Response> {
    const [publicKey = "", signature = ""] = (request.headers.get("authorization") ?? "").split(
      ":",
    );
    const text = `GET,${request.url},${btoa(createHash("sha256").digest("hex"))}`;
    const isSigned = await verify(publicKey, signature, text).catch(() => false);
    const query = new URL(request.url).searchParams;
    const isWhole = query.get("service") === "test" && query.getAll("scope").length === 2 &&
      query.has("ts") && query.has("nonce");
    if (!isSigned || !isWhole) return new Response("bad signature", { status: 403 });
    return Response.json({ token: `token-${++this.#tokens}` });
  }
}

function digestTextOf(bytes: Uint8Array): string {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}

async function verify(publicKey: string, signature: string, text: string): Promise<boolean> {
  const raw = decodeBase64(publicKey).slice(-32);
  const key = await crypto.subtle.importKey("raw", raw, "Ed25519", false, ["verify"]);
  const signed = new TextEncoder().encode(text);
  return await crypto.subtle.verify("Ed25519", key, decodeBase64(signature), signed);
}

function decodeBase64(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}
