import { errorMessage, isEdgeError } from "../base/mod.ts";
import {
  answering,
  askPeer,
  type QuestionParts,
  readAnswer,
  type StreamHandler,
} from "../calls/mod.ts";
import type { Clock, IncidentWish, PeerAddress } from "../ports/mod.ts";
import {
  booleanShape,
  byteStringShape,
  numberShape,
  objectShape,
  textShape,
  unionShape,
  wireErrorShape,
} from "../protocol/mod.ts";
import { joinIncidents, writeIncident, writeSilence } from "./incident_file.ts";
import type { IncidentRecorder } from "./recorder.ts";
import type { RecordingNode } from "./replaying/mod.ts";

/** What the first frame of a stream for a node's recording says it is for. */
const INCIDENT_PURPOSE = "incident";
/** Of one node's recording, packed: as much as a message may be, but for its frame. */
const RECORDING_BYTES_MAX = 63 * 1024 * 1024;
/** Packing takes seconds where much was recorded. */
const RECORDING_WAIT_MS = 30_000;
/** Other nodes that are asked. */
const PEERS_ASKED_MAX = 64;

const openingShape = objectShape({
  purpose: textShape(32),
  lastMs: numberShape(0),
  withTexts: booleanShape,
});
const answerShape = unionShape({
  recording: objectShape({ bytes: byteStringShape(RECORDING_BYTES_MAX) }),
  refused: objectShape({ error: wireErrorShape }),
});

/** What a node saves its own recording with, and asks others for theirs. */
export interface IncidentsParts {
  readonly recorder: IncidentRecorder;
  readonly version: string;
  readonly clock: Clock;
  readonly cluster: {
    readonly transport: QuestionParts["transport"];
    readonly router: { register(purpose: string, handler: StreamHandler): void };
    readonly settings: { readonly self: Pick<RecordingNode, "nodeId" | "name"> };
    readonly views: {
      members(): readonly { readonly address: PeerAddress; readonly standing: string }[];
    };
  };
}

/** Serves this node's recording to others. @returns How all nodes' recordings become one file. */
export function openIncidents(
  parts: IncidentsParts,
): (wish: IncidentWish) => Promise<Uint8Array> {
  const { recorder, version, clock, cluster } = parts;
  const node = { ...cluster.settings.self, version };
  const own = (wish: IncidentWish) =>
    writeIncident({ node, clock }, recorder.stretches(clock.nowMs() - wish.lastMs), wish);
  cluster.router.register(
    INCIDENT_PURPOSE,
    answering(openingShape, async (wish) => ({ kind: "recording", bytes: await own(wish) })),
  );
  return async (wish) => {
    const asked = cluster.views.members()
      .filter(({ address, standing }) => address.nodeId !== node.nodeId && standing === "alive")
      .slice(0, PEERS_ASKED_MAX);
    const others = asked.map(({ address }) => recordingOf(parts, address, wish));
    return joinIncidents(await Promise.all([own(wish), ...others]));
  };
}

/** Of one that does not say: why. */
async function recordingOf(
  { cluster: { transport }, clock }: IncidentsParts,
  peer: PeerAddress,
  { lastMs, withTexts }: IncidentWish,
): Promise<Uint8Array> {
  const opening = { purpose: INCIDENT_PURPOSE, lastMs, withTexts };
  const to = { peer, opening, waitMs: RECORDING_WAIT_MS };
  try {
    return await askPeer(
      { transport, clock },
      to,
      (message) => readAnswer(answerShape, "recording", message).bytes,
    );
  } catch (error) {
    if (!isEdgeError(error)) throw error;
    return await writeSilence(peer.nodeId, errorMessage(error));
  }
}
