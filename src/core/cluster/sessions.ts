import type { RequestStamp } from "../../protocol/mod.ts";
import {
  type Refusal,
  REFUSALS,
  SESSION_OUTCOMES_MAX,
  type SessionRow,
  SESSIONS_MAX,
} from "./rows.ts";

/** What became of a command: `revision` is the index of the entry that did it. */
export type Outcome =
  | { readonly kind: "applied"; readonly revision: number }
  | { readonly kind: "refused"; readonly reason: Refusal };

type Sessions = Map<number, SessionRow>;

/** Opens a session under the entry's own index; the one unused longest makes room. */
export function openSession(sessions: Sessions, index: number): void {
  if (sessions.size >= SESSIONS_MAX) {
    let oldest: SessionRow | undefined;
    for (const row of sessions.values()) {
      if (oldest === undefined || row.lastUsedIndex < oldest.lastUsedIndex) oldest = row;
    }
    if (oldest !== undefined) sessions.delete(oldest.session);
  }
  const row = { session: index, lastUsedIndex: index, firstUnanswered: 1, outcomes: [] };
  sessions.set(index, row);
}

/**
 * The answer to a request that must not be applied now, or undefined. `repeated`: it was applied before, and this is what
 * came of it. A request whose outcome is forgotten is refused: it may have been applied.
 */
export function findOutcome(
  sessions: Sessions,
  request: RequestStamp,
): { readonly outcome: Outcome; readonly repeated: boolean } | undefined {
  const { session, sequence, firstUnanswered } = request;
  const row = sessions.get(session);
  if (row === undefined) return refuse("session_unknown");
  if (sequence === 0 || firstUnanswered > sequence) return refuse("malformed_command");
  const held = row.outcomes.find((outcome) => outcome.sequence === sequence);
  if (held !== undefined) return { outcome: outcomeOf(held), repeated: true };
  return sequence < row.firstUnanswered ? refuse("request_stale") : undefined;
}

/** Remembers an outcome, and forgets those the client has been told. */
export function rememberOutcome(
  sessions: Sessions,
  request: RequestStamp,
  result: { readonly outcome: Outcome; readonly index: number },
): void {
  const row = sessions.get(request.session);
  if (row === undefined) return;
  const { outcome, index } = result;
  const entry = {
    sequence: request.sequence,
    refusal: outcome.kind === "applied" ? 0 : 1 + REFUSALS.indexOf(outcome.reason),
    revision: outcome.kind === "applied" ? outcome.revision : 0,
  };
  let firstUnanswered = Math.max(row.firstUnanswered, request.firstUnanswered);
  let outcomes = [...row.outcomes, entry].filter((held) => held.sequence >= firstUnanswered)
    .sort((a, b) => a.sequence - b.sequence);
  if (outcomes.length > SESSION_OUTCOMES_MAX) {
    outcomes = outcomes.slice(-SESSION_OUTCOMES_MAX);
    firstUnanswered = Math.max(firstUnanswered, outcomes[0]?.sequence ?? 0);
  }
  sessions.set(request.session, { ...row, lastUsedIndex: index, firstUnanswered, outcomes });
}

/** A repeated request keeps its session alive too, and tells what the client has heard of. */
export function touchSession(sessions: Sessions, request: RequestStamp, index: number): void {
  const row = sessions.get(request.session);
  if (row === undefined) return;
  const firstUnanswered = Math.max(
    row.firstUnanswered,
    Math.min(request.firstUnanswered, request.sequence),
  );
  const outcomes = row.outcomes.filter((held) => held.sequence >= firstUnanswered);
  sessions.set(request.session, { ...row, lastUsedIndex: index, firstUnanswered, outcomes });
}

function outcomeOf(held: SessionRow["outcomes"][number]): Outcome {
  if (held.refusal === 0) return { kind: "applied", revision: held.revision };
  return { kind: "refused", reason: REFUSALS[held.refusal - 1] ?? "malformed_command" };
}

function refuse(reason: Refusal): { readonly outcome: Outcome; readonly repeated: boolean } {
  return { outcome: { kind: "refused", reason }, repeated: false };
}
