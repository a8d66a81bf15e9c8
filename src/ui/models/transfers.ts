import { signal } from "@preact/signals";
import { askLines, lookAtModels } from "../state/mod.ts";

/** Finished ones kept in view. */
const FINISHED_MAX = 5;

/** A pull, or a model that is made. */
export interface Transfer {
  readonly id: number;
  readonly title: string;
  readonly state: "running" | "done" | "failed" | "stopped";
  /** The node's words. */
  readonly status: string;
  /** Of all layers that were heard of. Bytes. */
  readonly total: number;
  readonly completed: number;
}

interface Line {
  readonly status?: string;
  readonly error?: string;
  readonly digest?: string;
  readonly total?: number;
  readonly completed?: number;
}

/** Newest first. */
export const transfers = signal<readonly Transfer[]>([]);

const controllers = new Map<number, AbortController>();
let lastId = 0;

/** Ends it; what came of a pull stays, and the next one goes on from there. */
export function stopTransfer(id: number): void {
  controllers.get(id)?.abort();
}

function set(id: number, now: Partial<Transfer>): void {
  transfers.value = transfers.value.map((one) => one.id === id ? { ...one, ...now } : one);
}

/** Has a node pull or create, and shows how far it is. */
export async function transfer(title: string, path: string, body: object): Promise<void> {
  const id = ++lastId;
  const controller = new AbortController();
  const { signal } = controller;
  controllers.set(id, controller);
  const running = transfers.value.filter(({ state }) => state === "running");
  const over = transfers.value.filter(({ state }) => state !== "running").slice(0, FINISHED_MAX);
  const begun = { id, title, state: "running", status: "asking", total: 0, completed: 0 } as const;
  transfers.value = [begun, ...running, ...over];
  try {
    await read(id, askLines<Line>(path, { method: "POST", body, signal }));
    set(id, { state: "done", status: "done" });
    await lookAtModels();
  } catch (error) {
    const status = error instanceof Error ? error.message : String(error);
    set(id, signal.aborted ? { state: "stopped", status: "stopped" } : { state: "failed", status });
  } finally {
    controllers.delete(id);
  }
}

async function read(id: number, lines: AsyncIterable<Line>): Promise<void> {
  const layers = new Map<string, { readonly total: number; readonly completed: number }>();
  for await (const { error, status = "", digest, total = 0, completed = 0 } of lines) {
    if (error !== undefined) throw new Error(error);
    if (digest !== undefined) layers.set(digest, { total, completed });
    const all = [...layers.values()];
    set(id, {
      status,
      total: all.reduce((sum, layer) => sum + layer.total, 0),
      completed: all.reduce((sum, layer) => sum + layer.completed, 0),
    });
  }
}

/** Whether a pull or a model that is made goes on: it ends with the page. */
export function isTransferring(): boolean {
  return transfers.peek().some(({ state }) => state === "running");
}
