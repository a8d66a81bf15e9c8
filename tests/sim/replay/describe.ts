/**
 * Writes the core's values in the words of the recorded dialogues, whose ids are small numbers and whose message names
 * are another project's.
 *
 * @module
 */
import type { NodeId } from "../../../src/base/mod.ts";
import type {
  AppendDone,
  AppendOrder,
  ApplyDone,
  ApplyOrder,
  PeerView,
  Ready,
} from "../../../src/core/raft/mod.ts";
import { NO_NODE } from "../../../src/core/raft/configuration.ts";
import type {
  Entry,
  EntryId,
  GroupChange,
  GroupConfiguration,
  HardState,
  Proposal,
  RaftMessage,
  Snapshot,
} from "../../../src/protocol/mod.ts";
import type { InlineReady } from "../inline_storage.ts";

/** The id of the dialogue's node number. */
export function nodeId(number: number): NodeId {
  return number.toString(16).padStart(16, "0") as NodeId;
}

/** The dialogue's number of a node. */
export function nodeNumber(id: NodeId): number {
  return Number.parseInt(id, 16);
}

function hex(id: NodeId): string {
  return nodeNumber(id).toString(16);
}

const disguised = new WeakMap<Uint8Array, GroupChange>();

/**
 * The content of a command that stands for a membership change: the product's leaders refuse changes that may not fit,
 * some recorded ones append them.
 */
export function disguise(change: GroupChange): Uint8Array {
  const data = new Uint8Array(1);
  disguised.set(data, change);
  return data;
}

/** The entry with the change that it stands for, if it stands for one. */
export function unmask<E extends Proposal>(entry: E): E {
  const change = entry.kind === "command" ? disguised.get(entry.data) : undefined;
  return change === undefined ? entry : { ...entry, kind: "group_change", change };
}

/** One line per entry: `term/index kind content`. */
export function describeEntry(masked: Proposal & Partial<EntryId>): string {
  const entry = unmask(masked);
  const place = `${entry.term ?? 0}/${entry.index ?? 0}`;
  if (entry.kind === "command") {
    return `${place} EntryNormal ${JSON.stringify(new TextDecoder().decode(entry.data))}`;
  }
  const kind = entry.change.form === "single" ? "EntryConfChange" : "EntryConfChangeV2";
  return `${place} ${kind} ${describeSteps(entry.change)}`.trimEnd();
}

const ACTION_LETTERS = { add_voter: "v", add_learner: "l", remove: "r", update: "u" } as const;

/** `v1 l2 r3 u4`. */
export function describeSteps(change: GroupChange): string {
  return change.steps.map((step) => `${ACTION_LETTERS[step.action]}${nodeNumber(step.node)}`)
    .join(" ");
}

/** @throws {SyntaxError} for anything but words like `v1`. */
export function parseSteps(text: string): GroupChange["steps"] {
  return text.split(/\s+/).filter((word) => word !== "").map((word) => {
    const letter = word.slice(0, 1);
    const action = Object.entries(ACTION_LETTERS).find(([, known]) => known === letter)?.[0];
    const number = Number(word.slice(1));
    if (action === undefined || !Number.isInteger(number) || word.length < 2) {
      throw new SyntaxError(`Unknown membership step "${word}"`);
    }
    const node = number === 0 ? NO_NODE : nodeId(number);
    return { action: action as keyof typeof ACTION_LETTERS, node };
  });
}

function numbers(ids: readonly NodeId[]): string {
  return ids.map(nodeNumber).join(" ");
}

/** `voters=(1 2)&&(1) learners=(3) learners_next=(4) autoleave`. */
export function describeConfiguration(group: GroupConfiguration): string {
  const outgoing = group.votersOutgoing.length > 0 ? `&&(${numbers(group.votersOutgoing)})` : "";
  const learners = group.learners.length > 0 ? ` learners=(${numbers(group.learners)})` : "";
  const next = group.learnersNext.length > 0
    ? ` learners_next=(${numbers(group.learnersNext)})`
    : "";
  const leave = group.autoLeave ? " autoleave" : "";
  return `voters=(${numbers(group.voters)})${outgoing}${learners}${next}${leave}`;
}

function describeSnapshot({ id, configuration: group }: Snapshot): string {
  return `Index:${id.index} Term:${id.term} ConfState:Voters:[${numbers(group.voters)}] ` +
    `VotersOutgoing:[${numbers(group.votersOutgoing)}] Learners:[${numbers(group.learners)}] ` +
    `LearnersNext:[${numbers(group.learnersNext)}] AutoLeave:${group.autoLeave}`;
}

