import { type Digest, PeerError } from "../base/mod.ts";
import type { Clock, PeerAddress, PeerStream, Transport } from "../ports/mod.ts";
import { BLOB_PURPOSE, openPurpose } from "../calls/mod.ts";
import type { PinnedFiles } from "./blob_server.ts";
import { type BlobMember, strangers } from "./members.ts";
import { readBlobAnswer } from "./peer_blobs.ts";

/** How long a member may send nothing. Milliseconds. */
const SILENCE_MS = 10_000;

/** Such files of this node, which belong to packages. */
export interface NamedPinnedFiles extends PinnedFiles {
  /** Undefined = there is no such file. */
  digestOf(packageName: string, name: string): Digest | undefined;
  /** Undefined = it isn't here. */
  file(packageName: string, name: string): Promise<ReadableStream<Uint8Array> | undefined>;
}

/** What asking takes. */
export interface PinnedFilesParts {
  readonly transport: Pick<Transport, "openStream">;
  readonly members: () => readonly BlobMember[];
  readonly clock: Pick<Clock, "after">;
}

/**
 * A file that belongs to no model and whose digest is known, from the first member that has it; undefined = nobody has. Whoever
 * reads it compares the digest.
 */
export async function readPinnedFile(
  parts: PinnedFilesParts,
  digest: Digest,
): Promise<ReadableStream<Uint8Array> | undefined> {
  for (const peer of strangers(parts.members())) {
    const found = await ask(parts, peer, { digest, length: 1 }).catch(() => undefined);
    found?.stream.reset();
    if (found === undefined || found.blobBytes === 0) continue;
    return ReadableStream.from(bytesOf(parts, peer, { digest, length: found.blobBytes }));
  }
  return undefined;
}

async function* bytesOf(
  parts: PinnedFilesParts,
  peer: PeerAddress,
  wanted: { readonly digest: Digest; readonly length: number },
): AsyncGenerator<Uint8Array> {
  const { stream } = await ask(parts, peer, wanted);
  let left = wanted.length;
  try {
    while (left > 0) {
      const bytes = await soon(parts, stream, stream.read());
      if (bytes === undefined || bytes.length === 0 || bytes.length > left) {
        throw new PeerError("malformed_frame", `A file from another node: ${left} bytes are left`);
      }
      left -= bytes.length;
      yield bytes;
    }
  } finally {
    stream.reset();
  }
}

async function ask(
  parts: PinnedFilesParts,
  peer: PeerAddress,
  wanted: { readonly digest: Digest; readonly length: number },
): Promise<{ readonly stream: PeerStream; readonly blobBytes: number }> {
  const late = new AbortController();
  const timer = parts.clock.after(SILENCE_MS, () => late.abort());
  try {
    const opening = { purpose: BLOB_PURPOSE, offset: 0, ...wanted };
    const stream = await openPurpose(parts.transport, { peer, opening }, late.signal);
    return { stream, blobBytes: await soon(parts, stream, readBlobAnswer(stream)) };
  } finally {
    timer.cancel();
  }
}

/** A reset has whoever waits for the stream fail. */
async function soon<T>(
  { clock }: PinnedFilesParts,
  stream: PeerStream,
  coming: Promise<T>,
): Promise<T> {
  const timer = clock.after(SILENCE_MS, () => stream.reset());
  try {
    return await coming;
  } catch (error) {
    stream.reset();
    throw error;
  } finally {
    timer.cancel();
  }
}
