import { BoundedMap, invalidRequest, RequestError } from "../../base/mod.ts";
import { IMAGE_TOKEN_MIN, IMAGES_MAX, imageToken, isImageToken } from "../../protocol/mod.ts";
import type { ImagePart, Projector, TokenizedImage } from "./projector.ts";

/** Parts whose numbers are known; others are computed anew though a slot may hold them. */
const KNOWN_PARTS_MAX = 4096;

/** The same number for the same part of the same image, over all answers of a runner, so that windows can be compared. */
export class ImageNumbers {
  readonly #known = new BoundedMap<string, number>(KNOWN_PARTS_MAX);
  #next = IMAGE_TOKEN_MIN;

  of(digest: string, part: number): number {
    const key = `${digest}:${part}`;
    const known = this.#known.use(key);
    if (known !== undefined) return known;
    this.#known.set(key, this.#next);
    return this.#next++;
  }
}

/** What is asked of a projector for one answer. */
export type AnswerProjector = Pick<
  Projector,
  "encode" | "isBidirectional" | "positions" | "tokenize"
>;

/** A part of an image where it stands in a prompt. */
export interface PromptPart {
  readonly tokenCount: number;
  readonly positionCount: number;
  /** See {@link Projector.positions}. */
  positions(first: number): readonly Int32Array[];
  /** Once they are there. */
  readonly embeddings: Float32Array<ArrayBuffer> | undefined;
  /** Begins to make the embeddings, unless that is under way; `onReady` is called when they are there. */
  encode(onReady: () => void): void;
}

/** The images of one answer, decoded. */
export class AnswerImages {
  readonly #images: readonly TokenizedImage[];
  readonly #numbers: ImageNumbers;
  readonly #parts = new Map<number, EncodedPart>();
  #isFree = false;

  private constructor(
    projector: AnswerProjector,
    images: readonly TokenizedImage[],
    numbers: ImageNumbers,
  ) {
    this.#images = images;
    this.#numbers = numbers;
    for (const { digest, parts } of images) {
      parts.forEach((part, index) =>
        this.#parts.set(numbers.of(digest, index), new EncodedPart(projector, part))
      );
    }
  }

  /**
   * Decodes the images, and stops between two once nobody wants them.
   *
   * @throws RequestError `invalid_request` for too many, and for one that can't be looked at.
   */
  static async load(
    projector: AnswerProjector,
    files: readonly Uint8Array[],
    options: {
      readonly numbers: ImageNumbers;
      readonly partTokensMax: number;
      readonly isWanted: () => boolean;
    },
  ): Promise<AnswerImages> {
    if (files.length > IMAGES_MAX) throw invalidRequest(`at most ${IMAGES_MAX} images are taken`);
    const images: TokenizedImage[] = [];
    try {
      for (const file of files) {
        if (!options.isWanted()) throw invalidRequest("The answer was cancelled");
        images.push(await projector.tokenize(file));
      }
      const counts = images.flatMap(({ parts }) => parts.map(({ tokenCount }) => tokenCount));
      const largest = Math.max(0, ...counts);
      if (projector.isBidirectional && largest > options.partTokensMax) {
        throw invalidRequest(
          `an image takes ${largest} tokens at once, a batch has ${options.partTokensMax}: ` +
            "raise num_batch",
        );
      }
    } catch (error) {
      for (const image of images) image.free();
      throw error;
    }
    return new AnswerImages(projector, images, options.numbers);
  }

  /** An image in a prompt: the model's own tokens around it, and one for each position that it takes. */
  tokensOf(image: number): readonly number[] {
    const { pieces, parts } = this.#at(image);
    return pieces.flatMap((piece) =>
      piece.kind === "text"
        ? piece.tokens
        : Array<number>(parts[piece.part]?.tokenCount ?? 0).fill(imageToken(image, piece.part))
    );
  }

  /**
   * A prompt with the numbers that windows are compared by.
   *
   * @throws RequestError `invalid_request` for what no image of this answer stands behind.
   */
  numbered(prompt: readonly number[]): readonly number[] {
    const numbers = new Map(
      this.#images.flatMap(({ digest, parts }, image) =>
        parts.map((_, part) => [imageToken(image, part), this.#numbers.of(digest, part)] as const)
      ),
    );
    const numbered = prompt.map((token) => isImageToken(token) ? numbers.get(token) ?? -1 : token);
    if (!this.#areWhole(numbered)) throw invalidRequest("The prompt has a piece of an image");
    return numbered;
  }

  /** By its number in a window. */
  partOf(token: number): PromptPart | undefined {
    return this.#parts.get(token);
  }

  /** By how many the positions of the first `count` tokens of a window are fewer than they. */
  savedPositions(window: readonly number[], count: number): number {
    let saved = 0;
    for (let at = 0; at < count;) {
      const part = this.partOf(window[at] ?? 0);
      saved += part === undefined ? 0 : part.tokenCount - part.positionCount;
      at += part?.tokenCount ?? 1;
    }
    return saved;
  }

  /** Nothing is asked of them any more; what is being encoded is waited for. */
  free(): void {
    if (this.#isFree) return;
    this.#isFree = true;
    const encoding = [...this.#parts.values()].map((part) => part.leave());
    void Promise.all(encoding).then(() => this.#images.forEach((image) => image.free()));
  }

  #areWhole(tokens: readonly number[]): boolean {
    for (let at = 0; at < tokens.length;) {
      const token = tokens[at] ?? -1;
      if (token < 0) return false;
      const count = this.#parts.get(token)?.tokenCount ?? 1;
      const end = at + count;
      for (; at < end; at++) if (tokens[at] !== token) return false;
    }
    return true;
  }

  #at(image: number): TokenizedImage {
    const found = this.#images[image];
    if (found !== undefined) return found;
    throw new RequestError("invalid_request", `The request has no image ${image}`);
  }
}

class EncodedPart implements PromptPart {
  readonly #projector: AnswerProjector;
  readonly #part: ImagePart;
  #encoding: Promise<void> | undefined;
  #isLeft = false;
  embeddings: Float32Array<ArrayBuffer> | undefined;

  constructor(projector: AnswerProjector, part: ImagePart) {
    this.#projector = projector;
    this.#part = part;
  }

  get tokenCount(): number {
    return this.#part.tokenCount;
  }

  get positionCount(): number {
    return this.#part.positionCount;
  }

  positions(first: number): readonly Int32Array[] {
    return this.#projector.positions(this.#part, first);
  }

  encode(onReady: () => void): void {
    this.#encoding ??= this.#encode().then(onReady);
  }

  /** Resolves when its chunk isn't used any more. */
  leave(): Promise<void> {
    this.#isLeft = true;
    return this.#encoding ?? Promise.resolve();
  }

  async #encode(): Promise<void> {
    if (!this.#isLeft) this.embeddings = await this.#projector.encode(this.#part);
  }
}
