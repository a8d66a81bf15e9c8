/**
 * The commands of recorded interaction dialogues: a cluster run by hand, message by message.
 *
 * @module
 */
import { Random } from "../../../src/base/mod.ts";
import type { RaftOptions } from "../../../src/core/raft/mod.ts";
import type { GroupChange } from "../../../src/protocol/mod.ts";
import { EMPTY_GROUP } from "../memory_log.ts";
import {
  Cluster,
  complaintOf,
  DIALOGUE_OPTIONS,
  type NodeSettings,
  type Replica,
} from "./cluster.ts";
import {
  describeEntry,
  describeMember,
  describeParcel,
  describeRole,
  disguise,
  nodeId,
  nodeNumber,
  parseSteps,
  toParcel,
} from "./describe.ts";
import type { Argument, Directive } from "./format.ts";

const LEVELS = ["debug", "info", "warn", "error", "fatal", "none"];

/** One dialogue under way. Commands not known here are reported as what they print. */
export class Interaction {
  readonly #cluster: Cluster;
  #lines: string[] = [];
  #quiet = false;

  /** `seed` decides the election timeouts, which a sound dialogue does not depend on. */
  constructor(seed = 1) {
    this.#cluster = new Cluster(new Random(seed), (text) => this.#print(text));
  }

  /** Runs one directive and returns its whole output. */
  run(directive: Directive): string {
    this.#lines = [];
    let complaint: string | undefined;
    try {
      complaint = this.#dispatch(directive);
    } catch (error) {
      if (!(error instanceof RangeError || error instanceof SyntaxError)) throw error;
      complaint = error.message;
    }
    const lines = complaint === undefined ? this.#lines : [...this.#lines, complaint];
    return lines.length === 0 ? "ok" : lines.join("\n");
  }

  /** The state behind the dialogue, for checks that go beyond it. */
  get replicas(): readonly Replica[] {
    return this.#cluster.replicas;
  }

