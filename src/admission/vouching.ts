import type { NodeId } from "../base/mod.ts";
import type { MemberRows } from "../core/catalogue/mod.ts";
import type { Clock, PeerAddress, Transport } from "../ports/mod.ts";
import { byteStringShape, objectShape, textOfShape, unionShape } from "../protocol/mod.ts";
import { answering, askPeer, required, type StreamHandler } from "../calls/mod.ts";

/** Streams that ask whether a node is a member. */
export const VOUCH_PURPOSE = "vouch";

/** Members that are asked about one node, one after another. */
const ASKED_MAX = 5;
const PUBLIC_KEY_BYTES_MAX = 1_024;
const NODE_ID = /^[0-9a-f]{16}$/;

const questionShape = objectShape({
  nodeId: textOfShape<NodeId>(16, (text) => NODE_ID.test(text)),
});
const replyShape = unionShape({
  member: objectShape({ publicKey: byteStringShape(PUBLIC_KEY_BYTES_MAX) }),
  unknown: objectShape({}),
});

/** Tells members whose catalogue is behind which key another node was let in with. */
export function vouchServer(rows: () => MemberRows): StreamHandler {
  return answering(questionShape, ({ nodeId }, peer) => {
    // Whoever asks may have been let in on another's word: only a row gives the right to an answer.
    const asker = rows().findMember(peer);
    const row = asker?.standing === "admitted" ? rows().findMember(nodeId) : undefined;
    return row?.standing === "admitted"
      ? { kind: "member", publicKey: row.publicKey }
      : { kind: "unknown" };
  });
}

/** What asking others takes. */
export interface VouchParts {
  readonly transport: Pick<Transport, "openStream">;
  readonly clock: Clock;
  /** Members that this node has a row for, those that are likely to answer first. */
  readonly members: () => readonly PeerAddress[];
}

/** The key (SPKI) with which a member that this node knows says that `nodeId` was let in; undefined when none does. */
export async function askForVoucher(
  nodeId: NodeId,
  parts: VouchParts,
): Promise<Uint8Array | undefined> {
  const others = parts.members().filter((peer) => peer.nodeId !== nodeId).slice(0, ASKED_MAX);
  for (const peer of others) {
    try {
      const opening = { purpose: VOUCH_PURPOSE, nodeId };
      const reply = await askPeer(
        parts,
        { peer, opening },
        (message) => required(replyShape, message),
      );
      if (reply.kind === "member") return reply.publicKey;
    } catch {
      // Gone, or speaking nonsense: the next one may know.
    }
  }
  return undefined;
}
