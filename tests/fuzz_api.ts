/**
 * Sends a node of its own requests made at random, valid and broken: `deno task fuzz:api --count 20000 --seed 1`. Fails for
 * every answer of 500 that nobody foresaw, request without an answer, answer of a wrong form, and memory that grows.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { fuzzApi } from "./harness/api_fuzz.ts";
import { startNode } from "./harness/node.ts";

/** Requests until the node has loaded what it keeps, and between two looks at its memory. */
const WARM_UP = 2_000;
/** MiB that a node may have more after all requests than after the first of them. */
const GROWTH_MIB_MAX = 50;

async function residentMib(pid: number): Promise<number> {
  const status = await Deno.readTextFile(`/proc/${pid}/status`);
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? NaN) / 1024;
}

if (import.meta.main) {
  const { values } = parseArgs({
    args: Deno.args.filter((argument) => argument !== "--"),
    options: {
      count: { type: "string", default: "20000" },
      seed: { type: "string", default: String(Date.now() % 1_000_000) },
    },
  });
  const count = Number(values.count);
  const seed = Number(values.seed);
  await using node = await startNode();
  const residents: number[] = [];
  const startedMs = performance.now();
  const { findings, statuses } = await fuzzApi(node.origin, {
    seed,
    count,
    onRound: async (round) => {
      if (round > 0 && round % WARM_UP === 0) residents.push(await residentMib(node.pid));
    },
  });
  const seconds = (performance.now() - startedMs) / 1000;
  residents.push(await residentMib(node.pid));
  const grownMib = (residents.at(-1) ?? NaN) - (residents[0] ?? NaN);
  for (const { request, what } of findings.slice(0, 20)) console.log(`${what}\n  ${request}`);
  const shown = [...statuses].sort(([a], [b]) => a - b).map(([status, n]) => `${n} x ${status}`);
  console.log(
    `${count} requests, seed ${seed}, ${seconds.toFixed(0)} s: ${findings.length} findings; ` +
      `${shown.join(", ")}; MiB after each ${WARM_UP}: ${
        residents.map((mib) => mib.toFixed(0)).join(" ")
      }`,
  );
  if (findings.length > 0 || grownMib > GROWTH_MIB_MAX) Deno.exitCode = 1;
}
