import type { FoundResponse, KeptResponses, ResponseRecord } from "../../src/ports/mod.ts";

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
    const maker = { node: "ada", isGone: this.isMakerGone, isSelf: true };
    const record = JSON.parse(found.json);
    return Promise.resolve(found.isFinal ? { record } : { record, maker });
  }

  remove(id: string): Promise<boolean> {
    return Promise.resolve(this.kept.delete(id));
  }
}
