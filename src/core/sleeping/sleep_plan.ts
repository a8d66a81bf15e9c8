import type { Hardware, Sleep } from "./sleep_rows.ts";
import { canWake, type WakeMember } from "./wake_plan.ts";

/** How long a node that is to sleep waits for the others to vote in its place. Milliseconds. */
export const VOTE_MS_MAX = 30_000;
/** How long a refusal waits for whoever asked. Milliseconds. */
const REFUSED_MS_MAX = 60_000;
/** Models named in a reason; the rest is counted. */
const MODELS_NAMED_MAX = 3;

/** What a node knows when it asks itself whether it may sleep. */
export interface SleepFacts {
  /** Requests that run or wait here, or run elsewhere for this node; what clients pull or make counts. */
  readonly requests: number;
  /** Since when there was none. Milliseconds. */
  readonly idleMs: number;
  /** After how much of that it sleeps by itself; undefined = only when somebody asks for it. */
  readonly sleepAfterMs: number | undefined;
  /** Somebody is logged in or at the keyboard; undefined = the system doesn't tell. */
  readonly isUserHere: boolean | undefined;
  /** Names of models that no other member holds which is awake or could be woken. */
  readonly onlyHere: readonly string[];
  /** Others that stay awake and could wake this machine: see `canWake`; those that are on their way to sleep after it count. */
  readonly guards: number;
  /** Others that stay awake and can vote. */
  readonly heirs: number;
}

/** A member, and what the catalogue says of its sleep. */
export interface SleepMember extends WakeMember {
  readonly row: { readonly state: Sleep["state"]; readonly revision: number } | undefined;
}

/**
 * Whom a node that is to sleep may rely on. One that is on its way to sleep too counts where its row came later: it will find
 * that this node's came first, and stay.
 */
export function whoStays(
  own: { readonly revision: number | undefined; readonly hardware: Hardware | undefined },
  others: readonly SleepMember[],
): Pick<SleepFacts, "guards" | "heirs"> {
  const staying = others.filter(({ isAwake, row }) => {
    const isLater = row?.state === "going" && own.revision !== undefined &&
      row.revision > own.revision;
    return isAwake &&
      (row === undefined || row.state === "wished" || row.state === "refused" || isLater);
  });
  const guards = staying.filter((member) => canWake(member, own.hardware)).length;
  return { guards, heirs: staying.length };
}

/** A look at it. */
export interface SleepLook {
  readonly facts: SleepFacts;
  /** What the catalogue says, as far as this node has applied it. */
  readonly row: Sleep["state"] | undefined;
  /** How long that has been said. Milliseconds. */
  readonly rowMs: number;
  /** It votes in the log's group, in either half of a change under way. */
  readonly isVoter: boolean;
}

/** The one thing to do now. */
export type SleepStep =
  | { readonly kind: "none" }
  /** Say `going` in the catalogue, so that the others do without it. */
  | { readonly kind: "announce" }
  /** Say `refused` to whoever wished for it. */
  | { readonly kind: "refuse"; readonly reason: string }
  /** Take the row back. */
  | { readonly kind: "withdraw"; readonly reason: string }
  /** Say `asleep`, then goodbye, then put the machine to sleep. */
  | { readonly kind: "suspend" }
  /** It is awake, or its refusal was not heard: take the row away. */
  | { readonly kind: "return" };

/**
 * Decides whether a node sleeps. What it relies on of others is looked at again once its own row is applied: rows have one
 * order for all, so that of two that rely on each other the later one stays awake.
 */
export function nextSleepStep(look: SleepLook): SleepStep {
  const { facts, row, rowMs, isVoter } = look;
  switch (row) {
    case undefined:
      return isDue(facts) && whyAwake(facts) === undefined
        ? { kind: "announce" }
        : { kind: "none" };
    case "refused":
      // Whoever asked may be gone before it read the answer.
      return { kind: rowMs < REFUSED_MS_MAX ? "none" : "return" };
    case "wished": {
      const reason = whyAwake(facts);
      return reason === undefined ? { kind: "announce" } : { kind: "refuse", reason };
    }
    case "going": {
      const reason = whyAwake(facts);
      if (reason !== undefined) return { kind: "withdraw", reason };
      if (!isVoter) return { kind: "suspend" };
      if (rowMs < VOTE_MS_MAX) return { kind: "none" };
      return { kind: "withdraw", reason: "no other member took over its vote" };
    }
    case "asleep":
      return { kind: "return" };
  }
}

/** Whether it would sleep by itself. */
function isDue({ idleMs, sleepAfterMs, isUserHere }: SleepFacts): boolean {
  return sleepAfterMs !== undefined && idleMs >= sleepAfterMs && isUserHere !== true;
}

/** Why it must stay awake even if somebody asks for its sleep; undefined = it may sleep. */
function whyAwake(facts: SleepFacts): string | undefined {
  const { requests, onlyHere, guards, heirs } = facts;
  if (requests > 0) {
    return `it has ${requests} ${requests === 1 ? "request" : "requests"} to answer`;
  }
  if (onlyHere.length > 0) {
    const more = onlyHere.length - MODELS_NAMED_MAX;
    const named = onlyHere.slice(0, MODELS_NAMED_MAX).join(", ");
    return `no other member holds ${named}${more > 0 ? ` and ${more} more` : ""}`;
  }
  if (heirs === 0) return "no other member stays awake";
  if (guards === 0) return "no other member that stays awake could wake it";
  return undefined;
}
