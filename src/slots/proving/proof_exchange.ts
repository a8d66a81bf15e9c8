import { errorMessage, isEdgeError } from "../../base/mod.ts";
import { answering, askPeer, readAnswer, type StreamRouter } from "../../calls/mod.ts";
import type { Clock, Log, PeerAddress, Transport } from "../../ports/mod.ts";
import {
  arrayShape,
  type ExactProof,
  maybeShape,
  objectShape,
  unionShape,
  wireErrorShape,
} from "../../protocol/mod.ts";
import { filesShape, type ProofBook, PROOFS_PER_MODEL_MAX, proofShape } from "./proofs.ts";

/** Streams about what was proven of a model. */
const PROOFS_PURPOSE = "proofs";
/** Members that are asked or told at once. */
const PEERS_MAX = 64;
/**
 * How long a load waits for what others have proven. Milliseconds; a proof takes seconds, or minutes. Few, since one that is down
 * and not yet missed says nothing, and whoever goes on with its answer waits for all of them.
 */
const ASK_MS = 250;

const askedShape = objectShape({
  files: filesShape,
  /** Present = it was proven; absent = what was? */
  proven: maybeShape(proofShape),
});
const toldShape = unionShape({
  known: objectShape({ proofs: arrayShape(proofShape, PROOFS_PER_MODEL_MAX) }),
  refused: objectShape({ error: wireErrorShape }),
});

/** The other nodes; there are none before this one has joined them. */
export interface ProofCluster {
  readonly transport: Pick<Transport, "openStream">;
  readonly router: Pick<StreamRouter, "register">;
  readonly views: {
    members(): readonly { readonly address: PeerAddress; readonly standing: string }[];
  };
}

/** What an exchange works with. */
export interface ProofExchangeParts {
  readonly book: ProofBook;
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * Proofs of all nodes: what one has proven, others need not prove that compute in the same way. A proof names the build,
 * the kind of machine and what else it holds for, and a runner takes none that was made for another one. So whoever goes
 * on with the answer of a dead node doesn't prove first what that node has proven long ago.
 */
export class ProofExchange {
  readonly #parts: ProofExchangeParts;
  #cluster: ProofCluster | undefined;

  constructor(parts: ProofExchangeParts) {
    this.#parts = parts;
    parts.book.onProven = (files, proof) => this.#tell(files, proof);
  }

  /** From now on there are others. */
  join(cluster: ProofCluster): void {
    this.#cluster = cluster;
    const { book } = this.#parts;
    const server = answering(askedShape, ({ files, proven }) => {
      if (proven !== undefined) this.#learn(files, proven);
      return { kind: "known", proofs: proven ? [] : book.find(files).filter(isShared) };
    });
    cluster.router.register(PROOFS_PURPOSE, server);
  }

  /** What any other node has proven of a model; none after {@link ASK_MS}. Never rejects. */
  async ask(files: string): Promise<readonly ExactProof[]> {
    const asked = this.#others().map(async (peer) => {
      const proofs = await this.#say(peer, { files });
      if (proofs.length === 0) throw new Error("nothing was proven there");
      return proofs;
    });
    const proofs = await Promise.any(asked).catch(() => []);
    for (const proof of proofs) this.#learn(files, proof);
    return this.#parts.book.find(files);
  }

  #tell(files: string, proven: ExactProof): void {
    if (!isShared(proven)) return;
    for (const peer of this.#others()) void this.#say(peer, { files, proven });
  }

  #learn(files: string, proof: ExactProof): void {
    if (isShared(proof)) this.#parts.book.learn(files, proof);
  }

  #others(): readonly PeerAddress[] {
    const members = this.#cluster?.views.members() ?? [];
    return members.filter(({ standing }) => standing === "alive").slice(0, PEERS_MAX)
      .map(({ address }) => address);
  }

  async #say(
    peer: PeerAddress,
    asked: { readonly files: string; readonly proven?: ExactProof },
  ): Promise<readonly ExactProof[]> {
    const { clock, log } = this.#parts;
    if (this.#cluster === undefined) return [];
    const { transport } = this.#cluster;
    const to = { peer, opening: { purpose: PROOFS_PURPOSE, ...asked }, waitMs: ASK_MS };
    try {
      return await askPeer(
        { transport, clock },
        to,
        (message) => readAnswer(toldShape, "known", message).proofs,
      );
    } catch (error) {
      if (!isEdgeError(error)) throw error;
      log.log("debug", "proofs_not_shared", { peer: peer.nodeId, reason: errorMessage(error) });
      return [];
    }
  }
}

/** That there is no way, or no time, each machine finds out for itself. */
function isShared({ isFinished, policy }: ExactProof): boolean {
  return isFinished && policy !== undefined;
}
