/**
 * Shows a cluster at work on this machine: three nodes are started, one of them gets a model, the others are asked for
 * it, the leader is killed, and all goes on. Everything lies in temporary folders and is gone at the end.
 *
 * @module
 */
import packageFile from "../../deno.json" with { type: "json" };
import { Random } from "../../src/base/mod.ts";
import { runProgram } from "../../src/cli/program.ts";
import { ClusterNode } from "../../tests/harness/cluster_node.ts";
import { cliContext } from "../../tests/harness/cli.ts";
import { ScriptedTerminal } from "../../tests/harness/scripted_terminal.ts";
import { findListenPort } from "../../tests/harness/udp_switch.ts";

const HEALTHY_TIMEOUT_MS = 60_000;
const POLL_MS = 20;
const ANSWER_TOKENS = 24;
const SHOWN_CHARS = 80;
const MODEL = "poet";
const MODELFILE = "FROM tiny\nSYSTEM You are a poet.\nPARAMETER temperature 0\n";
const PROMPT = "Why is the sky blue?";

const startedMs = performance.now();
const ports = new Random(Deno.pid);

/** Tells what happens, and how long after the start. */
function say(text: string): void {
  const seconds = ((performance.now() - startedMs) / 1_000).toFixed(2);
  console.log(`[${seconds.padStart(6)} s] ${text}`);
}

function makeNode(name: string): ClusterNode {
  const listenPort = findListenPort(ports);
  const publicAddress = `127.0.0.1:${listenPort}`;
  return ClusterNode.make({ name, listenPort, publicAddress, environment: {} });
}

/** Runs a command as a user would type it, against one node, and prints both. */
async function command(node: ClusterNode, args: readonly string[]): Promise<string> {
  const host = new URL(node.origin).host;
  console.log(`\n  $ odist ${args.join(" ")} --host ${host}`);
  const terminal = new ScriptedTerminal();
  const context = {
    ...cliContext({ terminal }),
    version: packageFile.version,
    nowMs: () => Date.now(),
  };
  const code = await runProgram([...args, "--host", host], context);
  const said = terminal.outText + terminal.errText;
  for (const line of said.trimEnd().split("\n")) console.log(`  ${line}`);
  console.log();
  if (code !== 0) throw new Error(`odist ${args.join(" ")} ended with ${code}`);
  return terminal.outText;
}

/** Asks the model through a node and tells who answered, and how fast. */
async function ask(node: ClusterNode): Promise<void> {
  const askedMs = performance.now();
  const answer = await node.request("POST", "/api/generate", {
    body: {
      model: MODEL,
      prompt: PROMPT,
      stream: false,
      options: { num_predict: ANSWER_TOKENS },
    },
  });
  const tookMs = Math.round(performance.now() - askedMs);
  if (answer.status !== 200) throw new Error(`${node.name}: ${JSON.stringify(answer.body)}`);
  const by = answer.headers.get("x-odist-node") ?? "nobody knows whom";
  const text = String(answer.body.response).trim().replaceAll(/\s+/g, " ").slice(0, SHOWN_CHARS);
  say(`asked ${node.name}, answered by ${by} in ${tookMs} ms: ${text}`);
}

interface Seen {
  readonly health: string;
  readonly leader?: string;
  readonly node_id: string;
  readonly members: readonly {
    readonly node_id: string;
    readonly name: string;
    readonly health: string;
    readonly role: string;
  }[];
}

/** What each of the nodes says of the cluster. */
async function look(nodes: readonly ClusterNode[]): Promise<readonly Seen[]> {
  const answers = nodes.map((node) => node.ask("GET", "/api/cluster/status"));
  return (await Promise.all(answers)) as unknown as readonly Seen[];
}

async function until(
  what: string,
  nodes: readonly ClusterNode[],
  holds: (seen: readonly Seen[]) => boolean,
): Promise<readonly Seen[]> {
  const deadlineMs = performance.now() + HEALTHY_TIMEOUT_MS;
  for (;;) {
    const seen = await look(nodes);
    if (holds(seen)) return seen;
    if (performance.now() > deadlineMs) {
      throw new Error(`Waited in vain until ${what}: ${JSON.stringify(seen)}`);
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

async function startThree(nodes: readonly [ClusterNode, ClusterNode, ClusterNode]): Promise<void> {
  const [a, b, c] = nodes;
  say("starting a, which founds a cluster");
  await a.start();
  say(`a serves at ${a.origin}`);
  const line = await command(a, ["token", "create", "--uses", "2"]);
  const token = /ODIST_TOKEN=(\S+)/.exec(line)?.[1] ?? "";
  say("starting b and c, which join with the token");
  const environment = { ODIST_JOIN: a.publicAddress, ODIST_TOKEN: token };
  await Promise.all([b.start(environment), c.start(environment)]);
  await until(
    "all three are healthy and vote",
    nodes,
    (seen) =>
      seen.every(({ health, members }) =>
        health === "healthy" && members.filter(({ role }) => isVote(role)).length === 3
      ),
  );
  say("three nodes, one healthy cluster");
  await command(c, ["status"]);
}

async function show(nodes: readonly [ClusterNode, ClusterNode, ClusterNode]): Promise<void> {
  const [, b, c] = nodes;
  await startThree(nodes);
  const file = `${b.homeFolder}/Modelfile`;
  await Deno.writeTextFile(file, MODELFILE);
  say(`making the model "${MODEL}" on b alone, then asking "${PROMPT}"`);
  await command(b, ["create", MODEL, "-f", file]);
  const [first] = await look([c]);
  const names = new Map(first?.members.map(({ node_id, name }) => [node_id, name]));
  for (const node of [c, ...nodes]) await ask(node);
  const leader = nodes.find((node) => names.get(first?.leader ?? "") === node.name);
  if (leader === undefined) throw new Error("No node leads");
  const others = nodes.filter((node) => node !== leader);
  say(`killing ${leader.name}, which leads the cluster (kill -9)`);
  await leader.kill();
  const killedMs = performance.now();
  for (const node of others) await ask(node);
  const [seen] = await until(
    "another node leads",
    others,
    (all) =>
      all.every((one) =>
        one.leader !== undefined && names.get(one.leader) !== leader.name &&
        one.leader === all[0]?.leader
      ),
  );
  const tookMs = Math.round(performance.now() - killedMs);
  say(`${names.get(seen?.leader ?? "")} leads now; seen ${tookMs} ms after the kill`);
  await until(
    "the others doubt it",
    others,
    (all) =>
      all.every(({ members }) =>
        members.find(({ name }) => name === leader.name)?.health !== "alive"
      ),
  );
  const [survivor] = others;
  if (survivor !== undefined) await command(survivor, ["status"]);
}

function isVote(role: string): boolean {
  return role === "leader" || role === "voter";
}

const nodes = [makeNode("a"), makeNode("b"), makeNode("c")] as const;
let code = 0;
try {
  await show(nodes);
} catch (error) {
  console.error(`\nThe demo failed: ${String(error)}`);
  for (const node of nodes) console.error(`\n${node.name} printed:\n${node.printed}`);
  code = 1;
} finally {
  await Promise.all(nodes.map((node) => node[Symbol.asyncDispose]()));
}
if (code === 0) say("all nodes stopped, all files removed");
Deno.exit(code);
