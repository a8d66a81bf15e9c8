import { createHash } from "node:crypto";
import { errorMessage, joinBytes, PeerError } from "../../base/mod.ts";
import type { Clock, RegistryKey } from "../../ports/mod.ts";
import { MANIFEST_BYTES_MAX, MANIFEST_MEDIA_TYPE, type ModelName } from "../../protocol/mod.ts";

/** What talking to registries needs. */
export interface RegistryAccess {
  readonly clock: Clock;
  /** `User-Agent` of each request. */
  readonly userAgent: string;
  /** Absent = no registry that wants a signature can be used. */
  readonly key?: RegistryKey;
}

/** One request to a registry. */
export interface RegistryRequest {
  readonly method: "GET" | "HEAD" | "POST" | "PUT";
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
  readonly signal: AbortSignal;
}

/** Bytes of an error body that end up in a message. */
const ERROR_BODY_BYTES_MAX = 4_096;
/** Bytes of a token answer. */
const TOKEN_BODY_BYTES_MAX = 64 * 1024;
const NONCE_BYTES = 16;

/** Speaks to the registry of one model, with a token once it was asked for one (contract 2.4). */
export class RegistryClient {
  /** Host and port as in model names. */
  readonly host: string;
  readonly #access: RegistryAccess;
  readonly #origin: string;
  readonly #repository: string;
  readonly #tag: string;
  #token: string | undefined;

  constructor(
    name: ModelName,
    access: RegistryAccess,
    options: { readonly insecure: boolean },
  ) {
    this.host = name.host;
    this.#access = access;
    // The contract's reading of `insecure`: plain HTTP, not unchecked certificates.
    this.#origin = `${options.insecure ? "http" : "https"}://${name.host}`;
    this.#repository = `${name.namespace}/${name.model}`;
    this.#tag = name.tag;
  }

  /** Absolute address below the model's repository. */
  url(path: string): string {
    return `${this.#origin}/v2/${this.#repository}/${path}`;
  }

  /** @throws PeerError `registry_failed`; its text is `file does not exist` for an unknown model. */
  async getManifest(signal: AbortSignal): Promise<Uint8Array> {
    const response = await this.request(this.url(`manifests/${this.#tag}`), {
      method: "GET",
      headers: { accept: MANIFEST_MEDIA_TYPE },
      signal,
    });
    return await readBounded(await this.check(response), MANIFEST_BYTES_MAX);
  }

  async putManifest(bytes: Uint8Array, signal: AbortSignal): Promise<void> {
    const response = await this.request(this.url(`manifests/${this.#tag}`), {
      method: "PUT",
      headers: { "content-type": MANIFEST_MEDIA_TYPE },
      body: bytes,
      signal,
    });
    await (await this.check(response)).body?.cancel();
  }

  /**
   * Sends a request; redirects are not followed. A 401 that asks for a token gets one, once.
   *
   * @throws PeerError `registry_failed` when nobody answers or access is denied; `signal`'s reason.
   */
  async request(url: string, request: RegistryRequest): Promise<Response> {
    const first = await this.#send(url, request);
    if (first.status !== 401) return first;
    await first.body?.cancel();
    await this.authorize(first.headers.get("www-authenticate"), request.signal);
    const second = await this.#send(url, request);
    if (second.status !== 401) return second;
    await second.body?.cancel();
    throw accessDenied();
  }