  #dispatch(directive: Directive): string | undefined {
    const { args } = directive;
    const node = () => this.#first(args).node;
    switch (directive.command) {
      case "_breakpoint":
        return undefined;
      case "add-nodes":
        return this.#addNodes(args);
      case "campaign":
        return void node().campaign();
      case "compact":
        return this.#compact(args);
      case "deliver-msgs":
        return this.#deliver(args);
      case "process-ready":
        return this.#each(args, "handling Ready", (it) => this.#cluster.processReady(it));
      case "process-append-thread":
        return this.#each(
          args,
          "processing append thread",
          (it) => this.#cluster.processAppend(it),
        );
      case "process-apply-thread":
        return this.#each(args, "processing apply thread", (it) => this.#cluster.processApply(it));
      case "log-level":
        return this.#setLevel(args[0]?.key ?? "");
      case "raft-log":
        return this.#printLog(this.#first(args));
      case "raft-state":
        return this.#printStates();
      case "set-randomized-election-timeout":
        return void node().setElectionTimeout(Number(valueOf(args, "timeout")));
      case "stabilize":
        return this.#stabilize(args);
      case "status":
        return this.#printStatus(this.#first(args));
      case "tick-election":
        return this.#tick(args, (options) => options.electionTicks);
      case "tick-heartbeat":
        return this.#tick(args, (options) => options.heartbeatTicks);
      case "transfer-leadership":
        return this.#transfer(args);
      case "forget-leader":
        return this.#forgetLeader(this.#first(args));
      case "send-snapshot":
        return this.#sendSnapshot(args);
      case "propose":
        return complaintOf(node().propose(new TextEncoder().encode(args[1]?.key ?? "")));
      case "propose-conf-change":
        return this.#proposeChange(directive);
      case "report-unreachable":
        return void node().reportUnreachable(this.#nth(args, 1).id);
      default:
        return "unknown command";
    }
  }

  #print(text: string): void {
    if (!this.#quiet) this.#lines.push(...text.split("\n"));
  }

  #indented(title: string, run: () => void): void {
    this.#print(title);
    const outer = this.#lines;
    this.#lines = [];
    run();
    this.#lines = [...outer, ...this.#lines.map((line) => `  ${line}`)];
  }

  #nth(args: readonly Argument[], position: number): Replica {
    return this.#cluster.get(Number(args[position]?.key));
  }

  #first(args: readonly Argument[]): Replica {
    return this.#nth(args, 0);
  }

  #chosen(args: readonly Argument[]): Replica[] {
    return args.filter((arg) => arg.values.length === 0).map((arg) =>
      this.#cluster.get(Number(arg.key))
    );
  }

  #each(args: readonly Argument[], title: string, run: (replica: Replica) => void): undefined {
    const chosen = this.#chosen(args);
    for (const replica of chosen) {
      if (chosen.length === 1) run(replica);
      else this.#indented(`> ${nodeNumber(replica.id)} ${title}`, () => run(replica));
    }
  }

  #addNodes(args: readonly Argument[]): string | undefined {
    const [count, ...settings] = args;
    const made = readSettings(settings);
    const { start } = made;
    if (start !== undefined && start.id.index <= 1) {
      return "index must be specified as > 1 due to bootstrap";
    }
    for (let added = 0; added < Number(count?.key); added++) this.#cluster.add(made);
    return undefined;
  }

  #compact(args: readonly Argument[]): undefined {
    const replica = this.#first(args);
    replica.log.dropUpTo(Number(args[1]?.key));
    return this.#printLog(replica);
  }

  #deliver(args: readonly Argument[]): string | undefined {
    const type = args.find((arg) => arg.key === "type")?.values[0];
    const dropped = args.filter((arg) => arg.key === "drop").flatMap((arg) => arg.values);
    const delivered = args.filter((arg) => arg.values.length === 0).map((arg) => arg.key);
    const both = dropped.find((id) => delivered.includes(id));
    if (both !== undefined) return `can't both deliver and drop msgs to ${both}`;
    let count = 0;
    for (const arg of args) {
      if (arg.values.length === 0) count += this.#cluster.deliver(idOf(arg.key), { type });
      if (arg.key !== "drop") continue;
      for (const id of arg.values) count += this.#cluster.deliver(idOf(id), { type, drop: true });
    }
    if (count === 0) this.#print("no messages");
    return undefined;
  }

  #setLevel(name: string): string | undefined {
    if (!LEVELS.includes(name.toLowerCase())) {
      return `log levels must be either of [${LEVELS.join(" ").toUpperCase()}]`;
    }
    // Of all levels only the last matters here: log lines are another project's wording and not printed at all.
    this.#quiet = name.toLowerCase() === "none";
    return undefined;
  }

  #printLog({ log }: Replica): undefined {
    const [first, last] = [log.firstIndex(), log.lastIndex()];
    if (last < first) this.#print(`log is empty: first index=${first}, last index=${last}`);
    for (const entry of log.entries(first, last + 1, Infinity) ?? []) {
      this.#print(describeEntry(entry));
    }
  }

  #printStates(): undefined {
    for (const { node } of this.#cluster.replicas) {
      const { id, role, term, leader, configuration } = node.view();
      const isVoter = [...configuration.voters, ...configuration.votersOutgoing].includes(id);
      const lead = leader === undefined ? 0 : nodeNumber(leader);
      this.#print(
        `${nodeNumber(id)}: ${describeRole(role)} (${isVoter ? "Voter" : "Non-Voter"}) ` +
          `Term:${term} Lead:${lead}`,
      );
    }
  }

  #printStatus({ node }: Replica): undefined {
    for (const member of node.view().peers) {
      this.#print(`${nodeNumber(member.id)}: ${describeMember(member)}`);
    }
  }

  #stabilize(args: readonly Argument[]): string | undefined {
    const quiet = this.#quiet;
    const level = args.find((arg) => arg.key === "log-level")?.values[0];
    const complaint = level === undefined ? undefined : this.#setLevel(level);
    if (complaint !== undefined) return complaint;
    const chosen = this.#chosen(args);
    this.#cluster.stabilize(
      chosen.length > 0 ? chosen : this.#cluster.replicas,
      (title, run) => this.#indented(title, run),
    );
    this.#quiet = quiet;
    return undefined;
  }

  #tick(args: readonly Argument[], ticksOf: (options: RaftOptions) => number): undefined {
    const { node, options } = this.#first(args);
    for (let tick = 0; tick < ticksOf(options); tick++) node.tick();
  }

  #transfer(args: readonly Argument[]): undefined {
    const from = this.#cluster.get(Number(valueOf(args, "from")));
    from.node.transferLeadership(idOf(valueOf(args, "to")));
  }

  #forgetLeader({ node, habits }: Replica): undefined {
    if (!habits.leases) node.forgetLeader();
  }

  #sendSnapshot(args: readonly Argument[]): undefined {
    const from = this.#first(args);
    const to = this.#nth(args, 1).id;
    const snapshot = from.log.snapshot();
    if (snapshot === undefined) return;
    const { term } = from.node.view();
    const message = { kind: "snapshot_request", from: from.id, to, term, snapshot } as const;
    const parcel = toParcel(message, from.id);
    this.#cluster.messages.push(parcel);
    this.#print(describeParcel(parcel));
  }

  #proposeChange({ args, input }: Directive): string | undefined {
    const single = args.find((arg) => arg.key === "v1")?.values[0] === "true";
    const transition = args.find((arg) => arg.key === "transition")?.values[0] ?? "auto";
    if (transition !== "auto" && transition !== "implicit" && transition !== "explicit") {
      return `unknown transition ${transition}`;
    }
    const steps = parseSteps(input);
    if (single && (steps.length > 1 || transition !== "auto")) {
      return "v1 conf change can only have one operation and no transition";
    }
    const change: GroupChange = {
      transition,
      steps,
      context: new Uint8Array(),
      form: single ? "single" : "batch",
    };
    const { node, habits } = this.#first(args);
    const outcome = habits.appendsAnyChange
      ? node.propose(disguise(change))
      : node.proposeChange(change);
    return complaintOf(outcome);
  }
}

