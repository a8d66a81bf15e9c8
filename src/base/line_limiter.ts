import { BoundedMap } from "./bounded_map.ts";

/** Peers whose last line is remembered; beyond, the oldest is forgotten. */
const PEERS_REMEMBERED_MAX = 1_024;

/** Lets each peer make one log line in a while: it may send nonsense faster than a log should grow. */
export class LineLimiter {
  readonly #intervalMs: number;
  readonly #lines = new BoundedMap<string, { readonly atMs: number; unsaid: number }>(
    PEERS_REMEMBERED_MAX,
  );

  constructor(intervalMs: number) {
    this.#intervalMs = intervalMs;
  }

  /** How many were left out since the peer's last line, or undefined when it is too soon for another one. */
  claim(peer: string, nowMs: number): number | undefined {
    const last = this.#lines.get(peer);
    if (last !== undefined && nowMs - last.atMs < this.#intervalMs) {
      last.unsaid++;
      return undefined;
    }
    this.#lines.set(peer, { atMs: nowMs, unsaid: 0 });
    return last?.unsaid ?? 0;
  }
}
