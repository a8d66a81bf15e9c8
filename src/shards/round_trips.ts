import { BoundedMap, isEdgeError, type NodeId } from "../base/mod.ts";
import { askPeer, ECHO_PURPOSE } from "../calls/mod.ts";
import type { Clock, PeerAddress, Transport } from "../ports/mod.ts";

/** Questions to one node; the shortest way there and back counts, as the first one may have had to connect. */
const QUESTIONS = 3;
/** How long an answer is waited for: whoever takes longer is no node to ask for every token. Milliseconds. */
const ECHO_WAIT_MS = 200;
/** How long a measurement holds. Milliseconds. */
const MEASURED_MS = 60_000;
/** Nodes that are measured for one plan. */
const MEASURED_NODES_MAX = 32;
/** Measurements that are remembered. */
const REMEMBERED_MAX = 1_024;

/** How long words take to other nodes and back, as a stream carries them, both programs' part included. */
export class RoundTrips {
  readonly #clock: Clock;
  readonly #measured = new BoundedMap<
    NodeId,
    { readonly atMs: number; readonly roundTripMs: number }
  >(REMEMBERED_MAX);

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** In milliseconds by node, at once for all; those measured a moment ago are not asked again. Takes 600 ms at most. */
  async measure(
    transport: Pick<Transport, "openStream">,
    peers: readonly PeerAddress[],
  ): Promise<ReadonlyMap<NodeId, number>> {
    const asked = peers.slice(0, MEASURED_NODES_MAX);
    const rows = await Promise.all(
      asked.map(async (peer) => [peer.nodeId, await this.#of(transport, peer)] as const),
    );
    return new Map(rows);
  }

  async #of(transport: Pick<Transport, "openStream">, peer: PeerAddress): Promise<number> {
    const known = this.#measured.get(peer.nodeId);
    const nowMs = this.#clock.monotonicMs();
    if (known !== undefined && nowMs - known.atMs < MEASURED_MS) return known.roundTripMs;
    let roundTripMs = ECHO_WAIT_MS;
    for (let question = 0; question < QUESTIONS; question++) {
      const tookMs = await this.#ask(transport, peer);
      if (tookMs === undefined) break;
      roundTripMs = Math.min(roundTripMs, tookMs);
    }
    this.#measured.set(peer.nodeId, { atMs: this.#clock.monotonicMs(), roundTripMs });
    return roundTripMs;
  }

  /** Undefined where no answer came; whatever comes is one, a refusal too. */
  async #ask(
    transport: Pick<Transport, "openStream">,
    peer: PeerAddress,
  ): Promise<number | undefined> {
    const startedMs = this.#clock.monotonicMs();
    const to = { peer, opening: { purpose: ECHO_PURPOSE }, waitMs: ECHO_WAIT_MS };
    try {
      return await askPeer(
        { transport, clock: this.#clock },
        to,
        () => this.#clock.monotonicMs() - startedMs,
      );
    } catch (error) {
      if (!isEdgeError(error)) throw error;
      return undefined;
    }
  }
}