  /** Headers that every request to the registry itself carries. */
  headers(): Record<string, string> {
    return {
      "user-agent": this.#access.userAgent,
      ...(this.#token !== undefined && { authorization: `Bearer ${this.#token}` }),
    };
  }

  /** Answers a challenge with a fresh token. @throws PeerError `registry_failed` when it can't or may not. */
  async authorize(challenge: string | null, signal: AbortSignal): Promise<void> {
    const { key, clock } = this.#access;
    if (key === undefined || challenge === null || !/^bearer /i.test(challenge)) {
      throw accessDenied();
    }
    const url = this.#tokenUrl(challenge, clock.nowMs());
    const signature = await key.sign(`GET,${url},${EMPTY_BODY_HASH}`);
    const response = await this.check(
      await sendOrFail(url, {
        method: "GET",
        headers: {
          "user-agent": this.#access.userAgent,
          authorization: `${await key.publicKey()}:${signature}`,
        },
        redirect: "manual",
        signal,
      }),
    );
    this.#token = readToken(await readBounded(response, TOKEN_BODY_BYTES_MAX));
  }

  /** Passes answers below 400 on. @throws PeerError `registry_failed` with status and body of others. */
  async check(response: Response): Promise<Response> {
    if (response.status < 400) return response;
    const body = await readBounded(response, ERROR_BODY_BYTES_MAX).catch(() => new Uint8Array());
    const text = new TextDecoder().decode(body);
    if (response.status === 404) throw failed("file does not exist");
    throw failed(`${response.status}: ${text}`);
  }

  async #send(url: string, request: RegistryRequest): Promise<Response> {
    const { method, headers, body, signal } = request;
    return await sendOrFail(url, {
      method,
      headers: { ...this.headers(), ...headers },
      redirect: "manual",
      signal,
      ...(body !== undefined && { body: new Uint8Array(body) }),
    });
  }

  #tokenUrl(challenge: string, nowMs: number): string {
    const values = new Map(
      [...challenge.matchAll(/(\w+)="([^"]*)"/g)].map(([, key = "", value = ""]) => [key, value]),
    );
    const url = parseUrl(values.get("realm") ?? "");
    // A registry that sends the signature elsewhere could have it used against another one.
    if (url === undefined || url.host !== new URL(this.#origin).host) {
      throw failed(`the token address "${values.get("realm") ?? ""}" is not on the registry`);
    }
    url.searchParams.set("service", values.get("service") ?? "");
    for (const scope of (values.get("scope") ?? "").split(" ").filter((item) => item !== "")) {
      url.searchParams.append("scope", scope);
    }
    url.searchParams.set("ts", String(Math.floor(nowMs / 1000)));
    url.searchParams.set("nonce", base64Url(crypto.getRandomValues(new Uint8Array(NONCE_BYTES))));
    return url.toString();
  }
}

/** Base64 of the hex SHA-256 of nothing: the body of a token request. */
const EMPTY_BODY_HASH = btoa(createHash("sha256").digest("hex"));

function failed(text: string, cause?: unknown): PeerError {
  return new PeerError("registry_failed", text, { cause });
}

function accessDenied(): PeerError {
  return failed("unauthorized: access denied");
}

/** `fetch` whose network failures name the host; cancelling stays the signal's reason. */
export async function sendOrFail(url: string, init: RequestInit): Promise<Response> {
  try {
    return await fetch(url, init);
  } catch (cause) {
    if (init.signal?.aborted) throw init.signal.reason;
    // The text quotes the address, which may carry a signature.
    const reason = errorMessage(cause).replace(/ for url \([^)]*\)/, "");
    throw failed(`cannot reach ${parseUrl(url)?.host}: ${reason}`, cause);
  }
}

/** Undefined for what is no address, relative to `base` where there is one. */
export function parseUrl(text: string, base?: string): URL | undefined {
  try {
    return new URL(text, base);
  } catch {
    return undefined;
  }
}

async function readBounded(response: Response, bytesMax: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let total = 0;
  for await (const chunk of response.body ?? []) {
    total += chunk.length;
    if (total > bytesMax) throw failed(`the answer is larger than ${bytesMax} bytes`);
    chunks.push(chunk);
  }
  return joinBytes(chunks);
}

function readToken(bytes: Uint8Array): string {
  try {
    const answer: unknown = JSON.parse(new TextDecoder().decode(bytes));
    if (typeof answer === "object" && answer !== null && "token" in answer) {
      const { token } = answer;
      if (typeof token === "string" && token !== "") return token;
    }
  } catch {
    // Falls through to the same refusal as an answer without a token.
  }
  throw failed("the registry's token answer holds no token");
}

function base64Url(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_");
}
