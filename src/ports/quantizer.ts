/** What weights can be brought to (contract 1.11). */
export type QuantizationTarget = "F32" | "F16" | "BF16" | "Q4_K_S" | "Q4_K_M" | "Q8_0";

/** Rewrites weights in another precision. Long work: minutes for large models. */
export interface Quantizer {
  /**
   * Writes a whole GGUF to `targetPath`; on failure what lies there is worthless. `onProgress` gets fractions 0..1, rising.
   *
   * @throws UnavailableError `quantize_failed` with llama.cpp's reason; `signal`'s reason when aborted.
   */
  quantize(
    job: {
      readonly sourcePath: string;
      readonly targetPath: string;
      readonly target: QuantizationTarget;
    },
    options: {
      readonly signal: AbortSignal;
      readonly onProgress: (fraction: number) => void;
    },
  ): Promise<void>;
}
