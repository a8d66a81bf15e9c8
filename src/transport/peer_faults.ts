import { errorMessage, LineLimiter, type PeerError } from "../base/mod.ts";
import type { Clock, Log, Metrics } from "../ports/mod.ts";
import { helloFailureOf } from "./identity/mod.ts";

/** The same peer's faults make one line in this time. */
const LINE_INTERVAL_MS = 60_000;

/** Counts what peers do wrong, and says it without letting them fill the log. */
export class PeerFaults {
  readonly #parts: { readonly log: Log; readonly metrics: Metrics; readonly clock: Clock };
  readonly #lines = new LineLimiter(LINE_INTERVAL_MS);

  constructor(parts: { readonly log: Log; readonly metrics: Metrics; readonly clock: Clock }) {
    this.#parts = parts;
  }

  /** `peer`: its id where it is known, else its host. */
  note(peer: string, error: PeerError): void {
    const { log, metrics, clock } = this.#parts;
    const fault = faultOf(error);
    metrics.increment("odist_peer_faults_total", { fault });
    const unsaid = this.#lines.claim(peer, clock.monotonicMs());
    if (unsaid === undefined) return;
    const more = unsaid === 0 ? {} : { unsaid };
    log.log("warn", "peer_fault", { peer, fault, reason: errorMessage(error), ...more });
  }
}

/** What the fault is called in metrics: a closed list. */
function faultOf(error: PeerError): string {
  const hello = helloFailureOf(error);
  return hello === undefined ? error.code : `hello_${hello.reason}`;
}
