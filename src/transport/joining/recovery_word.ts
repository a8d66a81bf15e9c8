import { PeerError } from "../../base/mod.ts";
import type { Clock } from "../../ports/mod.ts";
import { decodeJoin, nodeIdOf, type RecoveryTalk } from "../../protocol/mod.ts";
import type { FramePipe, JoinHandler } from "../frame_pipe.ts";
import { anchorFromMemberKey, serverNameOf } from "../identity/mod.ts";
import { hearJoin, JoinRefused, sayJoin } from "./join_frames.ts";
import type { DialSeed, Seed } from "./join_cluster.ts";

/** How long the other node may take for its answer. Milliseconds. */
const ANSWER_LIMIT_MS = 5_000;

/** Whom {@link exchangeRecoveries} asks. */
export interface AskedNode {
  readonly seed: Seed;
  /** SPKI: only who has its private half is listened to. */
  readonly publicKey: Uint8Array;
}

/**
 * Tells a node which clusters are over, and hears from it what it knows: whatever cluster either is of now.
 *
 * @throws PeerError, UnavailableError `node_unreachable` or `peer_lost`; the signal's reason.
 */
export async function exchangeRecoveries(
  to: AskedNode,
  talk: RecoveryTalk,
  by: { readonly dial: DialSeed; readonly clock: Clock; readonly signal: AbortSignal },
): Promise<RecoveryTalk> {
  const { dial, clock, signal } = by;
  const publicKey = Uint8Array.from(to.publicKey);
  const connection = await dial(to.seed, {
    anchorPem: await anchorFromMemberKey(publicKey, clock.nowMs()),
    serverName: serverNameOf(nodeIdOf(publicKey)),
    signal,
  });
  const deadline = clock.after(ANSWER_LIMIT_MS, () => connection.close());
  try {
    await sayJoin(connection.pipe, { kind: "recovered", talk });
    return (await hearJoin(connection.pipe, "recovered")).talk;
  } catch (error) {
    // An older node knows of no such thing, and says so in its way.
    if (error instanceof JoinRefused) {
      throw new PeerError("peer_refused", `The node says nothing of recoveries: ${error.message}`);
    }
    throw error;
  } finally {
    deadline.cancel();
    connection.close();
  }
}

/** Answers who tells of recoveries; everybody else joins. */
export function orTellsOfRecoveries(
  join: JoinHandler,
  hear: (talk: RecoveryTalk) => Promise<RecoveryTalk>,
): JoinHandler {
  return async (pipe, remoteAddress) => {
    const first = await pipe.read();
    const decoded = decodeJoin(first ?? new Uint8Array(0));
    if (decoded.kind === "decoded" && decoded.value.kind === "recovered") {
      return await sayJoin(pipe, { kind: "recovered", talk: await hear(decoded.value.talk) });
    }
    await join(behind(first, pipe), remoteAddress);
  };
}

/** The pipe as it was before its first frame was read. */
function behind(first: Uint8Array<ArrayBuffer> | undefined, pipe: FramePipe): FramePipe {
  let isRead = false;
  return {
    write: (frame) => pipe.write(frame),
    read: () => {
      if (isRead) return pipe.read();
      isRead = true;
      return Promise.resolve(first);
    },
  };
}
