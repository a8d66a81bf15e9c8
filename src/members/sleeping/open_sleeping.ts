import type { NodeId } from "../../base/mod.ts";
import {
  answering,
  askPeer,
  type QuestionParts,
  readAnswer,
  type StreamRouter,
} from "../../calls/mod.ts";
import type { Clock, Log, Metrics, Power } from "../../ports/mod.ts";
import { objectShape, textShape, unionShape, wireErrorShape } from "../../protocol/mod.ts";
import type { MemberViews } from "../member_views.ts";
import { SleepDriver, type SleepDriverParts } from "./sleep_driver.ts";
import { WAKE_PURPOSE, WakeDriver, type WakeDriverParts } from "./wake_driver.ts";
import { YieldWatch } from "./yield_watch.ts";

const wakeShape = objectShape({ target: textShape(16) });
const replyShape = unionShape({
  sent: objectShape({}),
  refused: objectShape({ error: wireErrorShape }),
});

/** Of a node's part in its cluster, what sleep and waking take. */
export interface SleepingCluster {
  readonly settings: { readonly self: { readonly nodeId: NodeId } };
  readonly group: WakeDriverParts["group"] & SleepDriverParts["group"];
  readonly transport: QuestionParts["transport"];
  readonly membership: { onMemberChanged: WakeDriverParts["onMemberChanged"] };
  readonly gossip: { tellYield(yields: boolean): void };
  readonly router: Pick<StreamRouter, "register">;
  readonly views: Pick<MemberViews, "fellows" | "wakeMsOf">;
  addressOf(nodeId: NodeId): string;
  farewell(): Promise<void>;
  rejoin(): void;
}

/** What sleep and waking take. */
interface SleepingParts {
  readonly cluster: SleepingCluster;
  readonly power: Power;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
}

/** What wakes the machines of others, itself or through a neighbour. */
export function openWaking(parts: SleepingParts): WakeDriver {
  const { cluster, power, clock, log, metrics } = parts;
  const { group, membership, transport, router } = cluster;
  const waking = new WakeDriver({
    nodeId: cluster.settings.self.nodeId,
    group,
    others: () => cluster.views.fellows(),
    power,
    askNeighbour: async (nodeId, target) => {
      const peer = { nodeId, address: cluster.addressOf(nodeId) };
      await askPeer(
        { transport, clock },
        { peer, opening: { purpose: WAKE_PURPOSE, target } },
        (message) => readAnswer(replyShape, "sent", message),
      );
    },
    onMemberChanged: (listener) => membership.onMemberChanged(listener),
    clock,
    log,
    metrics,
  });
  cluster.views.wakeMsOf = (nodeId) => waking.expectedMs(nodeId);
  router.register(
    WAKE_PURPOSE,
    answering(wakeShape, async ({ target }) => {
      await waking.sendPacket(target as NodeId); // Decoding: of no member, it names no hardware.
      return { kind: "sent" };
    }),
  );
  return waking;
}

/** This machine's own sleep, and its keeping out of the way. */
export interface Sleeping {
  /** Also counts what clients ask over HTTP. */
  count(openRequests: () => number): void;
  close(): void;
}

/** Lets this machine sleep when it is told to or idle, and yield to other programs. */
export function openSleeping(
  parts: SleepingParts & {
    /** Requests that run or wait here, or run for this node elsewhere. */
    readonly requests: () => number;
    /** Names of models that nobody else holds who is there or could be woken. */
    readonly onlyHere: () => readonly string[];
    readonly holds: SleepDriverParts["holds"];
    readonly config: { readonly sleepAfterMs: number; readonly yieldWhenBusyPercent: number };
  },
): Sleeping {
  const { cluster, power, clock, log, config } = parts;
  let openRequests = () => 0;
  const sleeper = new SleepDriver({
    nodeId: cluster.settings.self.nodeId,
    group: cluster.group,
    others: () => cluster.views.fellows(),
    facts: () => ({
      requests: Math.max(openRequests(), parts.requests()),
      onlyHere: parts.onlyHere(),
    }),
    holds: parts.holds,
    power,
    sleepAfterMs: config.sleepAfterMs || undefined,
    farewell: () => cluster.farewell(),
    rejoin: () => cluster.rejoin(),
    clock,
    log,
    metrics: parts.metrics,
  });
  const busyPercent = config.yieldWhenBusyPercent;
  const yielding = busyPercent === 0 ? undefined : new YieldWatch({
    ...{ power, busyPercent, clock, log },
    onChanged: (yields) => cluster.gossip.tellYield(yields),
  });
  return {
    count: (count) => openRequests = count,
    close() {
      sleeper.close();
      yielding?.close();
    },
  };
}
