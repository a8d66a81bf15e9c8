import { createHash, type Hash } from "node:crypto";
import { joinBytes, PeerError } from "../base/mod.ts";

/** A command of llama.cpp's protocol: one byte, then the length of what follows as eight. */
const COMMAND_BYTES = 9;
const SET_TENSOR = 6;
/** `rpc_tensor`, and where its name stands in it. */
const TENSOR_BYTES = 296;
const NAME_AT = 228;
const NAME_BYTES = 64;
/** Before a tensor's bytes: its description, and the first byte's place in it as eight. */
const SET_TENSOR_HEAD_BYTES = TENSOR_BYTES + 8;
/** Shorter weights are sent: a reference is no shorter by much. */
const SPARED_BYTES_MIN = 512;
/** Other commands that are as long are mostly zeros: the description of a graph. */
const PACKED_BYTES_MIN = 4_096;
/** After the head: place in the file and length as eight bytes each, and the SHA-256. */
const DIGEST_BYTES = 32;
const REFERENCE_BYTES = COMMAND_BYTES + SET_TENSOR_HEAD_BYTES + 16 + DIGEST_BYTES;

/** Where a tensor's bytes lie in its model's file. */
export interface TensorPlace {
  readonly offset: number;
  readonly tensorBytes: number;
}

/** Bytes of a file in the place of a tensor's. */
export interface WeightReference {
  /** Of the command, up to the tensor's bytes. */
  readonly head: Uint8Array;
  readonly offset: number;
  readonly length: number;
  /** SHA-256 of the bytes, in hex. */
  readonly digest: string;
}

/** What goes through a tunnel in the place of a connection's bytes. */
export type TunnelPiece =
  | {
    readonly kind: "bytes";
    readonly bytes: Uint8Array<ArrayBuffer>;
    /** Whether they get much shorter by packing them. */
    readonly packs: boolean;
  }
  | { readonly kind: "reference" } & WeightReference;

/**
 * Finds, in what a leader sends to a worker, the weights that are the model's file at some place, and puts a reference there.
 * Keeps no weights, only the digest of those that pass.
 */
export class WeightCutter {
  readonly #tensors: ReadonlyMap<string, TensorPlace>;
  readonly #onSpared: (bytes: number) => void;
  /** What is known of the command that begins. */
  #head = new Uint8Array(COMMAND_BYTES + SET_TENSOR_HEAD_BYTES);
  #headBytes = 0;
  /** Of the command under way. */
  #passing = 0;
  #packs = false;
  #cutting: { hash: Hash; left: number; reference: Omit<WeightReference, "digest"> } | undefined;

  /** `tensors` by their names. */
  constructor(tensors: ReadonlyMap<string, TensorPlace>, onSpared: (bytes: number) => void) {
    this.#tensors = tensors;
    this.#onSpared = onSpared;
  }

  /** In order, bytes between two references as one piece; they are copies. */
  push(bytes: Uint8Array<ArrayBuffer>): readonly TunnelPiece[] {
    const joined: TunnelPiece[] = [];
    for (const piece of this.#pieces(bytes)) {
      const last = joined.at(-1);
      const isSame = piece.kind === "bytes" && last?.kind === "bytes" && piece.packs === last.packs;
      if (!isSame) joined.push(piece);
      else joined[joined.length - 1] = { ...piece, bytes: joinBytes([last.bytes, piece.bytes]) };
    }
    return joined;
  }

  #pieces(bytes: Uint8Array<ArrayBuffer>): readonly TunnelPiece[] {
    const pieces: TunnelPiece[] = [];
    let at = 0;
    while (at < bytes.length) {
      const rest = bytes.subarray(at);
      if (this.#cutting !== undefined) at += this.#cut(rest, pieces);
      else if (this.#passing > 0) at += this.#pass(rest, pieces);
      else at += this.#begin(rest, pieces);
    }
    return pieces;
  }

  #cut(bytes: Uint8Array<ArrayBuffer>, pieces: TunnelPiece[]): number {
    const cutting = this.#cutting;
    if (cutting === undefined) return 0;
    const taken = Math.min(bytes.length, cutting.left);
    cutting.hash.update(bytes.subarray(0, taken));
    cutting.left -= taken;
    if (cutting.left > 0) return taken;
    this.#cutting = undefined;
    this.#onSpared(cutting.reference.length);
    pieces.push({
      kind: "reference",
      ...cutting.reference,
      digest: cutting.hash.digest("hex"),
    });
    return taken;
  }

