import { invalidRequest, UnavailableError } from "../../base/mod.ts";
import { IMAGE_PARTS_MAX, type ImageHeader, readImageHeader } from "../../protocol/mod.ts";
import {
  addressOf,
  CHUNK_TYPES,
  cText,
  INPUT_TEXT,
  type Llama,
  type Mtmd,
  MTMD_PARAMS,
  openMtmd,
  readText,
} from "../llama/mod.ts";
import { decodeWebp } from "../webp/mod.ts";
import { inflatesTooFar } from "./png_size.ts";

/** `enum ggml_log_level`. */
const LOG_LEVEL_ERROR = 4;

/** A part of an image, as it stands in a prompt: some projectors cut an image into several. */
export interface ImagePart {
  readonly tokenCount: number;
  /** By how many positions what follows is further; as many as its tokens unless they are in a grid. */
  readonly positionCount: number;
  readonly chunk: Deno.PointerValue;
}

/** An image between two pieces of a prompt. */
export interface TokenizedImage {
  /** SHA-256 of the file, hex. */
  readonly digest: string;
  /** Tokens as the model wants them around images, and the numbers of parts. */
  readonly pieces: readonly (
    | { readonly kind: "text"; readonly tokens: readonly number[] }
    | { readonly kind: "part"; readonly part: number }
  )[];
  readonly parts: readonly ImagePart[];
  /** Its parts can't be encoded any more. */
  free(): void;
}

/** What a projector is opened with. */
export interface ProjectorSettings {
  readonly llama: Llama;
  /** Where libmtmd lies; "" = it was not built. */
  readonly ownNativeFolder: string;
  readonly projectorPath: string;
  /** The loaded model. */
  readonly weights: Deno.PointerValue;
  /** Elements of one embedding that the model takes. */
  readonly width: number;
  readonly threads: number;
  /** Where it shall lie; null = in the machine's memory. */
  readonly device: Deno.PointerValue;
}

/** What makes embeddings of images for one model. Everything slow runs on another thread, one thing at a time. */
export class Projector {
  readonly #call: Mtmd;
  readonly #context: Deno.PointerValue;
  readonly #width: number;
  #last: Promise<unknown> = Promise.resolve();

  private constructor(call: Mtmd, context: Deno.PointerValue, width: number) {
    this.#call = call;
    this.#context = context;
    this.#width = width;
  }

  /** @throws UnavailableError `load_failed` with the reason, also when the projector is of another model. */
  static async open(settings: ProjectorSettings): Promise<Projector> {
    const call = openMtmd(settings.llama, settings.ownNativeFolder);
    const params = new Uint8Array(call.mtmd_context_params_default());
    MTMD_PARAMS.set(params, "useGpu", settings.device !== null);
    MTMD_PARAMS.set(params, "device", Deno.UnsafePointer.value(settings.device));
    MTMD_PARAMS.set(params, "printTimings", false);
    MTMD_PARAMS.set(params, "threads", settings.threads);
    const { context, said } = await initialize(call, settings, params);
    if (context === null) {
      throw failed(`llama.cpp cannot use the projector ${nameOf(settings)} here: ${said}`);
    }
    const projector = new Projector(call, context, settings.width);
    const fault = projector.#fault(nameOf(settings));
    if (fault === undefined) return projector;
    call.mtmd_free(context);
    throw failed(fault);
  }

  /** Whether the positions of an image see each other in both directions, so that they must be in one batch. */
  get isBidirectional(): boolean {
    return this.#call.mtmd_decode_use_non_causal(this.#context, null);
  }

