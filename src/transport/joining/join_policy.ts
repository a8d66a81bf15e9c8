/** What became of one attempt to join through one seed. */
export interface JoinAttempt {
  /** The seed as the user wrote it. */
  readonly seed: string;
  readonly kind:
    /** Nobody answered there, or the connection broke. */
    | "unreachable"
    /** Who answered can't show a certificate of the token's cluster. */
    | "other_cluster"
    /** It is one of the cluster, and can't admit anybody right now. */
    | "busy"
    /** The cluster has decided: no seed would say otherwise. */
    | "refused";
  /** Text safe to show. */
  readonly text: string;
}

/** How long to go on. */
export interface JoinPatience {
  /** Milliseconds from the first attempt after which no further round begins. */
  readonly patienceMs: number;
  /** Milliseconds before the second round; doubled before each further one. */
  readonly pauseFirstMs: number;
  /** Milliseconds. */
  readonly pauseMaxMs: number;
}

/** Machines that are started together find each other, and a mistyped address is reported while somebody still looks. */
export const JOIN_PATIENCE: JoinPatience = {
  patienceMs: 30_000,
  pauseFirstMs: 250,
  pauseMaxMs: 4_000,
};

/**
 * How long members that show no certificate of the token's authority are asked again: after a machine was revoked they go over to
 * the next authority one after another. Milliseconds.
 */
export const STRANGERS_PATIENCE_MS = 5_000;

/** What to do after each seed was tried once. */
export type JoinDecision =
  | { readonly kind: "pause"; readonly pauseMs: number }
  | {
    readonly kind: "give_up";
    readonly because: "refused" | "other_cluster" | "busy" | "unreachable";
    readonly text: string;
  };

/** Decides after a round of attempts, of which none succeeded. Another round makes sense only where time may change something. */
export function decideAfterRound(
  round: { readonly attempts: readonly JoinAttempt[]; readonly number: number },
  time: JoinPatience & { readonly elapsedMs: number },
): JoinDecision {
  const { attempts, number } = round;
  const refused = attempts.find(({ kind }) => kind === "refused");
  if (refused !== undefined) return giveUp("refused", [refused]);
  const strangers = attempts.filter(({ kind }) => kind === "other_cluster");
  const pauseMs = Math.min(time.pauseFirstMs * 2 ** Math.min(number - 1, 20), time.pauseMaxMs);
  const areStrangers = strangers.length === attempts.length;
  if (areStrangers && time.elapsedMs + pauseMs > STRANGERS_PATIENCE_MS) {
    return giveUp("other_cluster", strangers);
  }
  if (time.elapsedMs + pauseMs <= time.patienceMs) return { kind: "pause", pauseMs };
  const isBusy = attempts.some(({ kind }) => kind === "busy");
  return giveUp(isBusy ? "busy" : "unreachable", attempts);
}

function giveUp(
  because: Extract<JoinDecision, { kind: "give_up" }>["because"],
  attempts: readonly JoinAttempt[],
): JoinDecision {
  const text = attempts.map((attempt) => `${attempt.seed}: ${attempt.text}`).join("; ");
  return { kind: "give_up", because, text };
}
