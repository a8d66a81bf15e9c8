import { errorMessage, isEdgeError, type NodeId, UnavailableError } from "../base/mod.ts";
import {
  askPeer,
  MessageStream,
  openPurpose,
  type QuestionParts,
  readAnswer,
  required,
  WORK_PURPOSE,
  workAnswerShape,
} from "../calls/mod.ts";
import type {
  ClientWork,
  Log,
  NodeReport,
  PeerAddress,
  RequestAsker,
  RequestRow,
  WorkElsewhere,
} from "../ports/mod.ts";
import type { ResponseMember } from "./shared_responses.ts";

/** One that dies is not waited for by whoever looks: gossip takes longer to be sure. */
const LIST_WAIT_MS = 700;
/** Other nodes that are asked to end a request. */
const PEERS_ASKED_MAX = 64;

type ReportLine = Readonly<Record<string, unknown>>;

/** What asking takes. */
export interface WorkElsewhereParts extends QuestionParts {
  readonly members: () => readonly ResponseMember[];
  readonly log: Log;
}

/** Work for clients on other nodes, and this node's own as they ask about it. */
export class PeersWork implements WorkElsewhere {
  readonly #parts: WorkElsewhereParts;
  #own: Partial<ClientWork> = {};

  constructor(parts: WorkElsewhereParts) {
    this.#parts = parts;
  }

  /** What this node works on. */
  get own(): Partial<ClientWork> {
    return this.#own;
  }

  attend(work: Partial<ClientWork>): void {
    this.#own = { ...this.#own, ...work };
  }

  async cancelRequest(requestId: string, by: RequestAsker): Promise<number> {
    const counts = await this.#askAll(
      "request_not_ended_there",
      (address) => this.#end(address, { act: "cancel_request", id: requestId, ...by }),
    );
    return counts.reduce((sum, count) => sum + count, 0);
  }

  async listRequests(by: RequestAsker): Promise<readonly RequestRow[]> {
    const opening = { purpose: WORK_PURPOSE, act: "list_requests", id: "", ...by };
    const lists = await this.#askSoon("requests_not_told_there", (peer) =>
      askPeer(
        this.#parts,
        { peer, opening },
        (message) => readAnswer(workAnswerShape, "requests", message).rows,
      ));
    return lists.flat();
  }

  async report(report: NodeReport): Promise<readonly (readonly ReportLine[])[]> {
    const id = idOf(report);
    const act = `report_${report.about}`;
    const opening = { purpose: WORK_PURPOSE, act, id, asker: "", isAdmin: true };
    const ask = (peer: PeerAddress) =>
      askPeer(
        this.#parts,
        { peer, opening },
        (message) => readAnswer(workAnswerShape, "lines", message).jsons.flatMap(readLine),
      );
    return report.about === "transfers"
      ? await this.#askSoon("report_not_told_there", ask)
      : await this.#askAll("report_not_told_there", ask);
  }

  /** As {@link #askAll}, for what is looked at again and again: who has not answered by then has nothing to tell. */
  async #askSoon<T>(
    failure: string,
    ask: (address: PeerAddress) => Promise<readonly T[]>,
  ): Promise<readonly (readonly T[])[]> {
    const late = Promise.withResolvers<readonly T[]>();
    const timer = this.#parts.clock.after(LIST_WAIT_MS, () => late.resolve([]));
    try {
      return await this.#askAll(failure, (peer) => Promise.race([late.promise, ask(peer)]));
    } finally {
      timer.cancel();
    }
  }

  /** What each member that is alive says; those that say nothing are left out, with a line of the log. */
  async #askAll<T>(failure: string, ask: (address: PeerAddress) => Promise<T>): Promise<T[]> {
    const alive = this.#parts.members().filter(({ standing }) => standing === "alive");
    const asked = alive.slice(0, PEERS_ASKED_MAX).map(async ({ address }) => {
      try {
        return [await ask(address)];
      } catch (error) {
        if (!isEdgeError(error)) throw error;
        const reason = errorMessage(error);
        this.#parts.log.log("warn", failure, { peer: address.nodeId, reason });
        return [];
      }
    });
    return (await Promise.all(asked)).flat();
  }

  async cancelResponse(id: string, nodeId: NodeId): Promise<boolean> {
    const opening = { act: "cancel_response", id, asker: "", isAdmin: false };
    return await this.#end(this.#addressOf(nodeId), opening) > 0;
  }

  async *followResponse(id: string, nodeId: NodeId, signal: AbortSignal): AsyncGenerator<string> {
    const opening = {
      purpose: WORK_PURPOSE,
      act: "follow_response",
      id,
      asker: "",
      isAdmin: false,
    };
    const to = { peer: this.#addressOf(nodeId), opening };
    const stream = await openPurpose(this.#parts.transport, to, signal);
    const end = () => stream.reset();
    signal.addEventListener("abort", end);
    try {
      const messages = new MessageStream(stream);
      for (;;) {
        const message = await messages.read();
        if (message === undefined) throw lost(nodeId);
        const answer = required(workAnswerShape, message);
        if (answer.kind === "over") return;
        yield readAnswer(workAnswerShape, "piece", message).json;
      }
    } finally {
      signal.removeEventListener("abort", end);
      stream.reset();
    }
  }

  async #end(
    peer: PeerAddress,
    opening: { readonly act: string; readonly id: string } & RequestAsker,
  ): Promise<number> {
    return await askPeer(
      this.#parts,
      { peer, opening: { purpose: WORK_PURPOSE, ...opening } },
      (message) => readAnswer(workAnswerShape, "ended", message).count,
    );
  }

  #addressOf(nodeId: NodeId): PeerAddress {
    const member = this.#parts.members().find(({ address }) => address.nodeId === nodeId);
    if (member === undefined) throw lost(nodeId);
    return member.address;
  }
}

function idOf(report: NodeReport): string {
  switch (report.about) {
    case "logs":
      return String(report.lines);
    case "trace":
      return report.id;
    case "transfers":
      return "";
  }
}

/** Nothing for what is no object. */
function readLine(json: string): readonly ReportLine[] {
  try {
    const line: unknown = JSON.parse(json);
    return typeof line === "object" && line !== null ? [{ ...line }] : [];
  } catch {
    return [];
  }
}

function lost(nodeId: NodeId): UnavailableError {
  return new UnavailableError("peer_lost", `Node ${nodeId} tells no more of the response`);
}
