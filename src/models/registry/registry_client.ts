import { createHash } from "node:crypto";
import { PeerError, printable } from "../../base/mod.ts";
import type { Clock, RegistryKey } from "../../ports/mod.ts";
import { MANIFEST_BYTES_MAX, MANIFEST_MEDIA_TYPE, type ModelName } from "../../protocol/mod.ts";
import { orAborted } from "../waiting.ts";
import { AddressPolicy, refused, type RequestPurpose } from "./address_policy.ts";
import { type BearerChallenge, parseChallenge } from "./challenge.ts";
import type { RegistryNetwork } from "./registry_network.ts";
import {
  type IncomingAnswer,
  type OutgoingBody,
  type OutgoingRequest,
  readAnswer,
} from "./send_request.ts";
import { sendWatched } from "./send_watched.ts";

/** What talking to registries needs. */
export interface RegistryAccess {
  readonly clock: Clock;
  /** `User-Agent` of each request. */
  readonly userAgent: string;
  /** Absent = no registry that wants a signature can be used. */
  readonly key?: RegistryKey;
  readonly network: RegistryNetwork;
  /** Lets registries name addresses that only this machine or its network can reach. */
  readonly allowsPrivate: boolean;
}

/** One request to a registry, or to where it sent us. */
export interface RegistryRequest {
  readonly method: OutgoingRequest["method"];
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: OutgoingBody;
  /** Never shows the token: the address itself is what allows the request. */
  readonly isBare?: boolean;
  readonly signal: AbortSignal;
}

/** An answer, with the address it came from. */
export interface RegistryAnswer extends IncomingAnswer {
  readonly url: URL;
  /** Whether the registry itself gave it. */
  readonly isOwn: boolean;
}

/** Characters of an error body that end up in a message. */
const ERROR_BODY_CHARS_MAX = 4_096;
/** Bytes of a token answer. */
const TOKEN_BODY_BYTES_MAX = 64 * 1024;
/** Redirects of one request that are followed. */
const REDIRECTS_MAX = 10;
/** Characters of an address that are taken. */
const ADDRESS_CHARS_MAX = 16_384;
const NONCE_BYTES = 16;
/** Longest silence before or within an answer. Milliseconds; longer than a part of a blob waits before it begins again. */
const SILENCE_MAX_MS = 60_000;

/**
 * Speaks to the registry of one model, with a token once it was asked for one (contract 2.4). Only the registry's own
 * origin sees the token, and only addresses that {@link AddressPolicy} admits are asked at all.
 */
