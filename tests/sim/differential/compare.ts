import type { Directive } from "../replay/format.ts";
import { Interaction } from "../replay/interaction.ts";
import { recordsOf } from "../replay/replay.ts";
import type { ScriptStep } from "./script.ts";

/** Another core, driven directive by directive. */
export interface Oracle {
  /** Forgets all nodes. */
  reset(): Promise<void>;
  run(directive: Directive): Promise<string>;
}

/** How a script ended. `given_up`: the script ended early, for a reason that says nothing about this core. */
export type Verdict =
  | { readonly kind: "same"; readonly isSameThroughout: boolean; readonly steps: number }
  | { readonly kind: "given_up"; readonly reason: string }
  | {
    readonly kind: "different";
    readonly step: number;
    readonly wanted: string;
    readonly got: string;
    /** The first step at which anything printed differed, the one to look at. */
    readonly firstStep: number;
  };

/**
 * What older harnesses print about flow control differs in words; position and mode of each follower do not. Except how
 * far a leader has sent ahead to one who does not answer: this core sends the entry that leaves a joint configuration
 * at once, the older one with the next message.
 */
function normalized(output: string): string {
  // The older harness forgets the line's end after a refusal.
  const whole = output.replace(/(raft proposal dropped|peer not found)(?=[^\n])/g, "$1\n");
  return recordsOf(whole).map((line) =>
    line.replace(/ (inactive|paused)/g, "").replace(/ next=\d+( inflight=\d+(\[full\])?)/, "")
  ).join("\n");
}

/**
 * A leader that one change removes and adds again is back in replicate mode with its next own acknowledgement here; the
 * older core, which acknowledges itself without a message, leaves it in probe mode.
 */
function withoutOwnMode(output: string, { command, args }: Directive): string {
  if (command !== "status") return normalized(output);
  return normalized(output).replace(
    new RegExp(`^${args[0]?.key}: State(Probe|Replicate)`, "m"),
    "",
  );
}

/**
 * Runs one script through both cores. All that is printed is compared; but only what the probes print, once everything
 * has settled, must be the same: the cores may reach it by different messages.
 */
export async function compareScript(
  steps: readonly ScriptStep[],
  oracle: Oracle,
  seed: number,
): Promise<Verdict> {
  await oracle.reset();
  const own = new Interaction(seed);
  let firstStep: number | undefined;
  for (const [position, { directive, isProbe }] of steps.entries()) {
    if (isLeftOut(own, directive)) continue;
    const wanted = await oracle.run(directive);
    if (/^(PANIC|ABORTED)/.test(wanted)) return { kind: "given_up", reason: wanted };
    const got = own.run(directive);
    if (withoutOwnMode(wanted, directive) === withoutOwnMode(got, directive)) continue;
    firstStep ??= position;
    if (isProbe && !isMember(own, directive)) {
      return { kind: "given_up", reason: "a removed node heard of it in one core only" };
    }
    if (isProbe) {
      return {
        kind: "different",
        step: position,
        wanted: normalized(wanted),
        got: normalized(got),
        firstStep,
      };
    }
  }
  return { kind: "same", isSameThroughout: firstStep === undefined, steps: steps.length };
}

/**
 * Only leaders are ticked: on anyone else a tick may start an election, and the cores draw their timeouts apart. And a
 * single voter does not campaign: the older core counts its vote at once, this one when it is durable. And nobody asks for
 * a way out of a joint configuration that is on its way by itself: the older core takes it twice (seed 4006734), which
 * its later releases don't either.
 */
function isLeftOut(own: Interaction, { command, args, input }: Directive): boolean {
  if (command === "propose-conf-change" && input.trim() === "") {
    return own.replicas.some(({ node }) => node.view().configuration.autoLeave);
  }
  const view = own.replicas[Number(args[0]?.key) - 1]?.node.view();
  if (view === undefined) return false;
  const { role, configuration } = view;
  if (command === "tick-heartbeat") return role !== "leader";
  return command === "campaign" && configuration.voters.length === 1;
}

/**
 * Whether the newest leader, if there is one, still replicates to the node asked about. Who was removed keeps what it
 * had by then, and that depends on when the entry that leaves a joint configuration was sent.
 */
function isMember(own: Interaction, { args }: Directive): boolean {
  const views = own.replicas.map(({ node }) => node.view());
  const id = views[Number(args[0]?.key) - 1]?.id;
  const leaders = views.filter(({ role }) => role === "leader");
  const newest = leaders.sort((left, right) => right.term - left.term)[0];
  return newest === undefined || newest.peers.some((peer) => peer.id === id);
}

/** A directive as it stands in a file. */
export function printDirective({ command, args, input }: Directive): string {
  const words = args.map(({ key, values }) =>
    values.length === 0 ? key : values.length === 1 ? `${key}=${values[0]}` : `${key}=(${values})`
  );
  return `${[command, ...words].join(" ")}\n${input === "" ? "" : `${input}\n`}----`;
}
