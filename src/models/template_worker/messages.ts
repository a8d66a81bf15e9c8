import type {
  PromptInput,
  RenderedPrompt,
  TemplateSources,
  TemplateTraits,
} from "../template/mod.ts";

/**
 * What a template worker is asked, one JSON text per line. Workers are ended at any moment and remember nothing that matters:
 * one that knows the template no more says so, and is asked again.
 */
export interface WorkerQuestion {
  /** Names the sources. */
  readonly key: string;
  /** Absent = it was told them before. */
  readonly sources?: TemplateSources;
  /** Null = only what the template can do is wanted. */
  readonly input: WireInput | null;
}

/** What a worker says: `ready` once, then one line per question. */
export type WorkerReply =
  | { readonly kind: "ready" }
  | {
    readonly kind: "answer";
    readonly traits: TemplateTraits;
    readonly prompt: RenderedPrompt | null;
  }
  /** The template is wrong, or fails on this input. */
  | { readonly kind: "refused"; readonly message: string }
  /** It has to be told the sources again. */
  | { readonly kind: "forgotten" };

/** {@link PromptInput} as JSON can carry it. */
export interface WireInput extends Omit<PromptInput, "date"> {
  /** Milliseconds since the Unix epoch. */
  readonly dateMs: number;
}

/** Templates see how many images there are, never their bytes. */
export function toWire(input: PromptInput): WireInput {
  const { date, ...rest } = input;
  const messages = input.messages.map((message) =>
    message.images === undefined
      ? message
      : { ...message, images: message.images.map(() => new Uint8Array()) }
  );
  return { ...rest, messages, dateMs: date.getTime() };
}

/** The reverse of {@link toWire}; images are empty. */
export function fromWire(input: WireInput): PromptInput {
  const { dateMs, ...rest } = input;
  const messages = input.messages.map((message) =>
    message.images === undefined
      ? message
      : { ...message, images: message.images.map(() => new Uint8Array()) }
  );
  return { ...rest, messages, date: new Date(dateMs) };
}

/** Cuts a byte stream into lines, however the bytes were chunked. Holds one incomplete line at most. */
export class LineReader {
  readonly #charsMax: number;
  readonly #decoder = new TextDecoder();
  #parts: string[] = [];
  #chars = 0;

  /** A line longer than `charsMax` UTF-16 units is refused. */
  constructor(charsMax: number) {
    this.#charsMax = charsMax;
  }

  /**
   * The lines that `chunk` completes, in order.
   *
   * @throws RangeError for a line that is too long; the stream is useless from then on.
   */
  push(chunk: Uint8Array): string[] {
    const pieces = this.#decoder.decode(chunk, { stream: true }).split("\n");
    const lines: string[] = [];
    for (const [index, piece] of pieces.entries()) {
      this.#parts.push(piece);
      this.#chars += piece.length;
      if (this.#chars > this.#charsMax) {
        throw new RangeError(`a line must have at most ${this.#charsMax} characters`);
      }
      if (index === pieces.length - 1) break;
      lines.push(this.#parts.join(""));
      this.#parts = [];
      this.#chars = 0;
    }
    return lines;
  }
}
