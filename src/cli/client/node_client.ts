import {
  errorMessage,
  isEdgeError,
  isErrorCommand,
  printable,
  printableText,
  RequestError,
  UnavailableError,
} from "../../base/mod.ts";
import { formatHost, type HostAddress } from "../../config/mod.ts";
import { isJsonObject, type JsonObject, linesOf } from "./json.ts";
import { readJsonLines } from "./json_lines.ts";
import { resumedBytes, type SendRequest } from "./resumed_answer.ts";

/** One node's HTTP API as commands use it. Holds no connection between calls. */
export class NodeClient {
  /** Without a slash at its end. */
  readonly #baseUrl: string;
  readonly #carry: SendRequest;
  readonly #key: string | undefined;
  readonly #onStale: (() => void) | undefined;
  readonly #senderAt: ((address: string) => SendRequest | undefined) | undefined;
  readonly #signal: AbortSignal | undefined;

  /**
   * `carry`: default over HTTP, where `key` is shown with each request; `onStale` is called with each answer that may miss
   * what other nodes have changed; `senderAt` reaches other members by their addresses, for the rest of answers whose node
   * dies; `signal` ends requests that have none of their own, and their answers, with its reason.
   */
  constructor(
    host: HostAddress,
    options: {
      readonly carry?: SendRequest;
      readonly key?: string;
      readonly onStale?: () => void;
      readonly senderAt?: (address: string) => SendRequest | undefined;
      readonly signal?: AbortSignal | undefined;
    } = {},
  ) {
    this.#signal = options.signal;
    this.#senderAt = options.senderAt;
    this.#key = options.key;
    this.#onStale = options.onStale;
    const address = formatHost({ ...host, hostname: reachable(host.hostname) });
    this.#baseUrl = address.includes("://") ? address : `http://${address}`;
    this.#carry = options.carry ??
      ((path, init) => fetch(`${this.#baseUrl}${path}`, withKey(init, options.key)));
  }

  /** The node's address, for messages. */
  get url(): string {
    return this.#baseUrl;
  }

  /**
   * One request with one JSON answer; `{}` when the answer has no body.
   *
   * @throws RequestError `request_failed` or `model_not_found` with the node's own text; UnavailableError
   * `node_unreachable`.
   */
  async ask(
    method: "GET" | "POST" | "PUT" | "DELETE",
    path: string,
    body?: JsonObject,
  ): Promise<JsonObject> {
    const response = await this.#fetch(path, { method, ...jsonBody(body) });
    const text = await response.text();
    const answer = text === "" ? {} : parseJson(text);
    if (!isJsonObject(answer)) throw this.#nonsense(text);
    return answer;
  }

  /**
   * A streamed answer, line by line. Leaving the loop early cancels the request.
   *
   * @throws as {@link NodeClient.ask}, also in the middle; the signal's reason.
   */
  async *stream(path: string, body: JsonObject, signal?: AbortSignal): AsyncGenerator<JsonObject> {
    const init = { method: "POST", ...jsonBody(body), ...(signal ? { signal } : {}) };
    const response = await this.#fetch(path, init);
    yield* checkedLines(response.body);
  }