export class RegistryClient {
  /** Host and port as in model names. */
  readonly host: string;
  readonly #access: RegistryAccess;
  readonly #origin: string;
  readonly #policy: AddressPolicy;
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
    this.#policy = new AddressPolicy(this.#origin, access);
    this.#repository = `${name.namespace}/${name.model}`;
    this.#tag = name.tag;
  }

  /** Absolute address below the model's repository. */
  url(path: string): URL {
    return new URL(`${this.#origin}/v2/${this.#repository}/${path}`);
  }

  /** @throws PeerError `registry_failed`; its text is `file does not exist` for an unknown model. */
  async getManifest(signal: AbortSignal): Promise<Uint8Array> {
    const answer = await this.request(this.url(`manifests/${this.#tag}`), {
      method: "GET",
      headers: { accept: MANIFEST_MEDIA_TYPE },
      signal,
    });
    return await readAnswer(await this.check(answer), MANIFEST_BYTES_MAX);
  }

  async putManifest(bytes: Uint8Array, signal: AbortSignal): Promise<void> {
    const answer = await this.request(this.url(`manifests/${this.#tag}`), {
      method: "PUT",
      headers: { "content-type": MANIFEST_MEDIA_TYPE },
      body: bytes,
      signal,
    });
    (await this.check(answer)).leave();
  }

  /**
   * Sends a request and follows redirects, as far as they are admitted: what reads follows all, what writes those that
   * keep method and body.
   *
   * @throws as {@link RegistryClient.send}; PeerError `registry_failed` for a redirect that is not followed.
   */
  async request(from: URL, request: RegistryRequest): Promise<RegistryAnswer> {
    let url = from;
    for (let step = 0; step <= REDIRECTS_MAX; step++) {
      const answer = await this.send(url, request);
      if (answer.status < 300 || answer.status >= 400) return answer;
      answer.leave();
      const keepsMethod = answer.status === 307 || answer.status === 308;
      if (purposeOf(request) === "write" && !keepsMethod) {
        throw failed(`${answer.status} is no answer to ${request.method}`);
      }
      url = this.next(answer, { purpose: purposeOf(request), headers: ["location"] });
    }
    throw failed(`more than ${REDIRECTS_MAX} redirects`);
  }

  /**
   * Sends one request; redirects are not followed. A 401 of the registry that asks for a token gets one, once, unless
   * the body can be sent only once.
   *
   * @throws PeerError `address_refused`; `registry_failed` when nobody answers or access is denied; `signal`'s
   *   reason.
   */
  async send(url: URL, request: RegistryRequest): Promise<RegistryAnswer> {
    const first = await this.#sendOnce(url, request);
    const isStream = request.body !== undefined && !(request.body instanceof Uint8Array);
    if (first.status !== 401 || !first.isOwn || isStream) return first;
    first.leave();
    await this.authorize(first, request.signal);
    const second = await this.#sendOnce(url, request);
    if (second.status !== 401) return second;
    second.leave();
    throw accessDenied();
  }

  /** Answers a challenge of the registry with a fresh token. @throws PeerError `registry_failed` when it can't or may not. */
  async authorize(refusal: RegistryAnswer, signal: AbortSignal): Promise<void> {
    const { key, clock } = this.#access;
    const challenge = parseChallenge(refusal.header("www-authenticate") ?? null);
    if (key === undefined || challenge === undefined || !refusal.isOwn) throw accessDenied();
    const url = this.#tokenUrl(challenge, clock.nowMs());
    const signature = await key.sign(`GET,${url},${EMPTY_BODY_HASH}`);
    const answer = await this.check(
      await this.#sendOnce(url, {
        method: "GET",
        headers: { authorization: `${await key.publicKey()}:${signature}` },
        signal,
      }),
    );
    if (answer.status >= 300) {
      answer.leave();
      // The signature is for this one address.
      throw failed("the registry redirects a request for a token");
    }
    this.#token = readToken(await readAnswer(answer, TOKEN_BODY_BYTES_MAX));
  }

  /**
   * Passes answers below 400 on. @throws PeerError `registry_failed` with the status of others, and the body where it is
   * the registry's own: what other hosts say is nobody's business who names a registry.
   */
  async check(answer: RegistryAnswer): Promise<RegistryAnswer> {
    if (answer.status < 400) return answer;
    const text = answer.isOwn ? await readErrorText(answer) : "";
    answer.leave();
    if (answer.status === 404) throw failed("file does not exist");
    throw failed(`${answer.status}: ${text}`);
  }

  /**
   * The address in the first of these headers that is there, relative to where the answer came from. Where something is
   * sent the registry says, or where it was sent to about itself.
   *
   * @throws PeerError `registry_failed` without an address, `address_refused`.
   */
  next(
    answer: RegistryAnswer,
    options: { readonly purpose: RequestPurpose; readonly headers: readonly string[] },
  ): URL {
    const text = options.headers.map((name) => answer.header(name))
      .find((value) => value !== undefined);
    const url = text === undefined || text.length > ADDRESS_CHARS_MAX
      ? null
      : URL.parse(text, answer.url);
    if (url === null) {
      throw failed(`${answer.url.host} answers ${answer.status} without an address to go on to`);
    }
    const isNamedByOwner = answer.isOwn || url.origin === answer.url.origin;
    if (options.purpose === "read" || isNamedByOwner || this.#policy.isOwn(url)) return url;
    throw refused("where a model is sent the registry says, not another host", url);
  }

  async #sendOnce(url: URL, request: RegistryRequest): Promise<RegistryAnswer> {
    const { method, body, signal } = request;
    const target = await orAborted(this.#policy.admit(url, purposeOf(request)), signal);
    const isOwn = this.#policy.isOwn(url);
    const { clock } = this.#access;
    // What is sent takes as long as it takes; whoever sends it sees its progress.
    const stallMs = body === undefined || body instanceof Uint8Array ? SILENCE_MAX_MS : undefined;
    const answer = await sendWatched(target, {
      method,
      headers: {
        "user-agent": this.#access.userAgent,
        // A compressed answer would make a range of other bytes, and a small one a large one.
        "accept-encoding": "identity",
        ...(isOwn && !request.isBare && this.#token !== undefined && {
          authorization: `Bearer ${this.#token}`,
        }),
        ...request.headers,
      },
      signal,
      ...(body !== undefined && { body }),
    }, { clock, stallMs });
    return { ...answer, url, isOwn };
  }

  #tokenUrl({ realm, service, scopes }: BearerChallenge, nowMs: number): URL {
    const url = realm.length > ADDRESS_CHARS_MAX ? null : URL.parse(realm);
    // A registry that sends the signature elsewhere could have it used against another one.
    if (url === null || !this.#policy.isOwn(url)) {
      throw failed(`the token address "${printable(realm.slice(0, 200))}" is not on the registry`);
    }
    url.searchParams.set("service", service);
    for (const scope of scopes) url.searchParams.append("scope", scope);
    url.searchParams.set("ts", String(Math.floor(nowMs / 1000)));
    url.searchParams.set("nonce", base64Url(crypto.getRandomValues(new Uint8Array(NONCE_BYTES))));
    return url;
  }
}

/** Base64 of the hex SHA-256 of nothing: the body of a token request. */
const EMPTY_BODY_HASH = btoa(createHash("sha256").digest("hex"));

function purposeOf({ method }: RegistryRequest): RequestPurpose {
  return method === "GET" || method === "HEAD" ? "read" : "write";
}

function failed(text: string): PeerError {
  return new PeerError("registry_failed", text);
}

function accessDenied(): PeerError {
  return failed("unauthorized: access denied");
}

/** The first characters of what went wrong, as the registry words it. */
export async function readErrorText(answer: IncomingAnswer): Promise<string> {
  let text = "";
  const decoder = new TextDecoder();
  try {
    for await (const chunk of answer.body) {
      text += decoder.decode(chunk, { stream: true });
      if (text.length >= ERROR_BODY_CHARS_MAX) break;
    }
  } catch {
    // The status says enough.
  }
  return printable(text.slice(0, ERROR_BODY_CHARS_MAX).trim());
}

function readToken(bytes: Uint8Array): string {
  try {
    const answer: unknown = JSON.parse(new TextDecoder().decode(bytes));
    if (typeof answer === "object" && answer !== null && "token" in answer) {
      const { token } = answer;
      if (typeof token === "string" && /^[\x21-\x7e]+$/.test(token)) return token;
    }
  } catch {
    // Falls through to the same refusal as an answer without a token.
  }
  throw failed("the registry's token answer holds no token");
}

function base64Url(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_");
}
