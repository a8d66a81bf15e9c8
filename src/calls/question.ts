import { isEdgeError, type NodeId, PeerError, UnavailableError } from "../base/mod.ts";
import type { Clock, PeerAddress, PeerStream, Transport } from "../ports/mod.ts";
import { fromWireError, readShape, type Shape, type WireError } from "../protocol/mod.ts";
import { required } from "./lease_messages.ts";
import { MessageStream } from "./message_stream.ts";
import { openPurpose, refuse, type StreamHandler, ToldFailure } from "./stream_router.ts";

/** Questions of one peer at once. */
const QUESTIONS_PER_PEER_MAX = 16;
/** How long a question may take, its connection included. Milliseconds; definitions are read from disk. */
const QUESTION_WAIT_MS = 5_000;

/** What asking takes. */
export interface QuestionParts {
  readonly transport: Pick<Transport, "openStream">;
  readonly clock: Clock;
}

/**
 * Asks one question on a stream of its own, and reads its one answer with `read`.
 *
 * @throws UnavailableError `peer_lost`, also when the answer takes too long; what `read` throws.
 */
export async function askPeer<T, O extends { readonly purpose: string }>(
  parts: QuestionParts,
  to: {
    readonly peer: PeerAddress;
    readonly opening: O;
    /** What is too long for the opening. */
    readonly message?: unknown;
    /** Default 5 s. */
    readonly waitMs?: number;
  },
  read: (message: unknown) => T,
): Promise<T> {
  const late = new AbortController();
  let stream: PeerStream | undefined;
  const timer = parts.clock.after(to.waitMs ?? QUESTION_WAIT_MS, () => {
    late.abort(new UnavailableError("peer_lost", `Node ${to.peer.nodeId} does not answer`));
    stream?.reset();
  });
  try {
    stream = await openPurpose(parts.transport, to, late.signal);
    const messages = new MessageStream(stream);
    if (to.message !== undefined) await messages.write(to.message);
    const message = await messages.read();
    if (message === undefined) throw new UnavailableError("peer_lost", "A node ended its answer");
    return read(message);
  } catch (error) {
    // The reset that ends a late answer is not what was wrong with it.
    late.signal.throwIfAborted();
    throw error;
  } finally {
    timer.cancel();
    stream?.reset();
  }
}

/** Answers the questions of one purpose: `answer` gets what `shape` reads of one, and who asks. */
export function answering<A>(
  shape: Shape<A>,
  answer: (asked: A, peer: NodeId) => unknown,
): StreamHandler {
  return {
    streamsPerPeerMax: QUESTIONS_PER_PEER_MAX,
    async serve(stream, opening) {
      const asked = required(shape, opening);
      await answerPeer(stream, async () => await answer(asked, stream.peer));
    },
  };
}

/** Writes what `work` makes as the one answer to a question, or why there is none. */
export async function answerPeer(stream: PeerStream, work: () => Promise<unknown>): Promise<void> {
  let reply: unknown;
  try {
    reply = await work();
  } catch (error) {
    await refuse(stream, error);
    // The peer hears only that something failed; what it was belongs into this node's log.
    if (!isEdgeError(error)) throw new ToldFailure(error);
    return;
  }
  const messages = new MessageStream(stream);
  await messages.write(reply);
  await messages.end();
}

/**
 * What a peer answered, when it is of the wanted kind.
 *
 * @throws what the peer refused with; PeerError `malformed_frame` for nonsense and for an answer to another question.
 */
export function readAnswer<
  A extends { readonly kind: string } | { readonly kind: "refused"; readonly error: WireError },
  K extends A["kind"],
>(shape: Shape<A>, wanted: K, message: unknown): Extract<A, { readonly kind: K }> {
  const read = readShape(shape, message);
  if (read.kind === "malformed") {
    throw new PeerError("malformed_frame", `A peer's answer: ${read.reason}`);
  }
  const answer: A = read.value;
  if (answer.kind === wanted) return answer as Extract<A, { readonly kind: K }>;
  if ("error" in answer) throw fromWireError(answer.error);
  throw new PeerError("malformed_frame", `A peer answered with ${answer.kind}`);
}
