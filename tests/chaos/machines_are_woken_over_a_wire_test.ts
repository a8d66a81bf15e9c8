import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { ClusterNode } from "../harness/cluster_node.ts";
import { NamespaceNetwork } from "../harness/net_namespaces.ts";

const PORT = 11_435;
const PATIENCE_MS = 60_000;
/** No machine falls asleep and wakes in less. */
const ASLEEP_MS = 5_000;
const WAKE_MS_MAX = 20_000;

const lacking = await NamespaceNetwork.lacking();
if (lacking !== undefined) console.log(`not tried: ${lacking}`);

function make(network: NamespaceNetwork, number: number, sleepCommand: string): ClusterNode {
  const address = network.addressOf(number);
  return ClusterNode.make({
    name: `n${number}`,
    listenPort: PORT,
    publicAddress: `${address}:${PORT}`,
    within: network.on(number),
    environment: {
      ODIST_HOST: `${address}:11434`,
      ODIST_OPEN: "all",
      ODIST_LISTEN: `0.0.0.0:${PORT}`,
      ODIST_ADVERTISE: "",
      ODIST_SLEEP_COMMAND: sleepCommand,
    },
  });
}

async function until<T>(what: string, look: () => Promise<T | undefined | false>): Promise<T> {
  const startedMs = performance.now();
  for (;;) {
    const found = await look();
    if (found !== undefined && found !== false) return found;
    assert.ok(performance.now() - startedMs < PATIENCE_MS, `waited for: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

interface MemberView {
  readonly name: string;
  readonly health: string;
  readonly role: string;
}

async function membersOf(node: ClusterNode): Promise<readonly MemberView[]> {
  const { members } = await node.ask("GET", "/api/cluster/status");
  return members as readonly MemberView[];
}

/** Packets that a machine of the network hears, in hex; the first line says that it listens. */
async function* hear(network: NamespaceNetwork, number: number, signal: AbortSignal) {
  const program = fileURLToPath(new URL("../harness/wake_listener.ts", import.meta.url));
  const line = [...network.on(number), Deno.execPath(), "run", "-A", "--unstable-net", program];
  const [command = "", ...args] = line;
  const child = new Deno.Command(command, { args, stdout: "piped", signal }).spawn();
  let rest = "";
  for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    yield* lines;
  }
}

async function macOf(network: NamespaceNetwork, number: number): Promise<string> {
  const [command = "", ...args] = [...network.on(number), "cat", "/sys/class/net/eth0/address"];
  const { stdout } = await new Deno.Command(command, { args }).output();
  return new TextDecoder().decode(stdout).trim().replaceAll(":", "");
}

Deno.test({
  name:
    "a machine that sleeps on purpose is woken by its neighbour's packet, byte for byte on the wire",
  ignore: lacking !== undefined,
  async fn() {
    await using network = await NamespaceNetwork.open(4, { mtu: 1_500, delayMs: 0 });
    const folder = await Deno.makeTempDir({ prefix: "odist-sleep-" });
    const command = join(folder, "sleep");
    // What suspends a machine stops its processes, this one's parent among them.
    await Deno.writeTextFile(command, "#!/bin/sh\nkill -STOP $PPID\n", { mode: 0o755 });
    await using one = make(network, 1, command);
    await using two = make(network, 2, command);
    await using three = make(network, 3, command);
    await one.start();
    const { token } = await one.ask("POST", "/api/cluster/tokens", { uses: 2 });
    const joining = { ODIST_JOIN: one.publicAddress, ODIST_TOKEN: String(token) };
    await Promise.all([two.start(joining), three.start(joining)]);
    await until("three vote", async () => {
      const members = await membersOf(one);
      return members.filter(({ role }) => role === "leader" || role === "voter").length === 3;
    });
    // Cards are told with the first look, seconds after the start.
    await until("it sleeps", async () => {
      const { status, body } = await one.request("POST", "/api/cluster/members/n2/sleep");
      if (status === 409) assert.match(JSON.stringify(body), /could wake it|no other member holds/);
      else assert.equal(status, 200, JSON.stringify(body));
      return status === 200;
    });
    const asleep = (await membersOf(one)).find(({ name }) => name === "n2");
    assert.equal(asleep?.health, "asleep");
    assert.notEqual(asleep?.role, "voter");
    const { health } = await one.ask("GET", "/api/cluster/status");
    assert.equal(health, "healthy");

    const deaf = new AbortController();
    const heard = hear(network, 4, deaf.signal);
    assert.equal((await heard.next()).value, "listening");
    const wanted = "ff".repeat(6) + (await macOf(network, 2)).repeat(16);
    const woken = one.ask("POST", "/api/cluster/members/n2/wake");
    const askedMs = performance.now();
    const waking = (async () => {
      for await (const packet of heard) {
        assert.equal(packet, wanted);
        // One that comes while it falls asleep wakes nobody.
        if (performance.now() - askedMs >= ASLEEP_MS) two.resume();
      }
    })();
    const { took_ms } = await woken;
    console.log(`n2 was a member again ${took_ms} ms after it was woken`);
    assert.ok(Number(took_ms) >= ASLEEP_MS && Number(took_ms) <= WAKE_MS_MAX);
    deaf.abort();
    await waking;
    await until("it is alive and votes", async () => {
      const found = (await membersOf(one)).find(({ name }) => name === "n2");
      return found?.health === "alive" && found.role !== "learner";
    });
    await Deno.remove(folder, { recursive: true });
  },
});
