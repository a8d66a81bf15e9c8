import { invalidRequest } from "../../base/mod.ts";
import type {
  BlobStore,
  Clock,
  QuantizationTarget,
  Quantizer,
  TransferProgress,
} from "../../ports/mod.ts";
import type { BlobLayer } from "../../protocol/mod.ts";
import type { GgufFacts } from "../gguf/mod.ts";
import { Watched } from "../waiting.ts";

/** Targets as the contract names them, with the one alias. */
const TARGETS: Readonly<Record<string, QuantizationTarget>> = {
  F32: "F32",
  F16: "F16",
  BF16: "BF16",
  Q4_K_S: "Q4_K_S",
  Q4_K_M: "Q4_K_M",
  Q4_K: "Q4_K_M",
  Q8_0: "Q8_0",
};
const SOURCES = ["F16", "BF16", "F32"];
/** Digest of quantising lines: there is none yet, and clients key their progress bars by it. */
const PROGRESS_DIGEST = "0".repeat(19);
/** Between two progress lines. */
const PROGRESS_MS = 200;

/**
 * What the weights are to be brought to, or undefined when they are it already.
 *
 * @throws RequestError `invalid_request` in the contract's words.
 */
export function resolveQuantization(
  wish: string,
  weights: GgufFacts,
): QuantizationTarget | undefined {
  const target = TARGETS[wish.toUpperCase()];
  if (target === undefined) {
    throw invalidRequest(
      `unsupported quantization type ${wish.toUpperCase()} - supported types are ` +
        "F32, F16, Q4_K_S, Q4_K_M, Q8_0",
    );
  }
  if (weights.quantization === target) return undefined;
  if (SOURCES.includes(weights.quantization)) return target;
  throw invalidRequest("quantization is only supported for F16, BF16 and F32 models");
}

/** What quantising works with. */
export interface QuantizeContext {
  readonly blobs: BlobStore;
  readonly clock: Clock;
  readonly quantizer: Quantizer;
  readonly signal: AbortSignal;
}

/**
 * Stores the layer's weights in another precision and returns the new layer.
 *
 * @throws UnavailableError `quantize_failed`, StorageError, the signal's reason. Leaving early stops the work.
 */
export async function* quantizeLayer(
  layer: BlobLayer,
  wish: { readonly from: string; readonly target: QuantizationTarget },
  context: QuantizeContext,
): AsyncGenerator<TransferProgress, BlobLayer> {
  const { blobs, clock, quantizer } = context;
  const left = new AbortController();
  const signal = AbortSignal.any([context.signal, left.signal]);
  let fraction = 0;
  const line = () => ({
    status: `quantizing ${wish.from} model to ${wish.target}`,
    digest: PROGRESS_DIGEST,
    total: layer.size,
    completed: Math.floor(layer.size * fraction),
  });
  const storing = blobs.putFile((targetPath) =>
    quantizer.quantize(
      { sourcePath: blobs.path(layer.digest), targetPath, target: wish.target },
      { signal, onProgress: (value) => void (fraction = value) },
    )
  );
  const watched = new Watched(storing.then(() => {}));
  try {
    for (let hasEnded = false; !hasEnded;) {
      yield line();
      hasEnded = await watched.endsWithin(PROGRESS_MS, { clock, signal: context.signal });
    }
    fraction = 1;
    yield line();
  } finally {
    left.abort(new Error("nobody waits any more"));
  }
  const { digest, blobBytes } = await storing;
  return { mediaType: layer.mediaType, digest, size: blobBytes };
}
