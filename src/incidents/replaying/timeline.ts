import type { ReplayedStep } from "./replay.ts";

/** Characters of an order in the timeline. */
const SHOWN_CHARS_MAX = 160;
/** Digits of a node's id that stand for it where nobody knows its name. */
const ID_CHARS = 8;

/** A step's part and which one, what came, and what was decided, as texts for a row; not printable by themselves. */
export function timelineText(
  { part, id, input, recorded }: ReplayedStep,
): { readonly part: string; readonly came: string; readonly decided: string } {
  return {
    part: id === "" ? part : `${part} ${id}`,
    came: inputText(input),
    decided: recorded.map((order) => order.slice(0, SHOWN_CHARS_MAX)).join(" "),
  };
}

function inputText(input: unknown): string {
  const kind = (value: unknown) =>
    typeof value === "object" && value !== null && "kind" in value ? String(value.kind) : "";
  const { event, method, args = [] } = (input ?? {}) as {
    readonly event?: unknown;
    readonly method?: string;
    readonly args?: readonly unknown[];
  };
  if (method !== undefined) return `${method} ${kind(args[0])}`.trim();
  return kind(input) || kind(event) || "look";
}

/** Where a replay ended at a decision that differs, in three lines; not printable by themselves. */
export function differenceLines(
  { node, part, recorded, replayed = [] }: ReplayedStep,
  steps: number,
): readonly [string, string, string] {
  const at = recorded.findIndex((order, index) => order !== replayed[index]);
  const first = at === -1 ? recorded.length : at;
  return [
    `step ${steps}: the ${part} of ${node.name} decides otherwise`,
    `recorded by ${node.version}: ${recorded[first] ?? "nothing more"}`,
    `decided now: ${replayed[first] ?? "nothing more"}`,
  ];
}

/** What people look for first in an incident. */
export interface Moment {
  readonly kind: "election" | "doubt" | "death" | "return" | "move" | "loss";
  /** A sentence without its end; not printable by itself. */
  readonly text: string;
}

/** That a leader was elected, a member doubted, lost or heard again, a runner lost or an answer moved; undefined for anything else. */
export function momentOf(
  { node, part, id, input, recorded }: ReplayedStep,
  nodes: readonly { readonly nodeId: string; readonly name: string }[],
): Moment | undefined {
  const nameOf = (nodeId: unknown) =>
    nodes.find((other) => other.nodeId === nodeId)?.name ?? String(nodeId).slice(0, ID_CHARS);
  const orders = recorded.flatMap(orderOf);
  switch (part) {
    case "raft":
      return orders.some(({ softState }) => softState?.role === "leader")
        ? { kind: "election", text: `${node.name} leads` }
        : undefined;
    case "membership":
      return orders.flatMap((order) => standingMoment(order, node.name, nameOf))[0];
    case "scheduler":
      return isKind(input, "runner_exited")
        ? { kind: "loss", text: `a runner of ${node.name} ended` }
        : undefined;
    case "answer": {
      const lost = orders.find(({ kind }) => kind === "report_loss");
      if (lost === undefined) return undefined;
      const from = lost.nodeId === undefined
        ? "its runner"
        : `its runner on ${nameOf(lost.nodeId)}`;
      return lost.decision === "resume"
        ? { kind: "move", text: `an answer of ${node.name} lost ${from} and goes on: ${id}` }
        : { kind: "loss", text: `an answer of ${node.name} lost ${from} and is given up: ${id}` };
    }
    default:
      return undefined;
  }
}

/** As much of an order as tells a moment. */
interface TellingOrder {
  readonly kind?: string;
  readonly softState?: { readonly role?: string };
  readonly nodeId?: string;
  readonly previous?: string;
  readonly member?: { readonly standing?: string };
  readonly decision?: string;
}

/** None where it is no object, such as what a part threw. */
function orderOf(text: string): readonly TellingOrder[] {
  if (!text.startsWith("{")) return [];
  try {
    return [JSON.parse(text)];
  } catch {
    return [];
  }
}

function standingMoment(
  { kind, nodeId, previous, member }: TellingOrder,
  observer: string,
  nameOf: (nodeId: unknown) => string,
): readonly Moment[] {
  if (kind !== "member_changed") return [];
  const name = nameOf(nodeId);
  switch (member?.standing) {
    case "suspect":
      return [{ kind: "doubt", text: `${observer} doubts that ${name} is alive` }];
    case "down":
      return [{ kind: "death", text: `${observer} takes ${name} to be dead` }];
    case "alive":
      return previous === undefined || previous === "alive"
        ? []
        : [{ kind: "return", text: `${observer} hears ${name} again` }];
    default:
      return [];
  }
}

function isKind(input: unknown, kind: string): boolean {
  const { event } = (input ?? {}) as { readonly event?: { readonly kind?: string } };
  return event?.kind === kind;
}