function describeHardState({ term, vote, commit }: HardState): string {
  return `Term:${term}${vote === undefined ? "" : ` Vote:${hex(vote)}`} Commit:${commit}`;
}

const ROLES = {
  follower: "StateFollower",
  candidate: "StateCandidate",
  pre_candidate: "StatePreCandidate",
  leader: "StateLeader",
} as const;

/** The dialogue's name of a role. */
export function describeRole(role: keyof typeof ROLES): string {
  return ROLES[role];
}

const MODES = { probe: "StateProbe", replicate: "StateReplicate", snapshot: "StateSnapshot" };

/** One line of a leader's status. */
export function describeMember(member: Omit<PeerView, "id">): string {
  const { mode, match, next, pendingSnapshot, inflightCount } = member;
  return [
    `${MODES[mode]} match=${match} next=${next}`,
    member.isLearner ? "learner" : "",
    member.paused ? "paused" : "",
    pendingSnapshot > 0 ? `pendingSnap=${pendingSnapshot}` : "",
    member.recentlyActive ? "" : "inactive",
    inflightCount > 0 ? `inflight=${inflightCount}${member.inflightFull ? "[full]" : ""}` : "",
  ].filter((part) => part !== "").join(" ");
}

/** The flat record that all messages share in the dialogues. */
interface FlatMessage {
  readonly from: string;
  readonly to: string;
  readonly type: string;
  readonly term: number;
  readonly log?: EntryId;
  readonly rejectHint?: number;
  readonly commit?: number;
  readonly vote?: NodeId | undefined;
  readonly entries?: readonly (Proposal & Partial<EntryId>)[];
  readonly snapshot?: Snapshot | undefined;
}

function describeFlat(message: FlatMessage, indent: string): string {
  const { term, log = { term: 0, index: 0 }, rejectHint, commit = 0, entries = [] } = message;
  let text = `${indent}${message.from}->${message.to} ${message.type} Term:${term} ` +
    `Log:${log.term}/${log.index}`;
  if (rejectHint !== undefined) text += ` Rejected (Hint: ${rejectHint})`;
  if (commit !== 0) text += ` Commit:${commit}`;
  if (message.vote !== undefined) text += ` Vote:${hex(message.vote)}`;
  if (entries.length === 1) text += ` Entries:[${entries.map(describeEntry).join("")}]`;
  if (entries.length > 1) {
    const lines = entries.map((entry) => `\n${indent}  ${describeEntry(entry)}`);
    text += ` Entries:[${lines.join("")}\n${indent}]`;
  }
  if (message.snapshot !== undefined && message.snapshot.id.index > 0) {
    text += `\n${indent}  Snapshot: ${describeSnapshot(message.snapshot)}`;
  }
  return text;
}

function typeOf(message: RaftMessage): string {
  switch (message.kind) {
    case "append_request":
      return "MsgApp";
    case "append_response":
      return "MsgAppResp";
    case "heartbeat_request":
      return "MsgHeartbeat";
    case "heartbeat_response":
      return "MsgHeartbeatResp";
    case "snapshot_request":
      return "MsgSnap";
    case "vote_request":
      return message.preVote ? "MsgPreVote" : "MsgVote";
    case "vote_response":
      return message.preVote ? "MsgPreVoteResp" : "MsgVoteResp";
    case "timeout_now":
      return "MsgTimeoutNow";
    case "transfer_request":
      return "MsgTransferLeader";
    case "proposal_forward":
      return "MsgProp";
    case "read_index_request":
      return "MsgReadIndex";
    case "read_index_response":
      return "MsgReadIndexResp";
    case "voters_request":
    case "voters_response":
      // Of this product alone: no recorded case has one.
      return message.kind;
  }
}

function fieldsOf(message: RaftMessage): Partial<FlatMessage> {
  switch (message.kind) {
    case "append_request":
      return { log: message.previous, commit: message.commit, entries: message.entries };
    case "append_response":
      return {
        log: { term: message.rejection?.hintTerm ?? 0, index: message.index },
        ...(message.rejection && { rejectHint: message.rejection.hintIndex }),
      };
    case "heartbeat_request":
      return { commit: message.commit };
    case "snapshot_request":
      return { snapshot: message.snapshot };
    case "vote_request":
      return { log: message.last };
    case "vote_response":
      return message.granted ? {} : { rejectHint: 0 };
    case "transfer_request":
      return { from: hex(message.target) };
    case "proposal_forward":
      return { entries: message.proposals };
    case "read_index_response":
      return { log: { term: 0, index: message.index } };
    default:
      return {};
  }
}

