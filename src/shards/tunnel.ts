import { createHash } from "node:crypto";
import { deflateRawSync, inflateRawSync } from "node:zlib";
import { PeerError, UnavailableError } from "../base/mod.ts";
import type { BlobReader, PeerStream } from "../ports/mod.ts";
import { TUNNEL_READ_BYTES } from "./limits.ts";
import { readReference, type TunnelPiece, writeReference } from "./weight_references.ts";

/** First byte of a frame: bytes of the connection follow, or what says where a tensor's bytes lie, or packed bytes. */
const BYTES = 0;
const REFERENCE = 1;
const PACKED = 2;
/** What one frame unpacks to: what was read at once, and what was joined to it. */
const UNPACKED_BYTES_MAX = 2 * TUNNEL_READ_BYTES;
/** Bytes of a blob that are read at once. */
const BLOB_READ_BYTES = 1024 * 1024;

/**
 * Carries a connection's bytes to a stream's end until either closes.
 *
 * @param cut Puts references in the place of weights; absent = all bytes are sent.
 */
export async function carryOut(
  from: Deno.Conn,
  to: PeerStream,
  options: {
    readonly count: (bytes: number) => void;
    readonly cut?: (bytes: Uint8Array<ArrayBuffer>) => readonly TunnelPiece[];
    /** Whether the other end unpacks what is packed. */
    readonly packs?: boolean;
  },
): Promise<void> {
  const frame = new Uint8Array(1 + TUNNEL_READ_BYTES);
  frame[0] = BYTES;
  for (;;) {
    const read = await from.read(frame.subarray(1));
    if (read === null) return await to.end();
    const bytes = frame.subarray(1, 1 + read);
    if (options.cut === undefined) {
      options.count(read);
      await to.write(frame.subarray(0, 1 + read));
      continue;
    }
    for (const piece of options.cut(bytes)) {
      const { kind, body } = frameOf(piece, options.packs === true);
      const sent = new Uint8Array(1 + body.length);
      sent[0] = kind;
      sent.set(body, 1);
      options.count(body.length);
      await to.write(sent);
    }
  }
}

function frameOf(piece: TunnelPiece, packs: boolean) {
  if (piece.kind === "reference") return { kind: REFERENCE, body: writeReference(piece) };
  if (!piece.packs || !packs) return { kind: BYTES, body: piece.bytes };
  return { kind: PACKED, body: deflateRawSync(piece.bytes, { level: 1 }) };
}

/** @throws PeerError `malformed_frame` for what is not packed, or far longer than what one frame carries. */
function unpacked(body: Uint8Array): Uint8Array {
  try {
    return inflateRawSync(body, { maxOutputLength: UNPACKED_BYTES_MAX });
  } catch (cause) {
    throw new PeerError("malformed_frame", "A tunnel's frame can't be unpacked", { cause });
  }
}

/**
 * Carries a stream's bytes into a connection until the stream ends.
 *
 * @param weights The model's file, for references; absent = there may be none.
 * @throws PeerError `malformed_frame` for nonsense; OtherWeights.
 */
export async function carryIn(
  from: PeerStream,
  to: Deno.Conn,
  options: { readonly count: (bytes: number) => void; readonly weights?: BlobReader },
): Promise<void> {
  for (;;) {
    const frame = await from.read();
    if (frame === undefined) return;
    const body = frame.subarray(1);
    options.count(body.length);
    if (frame[0] === BYTES) await writeAll(to, body);
    else if (frame[0] === PACKED) await writeAll(to, unpacked(body));
    else if (frame[0] === REFERENCE && options.weights !== undefined) {
      await putBack(to, body, options.weights);
    } else throw new PeerError("malformed_frame", "A tunnel's frame is neither bytes nor known");
  }
}

/** Nobody computes with what is wrong: the connection ends before its next command does. */
async function putBack(to: Deno.Conn, body: Uint8Array, weights: BlobReader): Promise<void> {
  const { head, offset, length, digest } = readReference(body, weights.blobBytes);
  await writeAll(to, head);
  const hash = createHash("sha256");
  for (let at = 0; at < length; at += BLOB_READ_BYTES) {
    const wanted = Math.min(BLOB_READ_BYTES, length - at);
    const bytes = await weights.read(offset + at, wanted);
    if (bytes.length !== wanted) throw new OtherWeights();
    hash.update(bytes);
    await writeAll(to, bytes);
  }
  if (hash.digest("hex") !== digest) throw new OtherWeights();
}

/** The file here has other bytes than the leader's. */
export class OtherWeights extends UnavailableError {
  constructor() {
    super("load_failed", "The weights here are not those of the leader");
  }
}

/** What the runtime says of a connection that is gone. */
export function isConnectionLoss(error: unknown): boolean {
  return [
    Deno.errors.BadResource,
    Deno.errors.BrokenPipe,
    Deno.errors.ConnectionAborted,
    Deno.errors.ConnectionReset,
    Deno.errors.Interrupted,
    Deno.errors.NotConnected,
  ].some((kind) => error instanceof kind);
}

async function writeAll(to: Deno.Conn, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) at += await to.write(bytes.subarray(at));
}
