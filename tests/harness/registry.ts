import { digestOf } from "./test_models.ts";

const MANIFEST_TYPE = "application/vnd.docker.distribution.manifest.v2+json";
const CONFIG_TYPE = "application/vnd.docker.container.image.v1+json";
const LAYER_TYPE = "application/vnd.ollama.image.";

/** One request a registry got. */
export interface SeenRequest {
  readonly method: string;
  readonly path: string;
  readonly range: string | null;
}

interface StoredLayer {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
}

/** A model registry on a free local port, as small as clients allow (contract 2.7). No authentication. */
export class TestRegistry implements AsyncDisposable {
  readonly seen: SeenRequest[] = [];
  readonly blobs = new Map<string, Uint8Array<ArrayBuffer>>();
  readonly manifests = new Map<string, Uint8Array<ArrayBuffer>>();
  readonly #server: Deno.HttpServer<Deno.NetAddr>;
  readonly #uploads = new Map<string, Uint8Array<ArrayBuffer>[]>();
  #holdAfterBytes = Infinity;

  constructor() {
    this.#server = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen() {} },
      (request) => this.#answer(request),
    );
  }

  /** `127.0.0.1:<port>`, the host part of a model's name. */
  get host(): string {
    return `127.0.0.1:${this.#server.addr.port}`;
  }

  /** Stores a model of one weights file and returns the name to pull it by. */
  addModel(
    model: string,
    parts: { readonly weights: Uint8Array<ArrayBuffer>; readonly system?: string },
  ): string {
    const layers = [this.#store("model", parts.weights)];
    if (parts.system !== undefined) {
      layers.push(this.#store("system", new TextEncoder().encode(parts.system)));
    }
    const config = {
      model_format: "gguf",
      model_family: "llama",
      architecture: "amd64",
      os: "linux",
    };
    const manifest = {
      schemaVersion: 2,
      mediaType: MANIFEST_TYPE,
      config: {
        ...this.#store("config", new TextEncoder().encode(JSON.stringify(config))),
        mediaType: CONFIG_TYPE,
      },
      layers,
    };
    // Spaces that no encoder would write: the bytes must come through as they are.
    const text = JSON.stringify(manifest, null, 3);
    this.manifests.set(`library/${model}/latest`, new TextEncoder().encode(text));
    return `${this.host}/library/${model}`;
  }

  /** From now on a blob stalls after this many bytes, until {@link release}. */
  holdAfter(bytes: number): void {
    this.#holdAfterBytes = bytes;
  }

  release(): void {
    this.#holdAfterBytes = Infinity;
  }

  /** Ranges that were asked of one blob. */
  rangesOf(digest: string): string[] {
    return this.seen.filter(({ method, path }) => method === "GET" && path.endsWith(digest))
      .flatMap(({ range }) => range === null ? [] : [range]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Stalled bodies would keep a graceful end waiting for ever.
    this.release();
    await this.#server.shutdown();
  }

  #store(kind: string, bytes: Uint8Array<ArrayBuffer>): StoredLayer {
    const digest = digestOf(bytes);
    this.blobs.set(digest, bytes);
    return { mediaType: `${LAYER_TYPE}${kind}`, digest, size: bytes.length };
  }

  async #answer(request: Request): Promise<Response> {
    const { pathname, searchParams } = new URL(request.url);
    const range = request.headers.get("range");
    this.seen.push({ method: request.method, path: pathname, range });
    const manifest = /^\/v2\/(.+)\/manifests\/([^/]+)$/.exec(pathname);
    if (manifest !== null) return await this.#manifest(request, `${manifest[1]}/${manifest[2]}`);
    if (pathname.includes("/blobs/uploads/")) {
      return await this.#upload(request, pathname, searchParams.get("digest"));
    }
    const blob = this.blobs.get(pathname.split("/").at(-1) ?? "");
    if (blob === undefined) return new Response(null, { status: 404 });
    return this.#blob(request, { blob, pathname, range });
  }

  async #manifest(request: Request, key: string): Promise<Response> {
    if (request.method === "PUT") {
      this.manifests.set(key, await request.bytes());
      return new Response(null, { status: 201 });
    }
    const bytes = this.manifests.get(key);
    if (bytes === undefined) return new Response("no such manifest", { status: 404 });
    return new Response(bytes, { headers: { "content-type": MANIFEST_TYPE } });
  }

  #blob(
    request: Request,
    parts: {
      readonly blob: Uint8Array<ArrayBuffer>;
      readonly pathname: string;
      readonly range: string | null;
    },
  ): Response {
    const { blob, pathname, range } = parts;
    const length = { "content-length": String(blob.length) };
    if (request.method === "HEAD") return new Response(null, { headers: length });
    if (range === null) return new Response(blob, { headers: { location: pathname } });
    const [, from = "0", to = ""] = /^bytes=(\d+)-(\d*)$/.exec(range) ?? [];
    const end = to === "" ? blob.length : Math.min(Number(to) + 1, blob.length);
    const slice = blob.slice(Number(from), end);
    const headers = { "content-range": `bytes ${from}-${end - 1}/${blob.length}` };
    if (slice.length <= this.#holdAfterBytes) return new Response(slice, { status: 206, headers });
    return new Response(this.#stalled(slice), { status: 206, headers });
  }

  /** The first part of some bytes, then nothing more until the reader gives up. */
  #stalled(bytes: Uint8Array<ArrayBuffer>): ReadableStream<Uint8Array<ArrayBuffer>> {
    const first = bytes.slice(0, this.#holdAfterBytes);
    return new ReadableStream({ start: (controller) => controller.enqueue(first) });
  }

  async #upload(request: Request, pathname: string, digest: string | null): Promise<Response> {
    const bytes = await request.bytes();
    if (request.method === "POST") {
      const id = crypto.randomUUID();
      this.#uploads.set(id, []);
      return this.#continueUpload(`${pathname}${id}`);
    }
    const parts = this.#uploads.get(pathname.split("/").at(-1) ?? "");
    if (parts === undefined) return new Response(null, { status: 404 });
    parts.push(bytes);
    if (request.method === "PATCH") return this.#continueUpload(pathname);
    const whole = new Uint8Array(await new Blob(parts).arrayBuffer());
    if (digestOf(whole) !== digest) return new Response("digest mismatch", { status: 400 });
    this.blobs.set(digest, whole);
    return new Response(null, { status: 201 });
  }

  #continueUpload(path: string): Response {
    const location = `http://${this.host}${path}`;
    return new Response(null, { status: 202, headers: { location } });
  }
}
