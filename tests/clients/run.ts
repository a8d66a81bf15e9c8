// Runs programs written with other people's clients against a node with `tiny`, and prints a table call by call.
// deno task test:clients [NAME...]; agents of the terminal only by their names, or as "agents", what is built for minutes as "builds", and what takes gigabytes as "nightly"
import { startNode } from "../harness/node.ts";
import { createVariant, EMBEDDING_EDITS } from "../harness/test_models.ts";
import { type Client, CLIENTS } from "./clients.ts";
import { install } from "./install.ts";
import { run } from "./processes.ts";
import { type CallResult, callsOf, KINDS, type Outcome, tableOf } from "./table.ts";

/** One of them starts a server that reads gigabytes of libraries. */
const PROGRAM_TIMEOUT_MS = 300_000;

async function outcomeOf(client: Client, origin: string): Promise<Outcome> {
  const ready = await install(client);
  if ("skipped" in ready) return ready;
  const { code, stdout, stderr } = await run(ready.command, ready.args, {
    timeoutMs: PROGRAM_TIMEOUT_MS,
    env: { CLIENTS_ORIGIN: origin, ...ready.env },
  });
  const calls = stdout.split("\n").filter((line) => line.startsWith('{"call"')).map(readCall);
  if (code === 0 && calls.length > 0) return { calls };
  const detail = stderr.slice(-600);
  return { calls: [...calls, { call: "(the program)", kind: "more", ok: false, detail }] };
}

/** @throws TypeError when a program invents a kind of its own. */
function readCall(line: string): CallResult {
  const result: CallResult = JSON.parse(line);
  if (!KINDS.includes(result.kind)) throw new TypeError(`no such kind of call: ${line}`);
  return result;
}

async function main(names: readonly string[]): Promise<number> {
  await using node = await startNode();
  await createVariant(node, "vectors", EMBEDDING_EDITS);
  const clients = CLIENTS.filter(({ name, group }) =>
    group !== undefined
      ? names.includes(name) || names.includes(group)
      : names.length === 0 || names.some((wanted) => name.includes(wanted))
  );
  const outcomes = new Map<Client, Outcome>();
  for (const client of clients) {
    const outcome = await outcomeOf(client, node.origin);
    outcomes.set(client, outcome);
    console.log(callsOf(client, outcome));
  }
  console.log(`\n${tableOf(outcomes)}`);
  const calls = [...outcomes.values()].flatMap((one) => "skipped" in one ? [] : one.calls);
  const failed = calls.filter(({ ok }) => !ok).length;
  const skipped = [...outcomes.values()].filter((one) => "skipped" in one).length;
  console.log(
    `\n${calls.length} calls, ${failed} failed; ${clients.length} clients, ${skipped} skipped`,
  );
  return failed === 0 ? 0 : 1;
}

Deno.exit(await main(Deno.args));
