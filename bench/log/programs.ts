/**
 * Three members of a replicated log as processes on this machine, and the client that goes with them.
 *
 * @module
 */
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { createAuthority, generateSigningKey } from "../../src/transport/mod.ts";
import type { ClientFigures } from "./commit_wire.ts";
import type { MemberSetup } from "./odist_member.ts";

const MEMBERS = [0, 1, 2];
const READY_MS = 20_000;

/** How hard to ask. */
export interface Load {
  readonly inFlight: number;
  readonly warmupMs: number;
  readonly runMs: number;
}

/** A running cluster. */
export interface LogCluster extends AsyncDisposable {
  readonly name: string;
  readonly version: string;
  measure(load: Load): Promise<ClientFigures>;
}

/** odist's group: shipped transport (encrypted), log and driver. */
export async function startOdist(folder: string): Promise<LogCluster> {
  const { chainPem, privateKeyPem } = await createAuthority(Date.now());
  const members = [];
  for (const index of MEMBERS) {
    const key = await generateSigningKey();
    const memberFolder = join(folder, `odist${index}`);
    members.push({ privateKeyPem: key.privateKeyPem, port: freeUdpPort(), folder: memberFolder });
  }
  const setup: MemberSetup = { authority: { chainPem, privateKeyPem }, members };
  const path = join(folder, "odist.json");
  await Deno.writeTextFile(path, JSON.stringify(setup), { mode: 0o600 });
  const program = fileURLToPath(new URL("odist_member.ts", import.meta.url));
  const states = MEMBERS.map(() => ({ client: "", role: "" }));
  const led = Promise.withResolvers<void>();
  const children = MEMBERS.map((index) => {
    const args = ["run", "-A", "--unstable-net", program, path];
    const child = spawn(Deno.execPath(), [...args, String(index)]);
    void eachLine(child.stdout, (line) => {
      states[index] = JSON.parse(line);
      const all = states.every(({ client }) => client !== "");
      if (all && states.some(({ role }) => role === "leader")) led.resolve();
    });
    return child;
  });
  await within(READY_MS, "odist elects a leader", led.promise);
  const client = fileURLToPath(new URL("odist_client.ts", import.meta.url));
  return {
    name: "odist",
    version: "this tree",
    measure(load) {
      const leader = states.find(({ role }) => role === "leader")?.client ?? "";
      return askClient(Deno.execPath(), ["run", "-A", client, leader, ...loadArguments(load)]);
    },
    [Symbol.asyncDispose]: () => end(children),
  };
}

/** The distribution's etcd, with defaults; undefined, with the reason printed, where it can't be had. */
export async function startEtcd(folder: string): Promise<LogCluster | undefined> {
  const version = await output("etcd", ["--version"]);
  if (version === undefined) {
    console.log("etcd is left out: it is not installed (Debian: etcd-server)");
    return undefined;
  }
  const client = await buildEtcdClient(folder);
  if (client === undefined) return undefined;
  const urls = MEMBERS.map(() => ({
    client: `http://127.0.0.1:${freeTcpPort()}`,
    peer: `http://127.0.0.1:${freeTcpPort()}`,
  }));
  const initial = urls.map(({ peer }, index) => `m${index}=${peer}`).join(",");
  const children = urls.map(({ client: clientUrl, peer }, index) =>
    spawn("etcd", [
      ...["--name", `m${index}`, "--data-dir", join(folder, `etcd${index}`)],
      ...["--listen-client-urls", clientUrl, "--advertise-client-urls", clientUrl],
      ...["--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer],
      ...["--initial-cluster", initial, "--logger", "zap", "--log-level", "error"],
    ])
  );
  const endpoints = urls.map(({ client: url }) => url.slice("http://".length)).join(",");
  const ready = async () => {
    for (;;) {
      const load = { inFlight: 1, warmupMs: 0, runMs: 50 };
      if (await output(client, [endpoints, ...loadArguments(load)]) !== undefined) return;
    }
  };
  await within(READY_MS, "etcd elects a leader", ready());
  return {
    name: "etcd",
    version: version.split("\n")[0] ?? "",
    measure: (load) => askClient(client, [endpoints, ...loadArguments(load)]),
    [Symbol.asyncDispose]: () => end(children),
  };
}

async function buildEtcdClient(folder: string): Promise<string | undefined> {
  const sources = "/usr/share/gocode";
  const binary = join(folder, "etcd_client");
  const source = fileURLToPath(new URL("etcd_client.go", import.meta.url));
  // Kept between runs: the first build takes a minute.
  const cache = join(Deno.env.get("HOME") ?? folder, ".cache", "go-build");
  const env = { GO111MODULE: "off", GOPATH: sources, GOFLAGS: "", GOCACHE: cache };
  if (await output("go", ["build", "-o", binary, source], env) !== undefined) return binary;
  console.log(
    "etcd is left out: its client can't be built (Debian: golang-go golang-etcd-server-dev)",
  );
  return undefined;
}

function loadArguments(load: Load): string[] {
  return [load.inFlight, load.warmupMs, load.runMs].map(String);
}

async function askClient(command: string, args: readonly string[]): Promise<ClientFigures> {
  const text = await output(command, args);
  if (text === undefined) throw new Error(`${command} ${args.join(" ")} failed`);
  return JSON.parse(text);
}

function spawn(command: string, args: readonly string[]): Deno.ChildProcess {
  return new Deno.Command(command, {
    args: [...args],
    stdin: "null",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
}

/** What a program printed; undefined when it is absent or failed. */
async function output(
  command: string,
  args: readonly string[],
  env: Record<string, string> = {},
): Promise<string | undefined> {
  try {
    const process = new Deno.Command(command, { args: [...args], env, stderr: "null" });
    const { success, stdout } = await process.output();
    return success ? new TextDecoder().decode(stdout) : undefined;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

async function eachLine(
  readable: ReadableStream<Uint8Array>,
  take: (line: string) => void,
): Promise<void> {
  let rest = "";
  const decoder = new TextDecoder();
  for await (const chunk of readable) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) take(line);
  }
}

async function end(children: readonly Deno.ChildProcess[]): Promise<void> {
  for (const child of children) child.kill("SIGTERM");
  for (const child of children) await child.status;
}

async function within<T>(limitMs: number, what: string, promise: Promise<T>): Promise<T> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(
    () => late.reject(new Error(`${what}: not within ${limitMs} ms`)),
    limitMs,
  );
  try {
    return await Promise.race([promise, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

function freeTcpPort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return (listener.addr as Deno.NetAddr).port;
}

function freeUdpPort(): number {
  const socket = Deno.listenDatagram({ hostname: "127.0.0.1", port: 0, transport: "udp" });
  const { port } = socket.addr as Deno.NetAddr;
  socket.close();
  return port;
}
