import { PeerError, printableJson } from "../base/mod.ts";
import {
  answerPeer,
  MessageStream,
  REPORT_LINES_MAX,
  REQUEST_ROWS_MAX,
  required,
  type StreamHandler,
  type WorkAnswer,
  workOpeningShape,
} from "../calls/mod.ts";
import type { ClientWork, NodeReport, PeerStream } from "../ports/mod.ts";

/** Ends and shows work for clients of this node, as other nodes' clients ask for it. */
export class WorkServer implements StreamHandler {
  /** Most of them follow a response. */
  readonly streamsPerPeerMax = 128;
  readonly #work: () => Partial<ClientWork>;

  constructor(work: () => Partial<ClientWork>) {
    this.#work = work;
  }

  async serve(stream: PeerStream, opening: unknown): Promise<void> {
    const { act, id, asker, isAdmin } = required(workOpeningShape, opening);
    const work = this.#work();
    switch (act) {
      case "cancel_request":
        return await this.#end(stream, () => work.cancelRequest?.(id, { asker, isAdmin }) ?? 0);
      case "list_requests":
        return await answerPeer(stream, async () => {
          const rows = work.listRequests?.({ asker, isAdmin }) ?? [];
          return { kind: "requests", rows: rows.slice(-REQUEST_ROWS_MAX) };
        });
      case "report_logs":
        return await this.#report(stream, { about: "logs", lines: Number(id) || 0 }, isAdmin);
      case "report_trace":
        return await this.#report(stream, { about: "trace", id }, isAdmin);
      case "report_transfers":
        return await this.#report(stream, { about: "transfers" }, isAdmin);
      case "cancel_response":
        return await this.#end(
          stream,
          async () => await work.cancelResponse?.(id) === true ? 1 : 0,
        );
      case "follow_response":
        return await this.#follow(stream, id);
      default:
        throw new PeerError("malformed_frame", `Nothing is done with work by "${act}"`);
    }
  }

  async #end(stream: PeerStream, end: () => number | Promise<number>): Promise<void> {
    await answerPeer(stream, async () => ({ kind: "ended", count: await end() }));
  }

  async #report(stream: PeerStream, report: NodeReport, isAdmin: boolean): Promise<void> {
    await answerPeer(stream, async () => {
      const lines = isAdmin ? await this.#work().report?.(report) ?? [] : [];
      return {
        kind: "lines",
        jsons: lines.slice(-REPORT_LINES_MAX).map((it) => printableJson(it)),
      };
    });
  }

  async #follow(stream: PeerStream, id: string): Promise<void> {
    const messages = new MessageStream(stream);
    const left = new AbortController();
    const tell = (answer: WorkAnswer) => messages.write(answer);
    // Who follows says nothing more: whatever comes, or the stream's end, is his leaving.
    stream.read().then(() => left.abort(), () => left.abort());
    try {
      for await (const json of this.#work().followResponse?.(id, left.signal) ?? []) {
        await tell({ kind: "piece", json });
      }
      if (!left.signal.aborted) await tell({ kind: "over" });
    } finally {
      await messages.end().catch(() => stream.reset());
    }
  }
}