  /**
   * The positions of a part whose first is `first`, as a batch wants them: one of each token, or where tokens are in a grid
   * (M-RoPE) four lists of so many.
   */
  positions(part: ImagePart, first: number): readonly Int32Array[] {
    const call = this.#call;
    const { chunk, tokenCount } = part;
    const from = (position: (index: number) => number) =>
      Int32Array.from({ length: tokenCount }, (_, index) => position(index));
    if (!call.mtmd_decode_use_mrope(this.#context)) return [from((index) => first + index)];
    const tokens = call.mtmd_input_chunk_get_tokens_image(chunk);
    const places = Array.from({ length: tokenCount }, (_, index) => {
      const place = call.mtmd_image_tokens_get_decoder_pos(tokens, first, BigInt(index));
      return new Uint32Array(new Uint8Array(place).buffer);
    });
    const [time, left, top, other] = [0, 1, 2, 3];
    return [time, top, left, other].map((which) => from((index) => places[index]?.[which] ?? 0));
  }

  /** Decodes an image and tells how it stands in a prompt. @throws RequestError `invalid_request` with the reason. */
  tokenize(file: Uint8Array): Promise<TokenizedImage> {
    return this.#inTurn(async () => {
      await refuseBomb(file);
      const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", copy(file))).toHex();
      const bitmap = await this.#decode(file);
      try {
        return { digest, ...await this.#chunksOf(bitmap) };
      } finally {
        this.#call.mtmd_bitmap_free(bitmap);
      }
    });
  }

  /** The embeddings of a part, one after the other. */
  encode(part: ImagePart): Promise<Float32Array<ArrayBuffer>> {
    return this.#inTurn(async () => {
      const code = await this.#call.mtmd_encode_chunk_later(this.#context, part.chunk);
      const output = this.#call.mtmd_get_output_embd(this.#context);
      if (code !== 0 || output === null) {
        throw new Error(`mtmd_encode_chunk failed with code ${code}`);
      }
      const bytes = part.tokenCount * this.#width * Float32Array.BYTES_PER_ELEMENT;
      // A copy: the next image is written to the same place.
      return new Float32Array(Deno.UnsafePointerView.getArrayBuffer(output, bytes).slice(0));
    });
  }

  async #decode(file: Uint8Array): Promise<Deno.PointerValue> {
    const bytes = copy(file);
    if (formatOf(bytes) === "webp") {
      const { width, height, pixels } = await decodeWebp(bytes);
      return this.#call.mtmd_bitmap_init(width, height, pixels);
    }
    const result = await this.#call.mtmd_helper_bitmap_init_from_buf_later(
      this.#context,
      bytes,
      BigInt(bytes.length),
      false,
      new Uint8Array(this.#call.mtmd_helper_init_opt_default()),
    );
    const [address = 0n] = new BigUint64Array(new Uint8Array(result).buffer);
    const bitmap = Deno.UnsafePointer.create(address);
    if (bitmap === null) throw invalidRequest("an image is broken: it can't be decoded");
    return bitmap;
  }

  async #chunksOf(bitmap: Deno.PointerValue): Promise<Omit<TokenizedImage, "digest">> {
    const call = this.#call;
    const marker = cText(readText(call.mtmd_get_marker(this.#context)));
    const input = new Uint8Array(new ArrayBuffer(INPUT_TEXT.size));
    INPUT_TEXT.set(input, "text", addressOf(marker));
    INPUT_TEXT.set(input, "length", marker.length - 1);
    INPUT_TEXT.set(input, "parseSpecial", true);
    const bitmaps = new BigUint64Array([Deno.UnsafePointer.value(bitmap)]);
    const list = new Uint8Array(bitmaps.buffer);
    const chunks = call.mtmd_input_chunks_init();
    const free = () => call.mtmd_input_chunks_free(chunks);
    const code = await call.mtmd_tokenize_later(this.#context, chunks, input, list, 1n);
    const count = Number(call.mtmd_input_chunks_size(chunks));
    if (code !== 0 || count > IMAGE_PARTS_MAX) {
      free();
      throw invalidRequest(`the model can't take an image (code ${code}, ${count} parts)`);
    }
    const parts: ImagePart[] = [];
    const pieces = Array.from({ length: count }, (_, index) => {
      const chunk = call.mtmd_input_chunks_get(chunks, BigInt(index));
      const tokenCount = Number(call.mtmd_input_chunk_get_n_tokens(chunk));
      if (call.mtmd_input_chunk_get_type(chunk) === CHUNK_TYPES.text) {
        return { kind: "text" as const, tokens: this.#textTokens(chunk, tokenCount) };
      }
      const positionCount = call.mtmd_input_chunk_get_n_pos(chunk);
      return { kind: "part" as const, part: parts.push({ tokenCount, positionCount, chunk }) - 1 };
    });
    return { pieces, parts, free };
  }

  /** A vocabulary that lacks a marker gives -1 for it. */
  #textTokens(chunk: Deno.PointerValue, count: number): readonly number[] {
    const counted = new Uint8Array(new ArrayBuffer(8));
    const tokens = this.#call.mtmd_input_chunk_get_tokens_text(chunk, counted);
    if (tokens === null || count === 0) return [];
    const bytes = Deno.UnsafePointerView.getArrayBuffer(tokens, count * 4);
    return [...new Int32Array(bytes)].filter((token) => token >= 0);
  }

  #fault(name: string): string | undefined {
    return this.#call.mtmd_support_vision(this.#context) ? undefined : `${name} is for no images`;
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#last.then(work, work);
    this.#last = result.catch(() => {});
    return result;
  }
}

/** The reason of a failure stands in the log alone. */
async function initialize(
  call: Mtmd,
  settings: ProjectorSettings,
  params: Uint8Array<ArrayBuffer>,
): Promise<{ readonly context: Deno.PointerValue; readonly said: string }> {
  const said: string[] = [];
  const log = Deno.UnsafeCallback.threadSafe(
    { parameters: ["i32", "pointer", "pointer"], result: "void" },
    (level, text) => {
      const isError = Number(level) >= LOG_LEVEL_ERROR && typeof text === "object";
      if (isError) said.push(readText(text).trim());
    },
  );
  call.mtmd_log_set(log.pointer, null);
  try {
    const path = cText(settings.projectorPath);
    const context = await call.mtmd_init_later(path, settings.weights, params);
    return { context, said: said.join(" ").replaceAll(/\s+/g, " ") };
  } finally {
    call.mtmd_log_set(null, null);
    log.close();
  }
}

/** The node has looked at it, too; but a runner also serves other nodes. */
async function refuseBomb(file: Uint8Array): Promise<void> {
  const read = readImageHeader(file);
  if (read.kind === "refused") throw invalidRequest(`an image can't be looked at: ${read.reason}`);
  if (await inflatesTooFar(file)) {
    throw invalidRequest("an image can't be looked at: it has more data than pixels");
  }
}

function formatOf(file: Uint8Array): ImageHeader["format"] | undefined {
  const read = readImageHeader(file);
  return read.kind === "image" ? read.header.format : undefined;
}

function copy(file: Uint8Array): Uint8Array<ArrayBuffer> {
  return new Uint8Array(file);
}

function nameOf({ projectorPath }: ProjectorSettings): string {
  return projectorPath.replace(/^.*[/\\]/, "");
}

function failed(reason: string): UnavailableError {
  return new UnavailableError("load_failed", reason);
}