  /** As {@link stream}, of what a model answers: it is read to its end at other nodes if this one dies. */
  async *answer(path: string, body: JsonObject, signal?: AbortSignal): AsyncGenerator<JsonObject> {
    const { body: text, headers } = jsonBody(body);
    const id = crypto.randomUUID();
    const named = { ...headers, "idempotency-key": id };
    const init = { method: "POST", ...(text === undefined ? {} : { body: text }), headers: named };
    const first = await this.#fetch(path, { ...init, ...(signal ? { signal } : {}) });
    // Who else there is must be known before the node is gone.
    const others = this.#others().catch(() => []);
    const senders = async () => [...await others, this.#carry];
    yield* checkedLines(ReadableStream.from(resumedBytes({ first, id, senders, signal })));
  }

  /** Members that can be asked, too. */
  async #others(): Promise<readonly SendRequest[]> {
    const { members, node_id: asked } = await this.ask("GET", "/api/cluster/status");
    const rows = Array.isArray(members) ? members.filter(isJsonObject) : [];
    return rows.filter((row) => row["node_id"] !== asked).flatMap((row) => {
      const [api, address] = [linesOf(row, "api"), linesOf(row, "address") ?? ""];
      const overHttp: SendRequest | undefined = api === undefined
        ? undefined
        : (path, init) => fetch(`${api}${path}`, withKey(init, this.#key));
      return [overHttp, this.#senderAt?.(address)].filter((sender) => sender !== undefined);
    });
  }

  /** The bytes behind a path, as they come; throws as {@link NodeClient.ask}. */
  async download(path: string): Promise<ReadableStream<Uint8Array>> {
    const response = await this.#fetch(path, { method: "GET" });
    return response.body ?? new Blob([]).stream();
  }

  /** Lets a model go as soon as its running answers have ended; throws as {@link NodeClient.ask}. */
  async unload(model: string): Promise<void> {
    await this.ask("POST", "/api/generate", { model, keep_alive: 0, stream: false });
  }

  /** Whether the node holds the blob. */
  async hasBlob(digest: string): Promise<boolean> {
    const response = await this.#send(`/api/blobs/${digest}`, { method: "HEAD" });
    await response.body?.cancel();
    if (response.ok) return true;
    if (response.status === 404) return false;
    throw new RequestError("request_failed", `Cannot ask for ${digest}: status ${response.status}`);
  }

  /** Uploads the bytes of one blob; the node checks them against the digest. */
  async uploadBlob(digest: string, bytes: ReadableStream<Uint8Array>): Promise<void> {
    const response = await this.#fetch(`/api/blobs/${digest}`, { method: "POST", body: bytes });
    await response.body?.cancel();
  }

  async #fetch(path: string, init: RequestInit): Promise<Response> {
    const response = await this.#send(path, init);
    if (response.headers.get("x-odist-consistency") === "stale") this.#onStale?.();
    if (response.ok) return response;
    const text = await response.text();
    const parsed = parseJson(text);
    const reason = isJsonObject(parsed) ? linesOf(parsed, "error") : undefined;
    const shown = reason ?? (printableText(text).trim() || `status ${response.status}`);
    const isMissing = response.status === 404 && reason !== undefined;
    const command = response.headers.get("x-odist-command") ?? "";
    throw new RequestError(isMissing ? "model_not_found" : "request_failed", shown, {
      status: response.status,
      // A node may be anybody's: only what this program knows is given to a person to type.
      command: isErrorCommand(command) ? command : "",
    });
  }

  async #send(path: string, given: RequestInit): Promise<Response> {
    const init = this.#signal === undefined ? given : { signal: this.#signal, ...given };
    try {
      return await this.#carry(path, init);
    } catch (error) {
      if (init.signal?.aborted) throw init.signal.reason;
      // What says itself where it failed and why.
      if (isEdgeError(error)) throw error;
      throw new UnavailableError(
        "node_unreachable",
        `Cannot reach a node at ${this.#baseUrl}: start one with "odist serve", or name another with --host ` +
          `(${reasonOf(error)})`,
        { cause: error },
      );
    }
  }

  #nonsense(text: string): RequestError {
    const start = printable(text.slice(0, 80));
    return new RequestError(
      "request_failed",
      `${this.#baseUrl} does not answer as a node: ${start}`,
    );
  }
}

async function* checkedLines(
  body: ReadableStream<Uint8Array> | null,
): AsyncGenerator<JsonObject> {
  for await (const line of readJsonLines(body)) {
    const failure = linesOf(line, "error");
    if (failure !== undefined) throw new RequestError("request_failed", failure);
    yield line;
  }
}

/** An address to listen on everywhere is reached on this machine. */
function reachable(hostname: string): string {
  if (hostname === "0.0.0.0") return "127.0.0.1";
  return hostname === "::" ? "::1" : hostname;
}

function withKey(init: RequestInit, key: string | undefined): RequestInit {
  if (key === undefined) return init;
  const headers = new Headers(init.headers);
  headers.set("authorization", `Bearer ${key}`);
  return { ...init, headers };
}

function jsonBody(
  body: JsonObject | undefined,
): { readonly body?: string; readonly headers?: Readonly<Record<string, string>> } {
  if (body === undefined) return {};
  return { body: JSON.stringify(body), headers: { "content-type": "application/json" } };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // A proxy's HTML page, for one; the caller shows the text.
  }
}

/** The innermost reason: the outer ones only repeat the address. */
function reasonOf(error: unknown): string {
  let inner = error;
  while (inner instanceof Error && inner.cause !== undefined) inner = inner.cause;
  return errorMessage(inner).replace(/^.*?: (?=[A-Z])/, "");
}
