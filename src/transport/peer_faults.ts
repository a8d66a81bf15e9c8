import { errorMessage, type PeerError } from "../base/mod.ts";
import type { Clock, Log, Metrics } from "../ports/mod.ts";
import { helloFailureOf } from "./identity/mod.ts";

/** The same peer's faults make one line in this time. */
const LINE_INTERVAL_MS = 60_000;
/** Peers whose last line is remembered; beyond, the oldest is forgotten. */
const PEERS_REMEMBERED_MAX = 1_024;

/** Counts what peers do wrong, and says it without letting them fill the log. */
export class PeerFaults {
  readonly #parts: { readonly log: Log; readonly metrics: Metrics; readonly clock: Clock };
  /** By peer, oldest first. */
  readonly #lines = new Map<string, { readonly atMs: number; unsaid: number }>();

  constructor(parts: { readonly log: Log; readonly metrics: Metrics; readonly clock: Clock }) {
    this.#parts = parts;
  }

  /** `peer`: its id where it is known, else its host. */
  note(peer: string, error: PeerError): void {
    const { log, metrics } = this.#parts;
    const fault = faultOf(error);
    metrics.increment("odist_peer_faults_total", { fault });
    const unsaid = this.#claimLine(peer);
    if (unsaid === undefined) return;
    const more = unsaid === 0 ? {} : { unsaid };
    log.log("warn", "peer_fault", { peer, fault, reason: errorMessage(error), ...more });
  }

  /** How many were left out since the last line, or undefined when it is too soon for another one. */
  #claimLine(peer: string): number | undefined {
    const nowMs = this.#parts.clock.monotonicMs();
    const last = this.#lines.get(peer);
    if (last !== undefined && nowMs - last.atMs < LINE_INTERVAL_MS) {
      last.unsaid++;
      return undefined;
    }
    this.#lines.delete(peer);
    this.#lines.set(peer, { atMs: nowMs, unsaid: 0 });
    const [oldest] = this.#lines.keys();
    if (this.#lines.size > PEERS_REMEMBERED_MAX && oldest !== undefined) this.#lines.delete(oldest);
    return last?.unsaid ?? 0;
  }
}

/** What the fault is called in metrics: a closed list. */
function faultOf(error: PeerError): string {
  const hello = helloFailureOf(error);
  return hello === undefined ? error.code : `hello_${hello.reason}`;
}
