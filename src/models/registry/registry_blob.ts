import { PeerError } from "../../base/mod.ts";
import type { BlobRange, BlobSource, TransferLimits } from "../../ports/mod.ts";
import type { BlobLayer } from "../../protocol/mod.ts";
import { orAborted } from "../waiting.ts";
import { parseUrl, type RegistryClient, sendOrFail } from "./registry_client.ts";

/** Where parts are read from, and whether that is the registry itself. */
interface DirectAddress {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** A blob of a registry (contract 2.5). Everything it throws is PeerError `registry_failed` or the signal's reason. */
export class RegistryBlob implements BlobSource {
  readonly limits: TransferLimits;
  readonly #layer: BlobLayer;
  readonly #client: RegistryClient;
  readonly #signal: AbortSignal;
  #address: Promise<DirectAddress> | undefined;

  /** `signal` ends the whole transfer, and with it what its parts share. */
  constructor(
    layer: BlobLayer,
    client: RegistryClient,
    options: { readonly limits: TransferLimits; readonly signal: AbortSignal },
  ) {
    this.#layer = layer;
    this.#client = client;
    this.limits = options.limits;
    this.#signal = options.signal;
  }

  async check(signal: AbortSignal): Promise<void> {
    const { digest, size } = this.#layer;
    const url = this.#client.url(`blobs/${digest}`);
    const response = await this.#client.check(
      await this.#client.request(url, { method: "HEAD", signal }),
    );
    await response.body?.cancel();
    const blobBytes = Number(response.headers.get("content-length") ?? size);
    if (blobBytes === size) return;
    throw failed(`blob ${digest} has ${blobBytes} bytes, its manifest says ${size}`);
  }

  async *read(range: BlobRange, signal: AbortSignal): AsyncIterable<Uint8Array> {
    const { url, headers } = await orAborted(
      this.#address ??= this.#findAddress(this.#signal),
      signal,
    );
    const last = range.offset + range.length - 1;
    const response = await sendOrFail(url, {
      // A compressed answer would make a range of other bytes.
      headers: {
        ...headers,
        range: `bytes=${range.offset}-${last}`,
        "accept-encoding": "identity",
      },
      signal,
    });
    const isWhole = range.offset === 0 && range.length === this.#layer.size;
    if (response.status !== 206 && !(response.status === 200 && isWhole)) {
      await response.body?.cancel();
      throw failed(`the registry answered ${response.status} to a request for a range`);
    }
    yield* response.body ?? [];
  }

  /** Direct addresses expire. */
  retry(): void {
    this.#address = undefined;
  }

  /** Follows redirects on the registry's host; the first address elsewhere is where the bytes are. */
  async #findAddress(signal: AbortSignal): Promise<DirectAddress> {
    const { redirectsMax } = this.limits;
    let url = this.#client.url(`blobs/${this.#layer.digest}`);
    const host = new URL(url).hostname;
    for (let step = 0; step <= redirectsMax; step++) {
      const response = await this.#client.request(url, { method: "GET", signal });
      await (await this.#client.check(response)).body?.cancel();
      const location = response.headers.get("location");
      // Stricter clients want a Location here; a registry that just sends the bytes is as good.
      if (location === null) return { url, headers: this.#client.headers() };
      const next = parseUrl(location, url);
      if (next === undefined) throw failed(`the registry redirects to "${location}"`);
      // The token is for the registry alone: another host must not see it.
      if (next.hostname !== host) return { url: next.toString(), headers: {} };
      if (response.status === 200) return { url: next.toString(), headers: {} };
      url = next.toString();
    }
    throw failed(`more than ${redirectsMax} redirects to blob ${this.#layer.digest}`);
  }
}

function failed(text: string): PeerError {
  return new PeerError("registry_failed", text);
}
