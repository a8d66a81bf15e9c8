import { errorMessage } from "../base/mod.ts";
import type { Clock, Log } from "../ports/mod.ts";
import type { QuicTransport, StoredIdentity } from "../transport/mod.ts";
import type { AuthorityKeeper } from "./authority_keeper.ts";

/** How often a node looks whether its certificate is due for renewal. */
const RENEWAL_LOOK_MS = 3_600_000;
/** How often it looks whether its clock was set. */
const CLOCK_LOOK_MS = 5_000;
/** A wall clock that goes another way than the monotonic one by more than this was set, or the machine slept. */
const CLOCK_SET_MS = 60_000;

/** What renewing takes. */
export interface RenewalParts {
  readonly stored: Pick<StoredIdentity, "renewIfDue">;
  readonly transport: Pick<QuicTransport, "useIdentity">;
  readonly keeper: Pick<AuthorityKeeper, "look">;
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * Renews what this node shows of itself when it is due, and as soon as its clock was set: what it has made under a wrong clock is
 * valid at another time than this.
 */
export function renewRegularly(parts: RenewalParts): { cancel(): void } {
  const { clock, log } = parts;
  const offsetMs = () => clock.nowMs() - clock.monotonicMs();
  let knownOffsetMs = offsetMs();
  let lookedMs = clock.monotonicMs();
  let timer: { cancel(): void };
  const look = () => {
    const wasSetByMs = offsetMs() - knownOffsetMs;
    const isSet = Math.abs(wasSetByMs) > CLOCK_SET_MS;
    if (isSet) log.log("info", "clock_was_set", { byMs: Math.round(wasSetByMs) });
    if (isSet || clock.monotonicMs() - lookedMs >= RENEWAL_LOOK_MS) {
      knownOffsetMs = offsetMs();
      lookedMs = clock.monotonicMs();
      renew(parts);
    }
    timer = clock.after(CLOCK_LOOK_MS, look);
  };
  timer = clock.after(CLOCK_LOOK_MS, look);
  return { cancel: () => timer.cancel() };
}

function renew({ stored, transport, keeper, log }: RenewalParts): void {
  stored.renewIfDue().then((identity) => {
    if (identity !== undefined) transport.useIdentity(identity);
    keeper.look();
  }, (error) => {
    // Two thirds of a certificate's life are left to get over it.
    log.log("warn", "certificate_not_renewed", { reason: errorMessage(error) });
  });
}