/** A message in transit: between nodes, or from a node's own disk or state machine back to it. */
export interface Parcel {
  readonly from: NodeId | "AppendThread" | "ApplyThread";
  readonly to: NodeId;
  readonly type: string;
  readonly input: RaftMessage | AppendDone | ApplyDone;
}

/** Addresses an answer of a node's disk or state machine to it, and any message to its receiver. */
export function toParcel(input: Parcel["input"], node: NodeId): Parcel {
  switch (input.kind) {
    case "append_done":
      return { from: "AppendThread", to: node, type: "MsgStorageAppendResp", input };
    case "apply_done":
      return { from: "ApplyThread", to: node, type: "MsgStorageApplyResp", input };
    default:
      return { from: input.from, to: input.to, type: typeOf(input), input };
  }
}

/** One message, over several lines when it carries several entries. */
export function describeParcel(parcel: Parcel, indent = ""): string {
  const { from: sender, to, type, input } = parcel;
  const from = sender === "AppendThread" || sender === "ApplyThread" ? sender : hex(sender);
  const flat = { from, to: hex(to), type };
  switch (input.kind) {
    case "append_done":
      return describeFlat({
        ...flat,
        term: input.term,
        ...(input.last && { log: input.last }),
        snapshot: input.snapshot,
      }, indent);
    case "apply_done":
      return describeFlat({ ...flat, term: 0, entries: input.entries }, indent);
    case "proposal_forward":
    case "read_index_request":
    case "voters_request":
    case "voters_response":
      return describeFlat({ ...flat, term: 0, ...fieldsOf(input) }, indent);
    default:
      return describeFlat({ ...flat, term: input.term, ...fieldsOf(input) }, indent);
  }
}

/** An order to the disk, without its answers. */
export function describeAppendOrder(node: NodeId, order: AppendOrder): string {
  return describeFlat({
    from: hex(node),
    to: "AppendThread",
    type: "MsgStorageAppend",
    term: order.hardState?.term ?? 0,
    commit: order.hardState?.commit ?? 0,
    vote: order.hardState?.vote,
    entries: order.entries,
    snapshot: order.snapshot,
  }, "");
}

/** An order to the state machine, without its answers. */
export function describeApplyOrder(node: NodeId, order: ApplyOrder): string {
  const [from, to, type] = [hex(node), "ApplyThread", "MsgStorageApply"];
  return describeFlat({ from, to, type, term: 0, entries: order.entries }, "");
}

function describeAnswers(answers: readonly Parcel["input"][], node: NodeId): string {
  if (answers.length === 0) return "";
  const lines = answers.map((answer) => `\n${describeParcel(toParcel(answer, node), "  ")}`);
  return ` Responses:[${lines.join("")}\n]`;
}

/** A whole Ready, and the orders of a node whose storage takes time; `<empty Ready>` when there is nothing in it. */
export function describeReady(
  node: NodeId,
  ready: Omit<InlineReady, "notes">,
  { append, apply }: Partial<Pick<Ready, "append" | "apply">> = {},
): string {
  const lines: string[] = [];
  const { softState, hardState, snapshot } = ready;
  if (softState !== undefined) {
    const lead = softState.leader === undefined ? 0 : nodeNumber(softState.leader);
    lines.push(`Lead:${lead} State:${ROLES[softState.role]}`);
  }
  if (hardState !== undefined) lines.push(`HardState ${describeHardState(hardState)}`);
  if (ready.readStates.length > 0) {
    lines.push(`ReadStates ${ready.readStates.map((read) => read.index).join(" ")}`);
  }
  if (ready.entries.length > 0) lines.push("Entries:", ...ready.entries.map(describeEntry));
  if (snapshot !== undefined) lines.push(`Snapshot ${describeSnapshot(snapshot)}`);
  if (ready.committed.length > 0) {
    lines.push("CommittedEntries:", ...ready.committed.map((entry: Entry) => describeEntry(entry)));
  }
  const messages = ready.messages.map((message) => describeParcel(toParcel(message, node)));
  if (append !== undefined) {
    messages.push(describeAppendOrder(node, append) + describeAnswers(append.answers, node));
  }
  if (apply !== undefined) {
    messages.push(describeApplyOrder(node, apply) + describeAnswers(apply.answers, node));
  }
  if (messages.length > 0) lines.push("Messages:", ...messages);
  if (lines.length === 0) return "<empty Ready>";
  return [`Ready MustSync=${ready.mustSync}:`, ...lines].join("\n");
}
