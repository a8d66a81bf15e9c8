import type { NodeId } from "../../src/base/mod.ts";
import type {
  ClientWork,
  FoundResponse,
  KeptResponses,
  NodeReport,
  RequestAsker,
  RequestRow,
  ResponseRecord,
  WorkElsewhere,
} from "../../src/ports/mod.ts";

const MAKER = "ada" as NodeId;

/** Keeps responses in memory, as JSON, on as many nodes as one. */
export class MemoryResponses implements KeptResponses {
  recordBytesMax = 1024 * 1024;
  readonly kept = new Map<string, { readonly json: string; readonly isFinal: boolean }>();
  /** Called with each record that is kept. */
  onKept: (record: ResponseRecord, isFinal: boolean) => void = () => {};
  isMakerGone = false;

  keep(id: string, record: ResponseRecord, { isFinal }: { isFinal: boolean }): Promise<number> {
    this.kept.set(id, { json: JSON.stringify(record), isFinal });
    this.onKept(record, isFinal);
    return Promise.resolve(1);
  }

  find(id: string): Promise<FoundResponse | undefined> {
    const found = this.kept.get(id);
    if (found === undefined) return Promise.resolve(undefined);
    const maker = { node: "ada", nodeId: MAKER, isGone: this.isMakerGone, isSelf: true };
    const record = JSON.parse(found.json);
    return Promise.resolve(found.isFinal ? { record } : { record, maker });
  }

  remove(id: string): Promise<boolean> {
    return Promise.resolve(this.kept.delete(id));
  }

  attend(): void {}

  /** The same responses, on a node that makes none of them. */
  elsewhere(): KeptResponses {
    const find = async (id: string): Promise<FoundResponse | undefined> => {
      const found = await this.find(id);
      return found?.maker === undefined
        ? found
        : { ...found, maker: { ...found.maker, isSelf: false } };
    };
    return {
      recordBytesMax: this.recordBytesMax,
      keep: (id, record, options) => this.keep(id, record, options),
      remove: (id) => this.remove(id),
      attend() {},
      find,
    };
  }
}

/** What the clients of two nodes have them work on: each is the other's elsewhere. */
export class LinkedWork implements WorkElsewhere {
  peer: LinkedWork | undefined;
  own: Partial<ClientWork> = {};

  attend(work: Partial<ClientWork>): void {
    this.own = { ...this.own, ...work };
  }

  cancelRequest(requestId: string, by: RequestAsker): Promise<number> {
    return Promise.resolve(this.peer?.own.cancelRequest?.(requestId, by) ?? 0);
  }

  listRequests(by: RequestAsker): Promise<readonly RequestRow[]> {
    return Promise.resolve(this.peer?.own.listRequests?.(by) ?? []);
  }

  async report(report: NodeReport) {
    return [await this.peer?.own.report?.(report) ?? []];
  }

  async cancelResponse(id: string): Promise<boolean> {
    return await this.peer?.own.cancelResponse?.(id) ?? false;
  }

  async *followResponse(id: string, _nodeId: NodeId, signal: AbortSignal): AsyncGenerator<string> {
    yield* this.peer?.own.followResponse?.(id, signal) ?? [];
  }
}

/** Two of them. */
export function linkedWork(): readonly [LinkedWork, LinkedWork] {
  const [one, other] = [new LinkedWork(), new LinkedWork()];
  one.peer = other;
  other.peer = one;
  return [one, other];
}
