import { PeerError } from "../../base/mod.ts";
import type { BlobRange, BlobSource, TransferLimits } from "../../ports/mod.ts";
import type { BlobLayer } from "../../protocol/mod.ts";
import { RangesRefusedError } from "../transfer/mod.ts";
import { orAborted } from "../waiting.ts";
import type { RegistryClient } from "./registry_client.ts";

/** A blob of a registry (contract 2.5). Everything it throws is PeerError `registry_failed` or the signal's reason. */
export class RegistryBlob implements BlobSource {
  readonly limits: TransferLimits;
  readonly #layer: BlobLayer;
  readonly #client: RegistryClient;
  readonly #signal: AbortSignal;
  /** Where parts are read from. */
  #address: Promise<URL> | undefined;

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
    const answer = await this.#client.request(url, { method: "HEAD", signal });
    answer.leave();
    // An address that was signed for reading may refuse to be asked.
    if (!answer.isOwn && answer.status >= 400) return;
    await this.#client.check(answer);
    if (Number(answer.header("content-length") ?? size) === size) return;
    throw failed(`blob ${digest} is not of the size its manifest says`);
  }

  async *read(range: BlobRange, signal: AbortSignal): AsyncIterable<Uint8Array> {
    const url = await orAborted(this.#address ??= this.#findAddress(this.#signal), signal);
    const last = range.offset + range.length - 1;
    const answer = await this.#client.request(url, {
      method: "GET",
      headers: { range: `bytes=${range.offset}-${last}` },
      signal,
    });
    const isWhole = range.offset === 0 && range.length === this.#layer.size;
    if (answer.status !== 206 && !(answer.status === 200 && isWhole)) {
      answer.leave();
      if (answer.status === 200) throw new RangesRefusedError();
      throw failed(`the registry answered ${answer.status} to a request for a range`);
    }
    yield* answer.body;
  }

  /** Direct addresses expire. */
  retry(): void {
    this.#address = undefined;
  }

  /** Follows redirects on the registry itself; the first address elsewhere is where the bytes are. */
  async #findAddress(signal: AbortSignal): Promise<URL> {
    const { redirectsMax } = this.limits;
    let url = this.#client.url(`blobs/${this.#layer.digest}`);
    for (let step = 0; step <= redirectsMax; step++) {
      const answer = await this.#client.send(url, { method: "GET", signal });
      (await this.#client.check(answer)).leave();
      // Stricter clients want a Location here; a registry that just sends the bytes is as good.
      if (answer.header("location") === undefined && answer.status < 300) return url;
      const next = this.#client.next(answer, { purpose: "read", headers: ["location"] });
      if (answer.status === 200 || next.origin !== url.origin) return next;
      url = next;
    }
    throw failed(`more than ${redirectsMax} redirects to blob ${this.#layer.digest}`);
  }
}

function failed(text: string): PeerError {
  return new PeerError("registry_failed", text);
}
