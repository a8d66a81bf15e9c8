import { assert, BoundedMap, equalBytes, type NodeId } from "../../base/mod.ts";
import { decodeAsk, kindOf, type Proposal, type RequestStamp } from "../../protocol/mod.ts";
import {
  type Refusal,
  REFUSALS,
  SESSION_OUTCOMES_MAX,
  type SessionOutcome,
  type SessionRow,
  SESSIONS_MAX,
  TABLE_ROWS_MAX,
} from "./rows.ts";

/** What became of a command: `revision` is the index of the entry that did it. */
export type Outcome =
  | { readonly kind: "applied"; readonly revision: number }
  | { readonly kind: "refused"; readonly reason: Refusal };

type Sessions = Map<number, SessionRow>;

/**
 * Opens a session under the entry's own index; the one unused longest makes room. Returns its id, which is an older one's
 * when the client has asked before.
 */
export function openSession(
  sessions: Sessions,
  nonce: Uint8Array,
  index: number,
): number {
  let oldest: SessionRow | undefined;
  for (const row of sessions.values()) {
    if (equalBytes(row.nonce, nonce)) return row.session;
    if (oldest === undefined || row.lastUsedIndex < oldest.lastUsedIndex) oldest = row;
  }
  if (sessions.size >= SESSIONS_MAX && oldest !== undefined) sessions.delete(oldest.session);
  const row = { session: index, nonce, lastUsedIndex: index, firstUnanswered: 1, outcomes: [] };
  sessions.set(index, row);
  return index;
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
  // Nearly all are newer than what the session has seen.
  const isNewest = sequence > (row.outcomes.at(-1)?.sequence ?? 0);
  const held = isNewest ? undefined : row.outcomes.find((outcome) => outcome.sequence === sequence);
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
  const reason = outcome.kind === "applied" ? undefined : outcome.reason;
  const place = reason === undefined ? -1 : REFUSALS.indexOf(reason);
  // Else it would be remembered as applied.
  assert(reason === undefined || place >= 0, "Every refusal has its number", { reason });
  const entry = {
    sequence: request.sequence,
    refusal: 1 + place,
    revision: outcome.kind === "applied" ? outcome.revision : 0,
  };
  let firstUnanswered = Math.max(row.firstUnanswered, request.firstUnanswered);
  const outcomes = insert(forgetBefore(row.outcomes, firstUnanswered), entry);
  if (outcomes.length > SESSION_OUTCOMES_MAX) {
    outcomes.splice(0, outcomes.length - SESSION_OUTCOMES_MAX);
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
  const outcomes = forgetBefore(row.outcomes, firstUnanswered);
  sessions.set(request.session, { ...row, lastUsedIndex: index, firstUnanswered, outcomes });
}

/** A copy without the outcomes the client has been told; by sequence, so they stand in front. */
function forgetBefore(outcomes: readonly SessionOutcome[], sequence: number): SessionOutcome[] {
  let told = 0;
  while ((outcomes[told]?.sequence ?? Infinity) < sequence) told++;
  return outcomes.slice(told);
}

/** Keeps the order by sequence: requests of one client overtake each other now and then, but not far. */
function insert(outcomes: SessionOutcome[], entry: SessionOutcome): SessionOutcome[] {
  let at = outcomes.length;
  while (at > 0 && (outcomes[at - 1]?.sequence ?? 0) > entry.sequence) at--;
  if (at === outcomes.length) outcomes.push(entry);
  else outcomes.splice(at, 0, entry);
  return outcomes;
}

function outcomeOf(held: SessionRow["outcomes"][number]): Outcome {
  if (held.refusal === 0) return { kind: "applied", revision: held.revision };
  return { kind: "refused", reason: REFUSALS[held.refusal - 1] ?? "malformed_command" };
}

function refuse(reason: Refusal): { readonly outcome: Outcome; readonly repeated: boolean } {
  return { outcome: { kind: "refused", reason }, repeated: false };
}

/** Begins nonces that say whose they are: "own". Earlier nodes draw all sixteen bytes. */
const OWNED = Uint8Array.of(0x6f, 0x77, 0x6e);
const OWNER_BYTES = 8;

/** A nonce for a session of this node, of bytes drawn for it: other members' proposals under it are not taken by a leader. */
export function ownedNonce(nodeId: NodeId, drawn: Uint8Array): Uint8Array {
  const nonce = Uint8Array.from(drawn);
  nonce.set(OWNED);
  nonce.set(Uint8Array.fromHex(nodeId), OWNED.length);
  return nonce;
}

/** What a leader makes of forwarded proposals. `early`: of a session that it does not know yet, so it can't tell whose. */
type ForwardVerdict = "taken" | "early" | { readonly forged: string };

/** What judging proposals takes of the catalogue. */
interface KnownSessions {
  readonly appliedIndex: number;
  findSession(session: number): SessionRow | undefined;
}

/**
 * Judges proposals by the sessions that they are made under. Whoever proposes under another's makes that one's next change
 * count as done before it was made.
 */
export function judgeForwarded(
  { from, proposals }: { readonly from: NodeId; readonly proposals: readonly Proposal[] },
  catalogue: KnownSessions,
): ForwardVerdict {
  for (const proposal of proposals) {
    const asked = proposal.kind === "command" ? decodeAsk(proposal.data) : undefined;
    if (asked === undefined) continue;
    const { nonce, session } = asked;
    const known = session === undefined ? undefined : catalogue.findSession(session);
    if (session !== undefined && known === undefined && session > catalogue.appliedIndex) {
      return "early";
    }
    for (const claimed of [nonce, known?.nonce]) {
      const owner = claimed && ownerOf(claimed);
      if (owner === undefined || owner === from) continue;
      return { forged: `proposes under a session of ${owner}` };
    }
  }
  return "taken";
}

function ownerOf(nonce: Uint8Array): NodeId | undefined {
  if (!equalBytes(nonce.subarray(0, OWNED.length), OWNED)) return undefined;
  const owner = nonce.subarray(OWNED.length, OWNED.length + OWNER_BYTES);
  return owner.toHex() as NodeId; // Decoding: any eight bytes are one.
}

/** Copies under doubt that a leader lets one member report in a row. */
export const REPORTS_AT_ONCE_MAX = 16;
/** How often it may report one more after that. Whoever is accused reads the whole blob, and gives it to nobody meanwhile. */
export const REPORT_EVERY_MS = 60_000;

/**
 * Keeps a member from holding up others' copies by reports without end. What goes beyond is dropped, not refused for good:
 * a copy that is bad will be met again, by others too.
 */
export class ReportLimits {
  readonly #left = new BoundedMap<NodeId, { readonly reports: number; readonly atMs: number }>(
    TABLE_ROWS_MAX.members,
  );

  /** Which of a member's proposals a leader takes at `nowMs`, in order, and how many reports it drops. */
  take(
    { from, proposals }: { readonly from: NodeId; readonly proposals: readonly Proposal[] },
    nowMs: number,
  ): { readonly taken: readonly Proposal[]; readonly dropped: number } {
    const isReport = (proposal: Proposal) =>
      proposal.kind === "command" && kindOf(proposal.data) === "quarantine_blob";
    if (!proposals.some(isReport)) return { taken: proposals, dropped: 0 };
    let left = this.#leftAt(from, nowMs);
    const taken = proposals.filter((proposal) => {
      if (!isReport(proposal)) return true;
      if (left < 1) return false;
      left--;
      return true;
    });
    this.#left.set(from, { reports: left, atMs: nowMs });
    return { taken, dropped: proposals.length - taken.length };
  }

  #leftAt(from: NodeId, nowMs: number): number {
    const last = this.#left.get(from);
    if (last === undefined) return REPORTS_AT_ONCE_MAX;
    const earned = (nowMs - last.atMs) / REPORT_EVERY_MS;
    return Math.min(REPORTS_AT_ONCE_MAX, last.reports + earned);
  }
}