  #pass(bytes: Uint8Array<ArrayBuffer>, pieces: TunnelPiece[]): number {
    const taken = Math.min(bytes.length, this.#passing);
    this.#passing -= taken;
    pieces.push({ kind: "bytes", bytes: bytes.slice(0, taken), packs: this.#packs });
    return taken;
  }

  #begin(bytes: Uint8Array<ArrayBuffer>, pieces: TunnelPiece[]): number {
    const wanted = this.#headBytes < COMMAND_BYTES
      ? COMMAND_BYTES
      : COMMAND_BYTES + SET_TENSOR_HEAD_BYTES;
    const taken = Math.min(bytes.length, wanted - this.#headBytes);
    this.#head.set(bytes.subarray(0, taken), this.#headBytes);
    this.#headBytes += taken;
    if (this.#headBytes < wanted) return taken;
    const view = new DataView(this.#head.buffer);
    const length = Number(view.getBigUint64(1, true));
    const isLong = this.#head[0] === SET_TENSOR &&
      length >= SET_TENSOR_HEAD_BYTES + SPARED_BYTES_MIN;
    // Its head has to be seen first.
    if (isLong && wanted === COMMAND_BYTES) return taken;
    const head = this.#head.slice(0, this.#headBytes);
    this.#headBytes = 0;
    const left = length - (head.length - COMMAND_BYTES);
    const reference = isLong ? this.#referenceTo(head, left) : undefined;
    if (reference === undefined) {
      pieces.push({ kind: "bytes", bytes: head, packs: false });
      this.#passing = left;
      this.#packs = head[0] !== SET_TENSOR && left >= PACKED_BYTES_MIN;
    } else this.#cutting = { hash: createHash("sha256"), left, reference };
    return taken;
  }

  #referenceTo(
    head: Uint8Array<ArrayBuffer>,
    length: number,
  ): Omit<WeightReference, "digest"> | undefined {
    const at = COMMAND_BYTES + NAME_AT;
    const name = new TextDecoder().decode(head.subarray(at, at + NAME_BYTES)).replace(/\0.*$/s, "");
    const place = this.#tensors.get(name);
    const first = Number(
      new DataView(head.buffer).getBigUint64(COMMAND_BYTES + TENSOR_BYTES, true),
    );
    if (place === undefined || first + length > place.tensorBytes) return undefined;
    return { head, offset: place.offset + first, length };
  }
}

/** As {@link readReference} reads it. */
export function writeReference(reference: WeightReference): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(REFERENCE_BYTES);
  const view = new DataView(bytes.buffer);
  bytes.set(reference.head);
  const at = reference.head.length;
  view.setBigUint64(at, BigInt(reference.offset), true);
  view.setBigUint64(at + 8, BigInt(reference.length), true);
  bytes.set(Uint8Array.fromHex(reference.digest), at + 16);
  return bytes;
}

/** @throws PeerError `malformed_frame` unless it is one to bytes of a file of `blobBytes`. */
export function readReference(bytes: Uint8Array, blobBytes: number): WeightReference {
  if (bytes.length !== REFERENCE_BYTES) throw nonsense(`has ${bytes.length} bytes`);
  const head = bytes.subarray(0, COMMAND_BYTES + SET_TENSOR_HEAD_BYTES);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const offset = Number(view.getBigUint64(head.length, true));
  const length = Number(view.getBigUint64(head.length + 8, true));
  const said = Number(view.getBigUint64(1, true)) - SET_TENSOR_HEAD_BYTES;
  if (head[0] !== SET_TENSOR || said !== length) throw nonsense("is of another command");
  if (offset + length > blobBytes) throw nonsense("points behind the file");
  const digest = bytes.slice(head.length + 16).toHex();
  return { head, offset, length, digest };
}

function nonsense(why: string): PeerError {
  return new PeerError("malformed_frame", `A reference to weights ${why}`);
}
