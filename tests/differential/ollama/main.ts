/**
 * One script of requests against two servers, compared field by field: `deno task test:differential:ollama` compares a node
 * of its own with what the published contract has; `--against http://HOST:11434` with a live Ollama that has the model, and
 * `--origin URL` takes a running node. `allowed.json` holds the differences that are meant, each with its reason.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { startNode } from "../../harness/node.ts";
import { compareWithOllama } from "./compare.ts";

if (import.meta.main) {
  const { values } = parseArgs({
    args: Deno.args.filter((argument) => argument !== "--"),
    options: {
      origin: { type: "string" },
      against: { type: "string" },
      model: { type: "string", default: "tiny" },
    },
  });
  await using started = values.origin === undefined ? await startNode() : undefined;
  const { requests, unexplained, explained } = await compareWithOllama(
    values.origin ?? started?.origin ?? "",
    {
      model: values.model,
      ...(values.against === undefined ? {} : { against: values.against.replace(/\/$/, "") }),
    },
  );
  for (const { request, field, wanted, got } of unexplained) {
    console.log(`${request}\n  ${field}: ${wanted} -> ${got}`);
  }
  for (const [reason, count] of explained) console.log(`${count} allowed: ${reason}`);
  console.log(`${requests} requests, ${unexplained.length} unexplained differences`);
  if (unexplained.length > 0) Deno.exitCode = 1;
}