function idOf(text: string) {
  return nodeId(Number(text));
}

function valueOf(args: readonly Argument[], key: string): string {
  const value = args.find((arg) => arg.key === key)?.values[0];
  if (value === undefined) throw new SyntaxError(`Missing argument "${key}"`);
  return value;
}

function readSettings(args: readonly Argument[]): NodeSettings {
  const of = (key: string) => args.find((arg) => arg.key === key)?.values ?? [];
  const flag = (key: string) => of(key)[0] === "true";
  const number = (key: string, otherwise: number) => Number(of(key)[0] ?? otherwise);
  const known = [
    "voters",
    "learners",
    "inflight",
    "index",
    "content",
    "async-storage-writes",
    "prevote",
    "checkquorum",
    "read-only",
    "max-committed-size-per-ready",
    "disable-conf-change-validation",
    "step-down-on-removal",
  ];
  const strange = args.find((arg) => !known.includes(arg.key));
  if (strange !== undefined) throw new SyntaxError(`Unknown argument "${strange.key}"`);
  const index = number("index", 0);
  const options: Omit<RaftOptions, "id"> = {
    ...DIALOGUE_OPTIONS,
    inflightMessagesMax: number("inflight", Infinity),
    preVote: flag("prevote"),
    checkQuorum: flag("checkquorum"),
    applyingBytesMax: number("max-committed-size-per-ready", Infinity),
    stepDownOnRemoval: flag("step-down-on-removal"),
    applied: index,
  };
  const habits = {
    storesLater: flag("async-storage-writes"),
    leases: of("read-only")[0] === "lease-based",
    appendsAnyChange: flag("disable-conf-change-validation"),
  };
  if (["voters", "learners", "index", "content"].every((key) => of(key).length === 0)) {
    return { options, habits, start: undefined };
  }
  const configuration = {
    ...EMPTY_GROUP,
    voters: of("voters").map(idOf),
    learners: of("learners").map(idOf),
  };
  const data = new TextEncoder().encode(of("content").join(""));
  return { options, habits, start: { id: { term: 1, index }, configuration, data } };
}
