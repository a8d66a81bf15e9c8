import { PeerError } from "../../base/mod.ts";
import type { Clock } from "../../ports/mod.ts";
import { StalledError, StallWatch } from "../waiting.ts";
import type { AdmittedAddress } from "./address_policy.ts";
import { type IncomingAnswer, type OutgoingRequest, sendRequest } from "./send_request.ts";

/** How long silence may last. */
export interface Patience {
  readonly clock: Clock;
  /** Milliseconds; undefined = for ever, until the request's own signal. */
  readonly stallMs: number | undefined;
}

/**
 * As {@link sendRequest}, and gives up who says nothing for too long, before the answer or within it. While the reader of
 * an answer is busy no time counts.
 *
 * @throws PeerError `registry_failed` naming the host and the time.
 */
export async function sendWatched(
  target: AdmittedAddress,
  request: OutgoingRequest,
  { clock, stallMs }: Patience,
): Promise<IncomingAnswer> {
  if (stallMs === undefined) return await sendRequest(target, request);
  const { signal } = request;
  const watch = new StallWatch({ stallMs, clock, signal });
  const reworded = (error: unknown) =>
    watch.signal.reason instanceof StalledError && !signal.aborted
      ? new PeerError("registry_failed", `${target.url.host} said nothing for ${stallMs / 1_000} s`)
      : error;
  try {
    const answer = await sendRequest(target, { ...request, signal: watch.signal });
    // From here on time counts while the body is read.
    watch.end();
    return { ...answer, body: readWatched(answer.body, { watch, reworded }) };
  } catch (error) {
    watch.end();
    throw reworded(error);
  }
}

async function* readWatched(
  body: AsyncIterable<Uint8Array>,
  { watch, reworded }: {
    readonly watch: StallWatch;
    readonly reworded: (error: unknown) => unknown;
  },
): AsyncIterable<Uint8Array> {
  try {
    watch.report();
    for await (const chunk of body) {
      watch.end();
      yield chunk;
      watch.report();
    }
  } catch (error) {
    throw reworded(error);
  } finally {
    watch.end();
  }
}
