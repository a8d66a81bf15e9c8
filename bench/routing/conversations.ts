/**
 * How many prompt tokens are computed again when conversations with a shared scaffold come to a cluster: where odist sends each
 * turn, against other policies and an oracle that knows what each node holds. One node is drained for a while, one is killed in
 * the middle, and two models take turns on every node. Simulated: the shipped choice, sketches, beliefs and shelf, over nodes that
 * take the time which a small model takes on one slow core. States move between nodes where `--gigabit` is given, and stay else.
 *
 * Usage: `deno task bench:conversations [--seeds 10] [--nodes 4] [--conversations 24] [--turns 8] [--gigabit]`, or with `--real
 * [--quick] [--policies odist,oracle,…] [--out FOLDER]` on nodes that are processes, and on llama-server (`conversations_real.ts`).
 *
 * @module
 */
import { parseArgs } from "node:util";
import {
  POLICIES,
  simulateConversations,
} from "../../tests/sim/conversations/conversation_world.ts";
import { fixed, median, percentile, sum } from "../measuring/stats.ts";
import { artifactsFolder } from "../measuring/servers.ts";
import { measureReal, REAL_POLICIES } from "./conversations_real.ts";

const COUNTS = {
  seeds: { type: "string", default: "10" },
  nodes: { type: "string", default: "4" },
  conversations: { type: "string", default: "24" },
  turns: { type: "string", default: "8" },
  pairs: { type: "string", default: "8" },
} as const;

const { values } = parseArgs({
  args: Deno.args.filter((argument) => argument !== "--"),
  options: {
    ...COUNTS,
    gigabit: { type: "boolean", default: false },
    real: { type: "boolean", default: false },
    quick: { type: "boolean", default: false },
    model: { type: "string", default: "smollm2" },
    policies: { type: "string", default: REAL_POLICIES.join(",") },
    out: { type: "string", default: artifactsFolder("bench-conversations") },
  },
});
/** What QUIC carries of a gigabit. */
const GIGABIT_BYTES_PER_MS = 110_000;

const [seeds = 0, nodes = 0, conversations = 0, turns = 0, pairs = 0] = [
  values.seeds,
  values.nodes,
  values.conversations,
  values.turns,
  values.pairs,
].map((value) => {
  const count = Number(value);
  if (Number.isSafeInteger(count) && count >= 1 && count <= 1_000) return count;
  throw new RangeError(`A count must be 1 to 1,000: current value is ${value}`);
});

function simulate(): void {
  const wish = {
    ...{ nodes, conversations, turns },
    ...values.gigabit && { bytesPerMs: GIGABIT_BYTES_PER_MS },
  };
  const runs = POLICIES.map((policy) => ({
    policy,
    figures: Array.from({ length: seeds }, (_, seed) => {
      return simulateConversations({ ...wish, policy, seed: seed + 1 });
    }),
  }));
  const computedOf = (policy: string) =>
    sum(
      runs.find((run) => run.policy === policy)?.figures
        .map(({ recomputedTokens }) => recomputedTokens) ?? [],
    );
  const oracle = computedOf("oracle");
  const least = sum(runs[0]?.figures.map(({ newTokens }) => newTokens) ?? []);
  console.log(
    `${conversations} conversations of ${turns} turns on ${nodes} nodes, ${seeds} seeds, simulated`,
  );
  console.log(`${least} tokens were new: as many as one endless node computes that never fails`);
  console.log(
    "policy         computed tokens  of all prompts  to oracle  TTFT first p50, later p50, p90",
  );
  for (const { policy, figures } of runs) {
    const computed = computedOf(policy);
    const all = sum(figures.map(({ promptTokens }) => promptTokens));
    const firstMs = figures.flatMap((one) => one.firstMs);
    const laterMs = figures.flatMap((one) => one.laterMs);
    console.log([
      policy.padEnd(14),
      String(computed).padStart(15),
      `${fixed(100 * computed / all, 1)} %`.padStart(15),
      `${fixed(computed / oracle, 3)}`.padStart(10),
      `  ${fixed(median(firstMs), 0)}, ${fixed(median(laterMs), 0)}, ${
        fixed(percentile(laterMs, 0.9), 0)
      } ms`,
    ].join(" "));
  }
}

if (!values.real) simulate();
else {
  await measureReal({
    ...{
      nodes,
      conversations,
      turns,
      pairs,
      isQuick: values.quick,
      outFolder: values.out,
      model: values.model,
    },
    policies: values.policies.split(","),
  });
}
