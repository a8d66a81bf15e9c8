import type { NodeId } from "../../base/mod.ts";
import { answering, askPeer, readAnswer } from "../../calls/mod.ts";
import type { ModelSharing } from "../../library/mod.ts";
import { SleepDriver, WAKE_PURPOSE, WakeDriver, YieldWatch } from "../../members/mod.ts";
import type { Clock, Log, Metrics, Power } from "../../ports/mod.ts";
import {
  displayModelName,
  manifestPrefixOf,
  objectShape,
  textShape,
  unionShape,
  wireErrorShape,
} from "../../protocol/mod.ts";
import type { SchedulerDriver, Serving } from "../../slots/mod.ts";
import type { Cluster } from "./cluster.ts";

const wakeShape = objectShape({ target: textShape(16) });
const replyShape = unionShape({
  sent: objectShape({}),
  refused: objectShape({ error: wireErrorShape }),
});

/** What sleep and waking take. */
interface SleepingParts {
  readonly cluster: Cluster;
  readonly power: Power;
  readonly clock: Clock;
  readonly log: Log;
}

/** What wakes the machines of others, itself or through a neighbour. */
export function openWaking(parts: SleepingParts & { readonly metrics: Metrics }): WakeDriver {
  const { cluster, power, clock, log, metrics } = parts;
  const { group, membership, transport, router } = cluster;
  const waking = new WakeDriver({
    nodeId: cluster.settings.self.nodeId,
    group,
    others: () => cluster.fellows(),
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
  cluster.wakeMsOf = (nodeId) => waking.expectedMs(nodeId);
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
    readonly driver: Pick<SchedulerDriver, "view">;
    readonly serving: Pick<Serving, "leasedElsewhere">;
    readonly sharing: ModelSharing;
    readonly config: { readonly sleepAfterMs: number; readonly yieldWhenBusyPercent: number };
  },
): Sleeping {
  const { cluster, power, clock, log, driver, serving, sharing, config } = parts;
  let openRequests = () => 0;
  const sleeper = new SleepDriver({
    nodeId: cluster.settings.self.nodeId,
    group: cluster.group,
    others: () => cluster.fellows(),
    facts: () => {
      const { running, waiting } = driver.view();
      const requests = Math.max(openRequests(), running + waiting + serving.leasedElsewhere());
      return { requests, onlyHere: onlyHere(cluster, sharing) };
    },
    holds: () => sharing.copies.held().map(manifestPrefixOf),
    power,
    sleepAfterMs: config.sleepAfterMs || undefined,
    farewell: () => cluster.farewell(),
    rejoin: () => cluster.rejoin(),
    clock,
    log,
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

/** Names of models that nobody else holds who is there or could be woken. */
function onlyHere(cluster: Cluster, sharing: ModelSharing): readonly string[] {
  const held = new Set(sharing.copies.held());
  const others = cluster.members().filter(({ standing, asleep, address }) =>
    (standing === "alive" || asleep) && !cluster.isLeaving(address.nodeId)
  );
  return cluster.group.catalogue.models()
    .filter(({ manifestDigest }) =>
      held.has(manifestDigest) && !others.some((member) => member.holds(manifestDigest))
    )
    .map(({ name }) => displayModelName(name));
}
