import type { Random } from "../../../src/base/mod.ts";
import type { Argument, Directive } from "../replay/format.ts";

/** A step of a script; compared ones must print the same in both cores. */
export interface ScriptStep {
  readonly directive: Directive;
  readonly isProbe: boolean;
}

function step(command: string, args: readonly Argument[] = [], input = ""): ScriptStep {
  const isProbe = command === "raft-log" || command === "status";
  return { directive: { line: 0, command, args, input, expected: "" }, isProbe };
}

function bare(value: number | string): Argument {
  return { key: String(value), values: [] };
}

function list(key: string, values: readonly number[]): Argument {
  return { key, values: values.map(String) };
}

/** What a script keeps in mind to propose sensible things. */
interface Scene {
  readonly random: Random;
  nodeCount: number;
  serial: number;
}

/**
 * A random script: a group, then rounds of elections, proposals, changes, lost and late messages, each round ended by
 * letting everything settle and looking at all logs and at what leaders know. Uses only directives that both cores'
 * harnesses have, and none whose outcome an election timeout decides.
 */
export function randomScript(random: Random): ScriptStep[] {
  const scene: Scene = { random, nodeCount: 3 + random.below(3), serial: 0 };
  const all = Array.from({ length: scene.nodeCount }, (_, at) => at + 1);
  const learnerCount = random.chance(1, 3) ? 1 : 0;
  const voters = all.slice(0, all.length - learnerCount);
  const learners = all.slice(all.length - learnerCount);
  const steps = [
    step("add-nodes", [
      bare(scene.nodeCount),
      list("voters", voters),
      ...(learners.length > 0 ? [list("learners", learners)] : []),
      list("index", [10]),
    ]),
    step("campaign", [bare(1 + random.below(voters.length))]),
    step("stabilize"),
  ];
  const rounds = 1 + random.below(5);
  for (let round = 0; round < rounds; round++) {
    const moves = 1 + random.below(12);
    for (let move = 0; move < moves; move++) steps.push(...randomMove(scene));
    // A change comes last in its round: the older core sends the entry that leaves a joint configuration only with the
    // next message, so whatever is lost in between would be another thing.
    if (random.chance(1, 2)) steps.push(step("stabilize"), randomChange(scene));
    steps.push(...settle(scene));
  }
  return steps;
}

function randomMove(scene: Scene): ScriptStep[] {
  const { random } = scene;
  const node = () => 1 + random.below(scene.nodeCount);
  const some = () => {
    const shuffled = random.shuffle(Array.from({ length: scene.nodeCount }, (_, at) => at + 1));
    return shuffled.slice(0, 1 + random.below(shuffled.length)).sort((left, right) => left - right);
  };
  const kind = random.below(100);
  if (kind < 30) return [step("propose", [bare(node()), bare(`p${scene.serial++}`)])];
  if (kind < 45) return [step("process-ready", [bare(node())])];
  if (kind < 55) return [step("deliver-msgs", some().map(bare))];
  if (kind < 65) return [step("deliver-msgs", [list("drop", some())])];
  if (kind < 77) return [step("stabilize", some().map(bare))];
  if (kind < 88) return [step("tick-heartbeat", [bare(node())])];
  // Promises leave after a Ready's other messages here, and between them there; so they leave before a campaign whose
  // requests would overtake them.
  const candidate = [bare(node())];
  return [step("process-ready", candidate), step("campaign", candidate)];
}

function randomChange(scene: Scene): ScriptStep {
  const { random } = scene;
  const proposer = 1 + random.below(scene.nodeCount);
  const words = Array.from({ length: random.below(3) }, () => {
    const letter = random.pick(["v", "v", "l", "r"]) ?? "v";
    return `${letter}${1 + random.below(scene.nodeCount)}`;
  });
  const transition = random.pick(["auto", "auto", "implicit", "explicit"]) ?? "auto";
  const args = [bare(proposer), { key: "transition", values: [transition] }];
  return step("propose-conf-change", args, words.join(" "));
}

function settle(scene: Scene): ScriptStep[] {
  const all = Array.from({ length: scene.nodeCount }, (_, at) => at + 1);
  return [
    step("stabilize"),
    ...all.map((node) => step("tick-heartbeat", [bare(node)])),
    step("stabilize"),
    ...all.map((node) => step("tick-heartbeat", [bare(node)])),
    step("stabilize"),
    ...all.flatMap((node) => [step("raft-log", [bare(node)]), step("status", [bare(node)])]),
  ];
}
