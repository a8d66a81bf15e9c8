import { signal } from "@preact/signals";
import type { Member, RequestRow, Status } from "./shapes.ts";

/** Events kept; the oldest goes. */
const EVENTS_MAX = 200;
const EVENTS_ITEM = "odist-events";

/** What somebody might want to have seen. */
export interface ClusterEvent {
  readonly id: number;
  readonly atMs: number;
  readonly tone: "good" | "bad" | "plain";
  readonly text: string;
}

/** Newest first: what happened while the page looked. */
export const events = signal<readonly ClusterEvent[]>(takeKept());
let lastId = events.value[0]?.id ?? 0;

function takeKept(): readonly ClusterEvent[] {
  const kept = JSON.parse(sessionStorage.getItem(EVENTS_ITEM) ?? "[]");
  sessionStorage.removeItem(EVENTS_ITEM);
  return kept;
}

/** For the same page, loaded anew. */
export function keepEvents(): void {
  sessionStorage.setItem(EVENTS_ITEM, JSON.stringify(events.value));
}

/** Puts one at the top. */
export function note(tone: ClusterEvent["tone"], text: string): void {
  const event = { id: ++lastId, atMs: Date.now(), tone, text };
  events.value = [event, ...events.value].slice(0, EVENTS_MAX);
}

/** Notes how one status differs from the one before. */
export function noteStatus(before: Status, now: Status): void {
  const old = new Map(before.members.map((member) => [member.node_id, member]));
  for (const member of now.members) noteMember(old.get(member.node_id), member);
  const staying = new Set(now.members.map(({ node_id }) => node_id));
  for (const { node_id, name } of before.members) {
    if (!staying.has(node_id)) note("plain", `${name} is no member any more`);
  }
  if (before.leader !== now.leader && now.leader !== undefined) {
    const name = now.members.find(({ node_id }) => node_id === now.leader)?.name ?? now.leader;
    note("plain", `${name} leads, in term ${now.term}`);
  }
  if (before.changes.possible !== now.changes.possible) {
    if (now.changes.possible) note("good", "The cluster takes changes again");
    else note("bad", `The cluster takes no changes: ${now.changes.reason ?? "no quorum"}`);
  }
}

const HEALTH_TEXTS: Readonly<Record<Member["health"], readonly [ClusterEvent["tone"], string]>> = {
  alive: ["good", "is back"],
  asleep: ["plain", "sleeps"],
  fenced: ["bad", "is fenced: its log can't be trusted"],
  suspect: ["bad", "does not answer: it may be down"],
  down: ["bad", "is down"],
  left: ["plain", "has left"],
  pending: ["plain", "was admitted"],
  revoked: ["bad", "was revoked"],
};

function noteMember(before: Member | undefined, now: Member): void {
  if (before === undefined) return note("good", `${now.name} joined`);
  if (before.health !== now.health) {
    const [tone, text] = HEALTH_TEXTS[now.health];
    note(tone, `${now.name} ${text}`);
  }
  if (before.drained !== now.drained) {
    note("plain", `${now.name} is ${now.drained ? "drained" : "in use again"}`);
  }
  if (before.yields !== now.yields) {
    note("plain", `${now.name} ${now.yields ? "leaves its machine to others" : "helps again"}`);
  }
}

/** By whom each running answer was computed last: one that looks for another node has none. */
let lastNodes: ReadonlyMap<string, string> = new Map();

/** Notes answers that went on elsewhere. */
export function noteMoves(rows: readonly RequestRow[]): void {
  const nodes = new Map<string, string>();
  for (const { id, model, node } of rows) {
    const was = lastNodes.get(id);
    const now = node ?? was;
    if (now !== undefined) nodes.set(id, now);
    if (was === undefined || now === was) continue;
    note("good", `An answer of ${model} went on at ${now}: it had begun at ${was}`);
  }
  lastNodes = nodes;
}
