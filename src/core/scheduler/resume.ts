/** Deaths of runners in a row, without a new token between them, that one request survives. */
const FRUITLESS_ATTEMPTS_MAX = 3;

/** What a stream knows when its runner is gone. */
export interface LostRunner {
  /** Attempts since the last new token, this one included; >= 1. */
  readonly fruitlessAttempts: number;
}

/**
 * Whether a request whose runner died goes on in another. A request that kills every runner it meets must end at some
 * time, or one prompt could keep a node in a crash loop; one that makes progress goes on for ever.
 */
export function decideResume(lost: LostRunner): "resume" | "give_up" {
  return lost.fruitlessAttempts >= FRUITLESS_ATTEMPTS_MAX ? "give_up" : "resume";
}
