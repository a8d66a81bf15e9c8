/**
 * A cluster of real processes on this machine, with a network between them that the test owns. Reads like the scenario:
 * `cluster.isolate("n1")`, `cluster.heal()`, `await cluster.healthy()`.
 *
 * @module
 */
import { join } from "node:path";
import { assert, Random } from "../../src/base/mod.ts";
import { ClusterNode } from "./cluster_node.ts";
import { findListenPort, type LinkFaults, UdpSwitch } from "./udp_switch.ts";

/** How long the harness waits for anything unless a test says otherwise. */
const WAIT_TIMEOUT_MS = 30_000;
const POLL_MS = 10;
/** A node that is stopped, paused or cut off must not hold up a look at the others. */
const STATUS_TIMEOUT_MS = 2_000;

/** How a cluster under test differs from plain `odist serve`s. */
export interface ClusterOptions {
  /** Of the network's faults and of the ports. */
  readonly seed?: number;
  /** For every node. */
  readonly environment?: Readonly<Record<string, string>>;
  /** Bytes of traffic kept from the very first datagram on. */
  readonly captureBytesMax?: number;
  /** Of the sources that nodes are run from; by default these. */
  readonly sources?: string;
  /** Nodes hear each other without the test's network between, at the machine's own speed; faults can't be made then. */
  readonly isDirect?: boolean;
  /** Done to the first node before it is started. */
  readonly prepareFounder?: (founder: ClusterNode) => Promise<void>;
}

/** `/api/cluster/status`, decoded. */
export interface StatusView {
  readonly cluster_id: string;
  readonly node_id: string;
  readonly name: string;
  readonly health: string;
  readonly leader?: string;
  readonly term: number;
  readonly committed_index: number;
  readonly applied_index: number;
  readonly state_hash: string;
  readonly members: readonly {
    readonly node_id: string;
    readonly name: string;
    readonly health: string;
    readonly role: string;
    readonly drained: boolean;
    readonly address: string;
  }[];
}

/** Nodes `n1`, `n2`, …, of which `n1` founded the cluster. Disposing ends everything and deletes their folders. */
export class TestCluster implements AsyncDisposable {
  readonly network: UdpSwitch;
  readonly #options: ClusterOptions;
  readonly #ports: Random;
  readonly #nodes = new Map<string, ClusterNode>();
  readonly #down = new Set<string>();

  private constructor(options: ClusterOptions) {
    const seed = options.seed ?? 1;
    this.#options = options;
    this.network = new UdpSwitch({ seed });
    if (options.captureBytesMax !== undefined) this.network.capture(options.captureBytesMax);
    // Clusters of several test processes look for ports at the same time.
    this.#ports = new Random(seed ^ Deno.pid);
  }

  /**
   * Starts a founder, lets the others join all at once, and waits until everyone sees a healthy cluster in which as many vote
   * as ever will: before that, a founder's death takes the only vote with it.
   */
  static async start(count: number, options: ClusterOptions = {}): Promise<TestCluster> {
    const cluster = new TestCluster(options);
    try {
      await cluster.#found();
      if (count > 1) {
        const token = await cluster.createToken(count - 1);
        const joining = Array.from({ length: count - 1 }, () => cluster.join({ token }));
        const joined = await Promise.allSettled(joining);
        for (const one of joined) if (one.status === "rejected") throw one.reason;
      }
      await cluster.healthy(count);
      await cluster.voting(count >= 5 ? 5 : count >= 3 ? 3 : 1);
      return cluster;
    } catch (error) {
      const folder = await cluster.collect("start");
      await cluster[Symbol.asyncDispose]();
      throw new Error(`The cluster did not start; its logs are in ${folder}`, { cause: error });
    }
  }

  /** In the order they came. */
  get names(): readonly string[] {
    return [...this.#nodes.keys()];
  }

  /** Those that were not killed, stopped or paused. */
  get running(): readonly string[] {
    return this.names.filter((name) => !this.#down.has(name));
  }

  /** The node's HTTP API and its process. */
  client(name: string): ClusterNode {
    const node = this.#nodes.get(name);
    assert(node !== undefined, "No such node in the cluster", { name });
    return node;
  }

  /** A join token of the first running node. */
  async createToken(uses: number): Promise<string> {
    const [first = ""] = this.running;
    const made = await this.client(first).ask("POST", "/api/cluster/tokens", { uses });
    return String(made.token);
  }

  /** Starts one more node and returns its name; it listens, but need not be healthy yet. */
  async join(
    how: { readonly token?: string; readonly environment?: Readonly<Record<string, string>> } = {},
  ): Promise<string> {
    const token = how.token ?? await this.createToken(1);
    const [first = ""] = this.running;
    const node = this.#make();
    await node.start({
      ODIST_JOIN: this.client(first).publicAddress,
      ODIST_TOKEN: token,
      ...how.environment,
    });
    this.#down.delete(node.name);
    return node.name;
  }

  /** A second process with the same identity, on a copy of the node's data folder and another port; the caller ends it. */
  async twin(name: string, dataFolder: string): Promise<ClusterNode> {
    const listenPort = findListenPort(this.#ports);
    const publicAddress = this.network.plug(`${name}_twin`, listenPort);
    const environment = { ...this.#options.environment, ODIST_DATA: dataFolder };
    const node = ClusterNode.make({ name, listenPort, publicAddress, environment });
    await node.start();
    return node;
  }

  /** What the node says of its cluster. @throws when it says nothing within two seconds. */
  async status(name: string): Promise<StatusView> {
    const signal = AbortSignal.timeout(STATUS_TIMEOUT_MS);
    const answer = await this.client(name).request("GET", "/api/cluster/status", { signal });
    if (answer.status !== 200) throw new Error(`${name}: ${JSON.stringify(answer.body)}`);
    return answer.body as unknown as StatusView;
  }

  /** The running node that leads, once there is one that says so itself. */
  async leader(): Promise<string> {
    return await this.until("there is a leader", async () => {
      const statuses = await this.#statuses();
      const leading = statuses.filter(({ leader, node_id }) => leader === node_id);
      // A leader that was cut off may still believe; the highest term is right.
      return leading.sort((a, b) => b.term - a.term)[0]?.name;
    });
  }

  /** Waits until each of `names` sees a healthy cluster of `count` members under the same leader. */
  async healthy(
    count = this.names.length,
    options: { readonly names?: readonly string[]; readonly timeoutMs?: number } = {},
  ): Promise<void> {
    const names = options.names ?? this.running;
    await this.until(`${count} members are healthy`, async () => {
      const statuses = await this.#statuses(names);
      const [first] = statuses;
      return statuses.length === names.length &&
        statuses.every(({ health, leader, members }) =>
          health === "healthy" && leader === first?.leader && members.length === count
        );
    }, options.timeoutMs);
  }

  /** Waits until so many members vote, the leader included. */
  async voting(count: number): Promise<void> {
    await this.until(`${count} members vote`, async () => {
      const statuses = await this.#statuses();
      return statuses.every(({ members }) =>
        members.filter(({ role }) => role === "leader" || role === "voter").length === count
      );
    });
  }

  /** Waits until the condition holds and returns what it gave; asked again and again. */
  async until<T>(
    what: string,
    condition: () => Promise<T | undefined | false>,
    timeoutMs = WAIT_TIMEOUT_MS,
  ): Promise<T> {
    const startMs = performance.now();
    for (;;) {
      const value = await condition();
      if (value !== undefined && value !== false) return value;
      if (performance.now() - startMs > timeoutMs) {
        const statuses = JSON.stringify(await this.#statuses(), undefined, 1);
        throw new Error(`Waited ${timeoutMs} ms for: ${what}. The nodes say: ${statuses}`);
      }
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }

  /** SIGKILL. */
  async kill(name: string): Promise<void> {
    this.#down.add(name);
    await this.client(name).kill();
  }

  /** SIGTERM; returns the exit code. */
  async stop(name: string): Promise<number> {
    this.#down.add(name);
    return await this.client(name).stop();
  }

  /** Starts a node that was killed or stopped, on the same folder and ports. */
  async restart(name: string, environment: Readonly<Record<string, string>> = {}): Promise<void> {
    await this.client(name).start(environment);
    this.#down.delete(name);
  }

  /** SIGSTOP. */
  pause(name: string): void {
    this.#down.add(name);
    this.client(name).pause();
  }

  /** SIGCONT. */
  resume(name: string): void {
    this.client(name).resume();
    this.#down.delete(name);
  }

  /** Nothing gets to the node or from it, but HTTP. */
  isolate(name: string): void {
    this.partition([name], this.names.filter((other) => other !== name));
  }

  /** Cuts every link between the two groups. */
  partition(group: readonly string[], others: readonly string[]): void {
    for (const one of group) {
      for (const other of others) {
        this.cutOneWay(one, other);
        this.cutOneWay(other, one);
      }
    }
  }

  cutOneWay(from: string, to: string): void {
    this.network.set(from, to, { cut: true });
  }

  /** Makes every link worse. */
  degrade(faults: Partial<LinkFaults>): void {
    this.network.setAll(faults);
  }

  /** Every link is perfect again. Dead nodes stay dead. */
  heal(): void {
    this.network.heal();
  }

  /** Writes what the nodes printed and said, and what the network carried, to the artifacts; returns the folder. */
  async collect(title: string): Promise<string> {
    const root = Deno.env.get("ODIST_TEST_ARTIFACTS_DIR") || "test-artifacts";
    const slug = title.toLowerCase().replaceAll(/[^a-z0-9]+/g, "_").slice(0, 60);
    const folder = join(root, "clusters", `${slug}_${Deno.pid}_${Date.now()}`);
    await Deno.mkdir(folder, { recursive: true });
    for (const node of this.#nodes.values()) {
      await Deno.writeTextFile(join(folder, `${node.name}.log`), node.printed);
    }
    await Promise.allSettled(this.running.map((name) => this.#collectMetrics(name, folder)));
    const seen = { statuses: await this.#statuses(), links: this.network.counts() };
    await Deno.writeTextFile(join(folder, "cluster.json"), JSON.stringify(seen, undefined, 2));
    return folder;
  }

  async #collectMetrics(name: string, folder: string): Promise<void> {
    const signal = AbortSignal.timeout(STATUS_TIMEOUT_MS);
    const text = await (await this.client(name).fetch("/metrics", { signal })).text();
    await Deno.writeTextFile(join(folder, `${name}.metrics.txt`), text);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ended = await Promise.allSettled(
      [...this.#nodes.values()].map((node) => node[Symbol.asyncDispose]()),
    );
    await this.network[Symbol.asyncDispose]();
    for (const one of ended) if (one.status === "rejected") throw one.reason;
  }

  async #found(): Promise<void> {
    const founder = this.#make();
    await this.#options.prepareFounder?.(founder);
    await founder.start();
    this.#down.delete(founder.name);
  }

  #make(): ClusterNode {
    const name = `n${this.#nodes.size + 1}`;
    const listenPort = findListenPort(this.#ports);
    // Down until it listens.
    this.#down.add(name);
    const publicAddress = this.#options.isDirect
      ? `127.0.0.1:${listenPort}`
      : this.network.plug(name, listenPort);
    const environment = this.#options.environment ?? {};
    const { sources } = this.#options;
    const node = ClusterNode.make({
      ...{ name, listenPort, publicAddress, environment },
      ...(sources !== undefined && { sources }),
    });
    this.#nodes.set(name, node);
    return node;
  }

  /** Of those that answer. */
  async #statuses(names = this.running): Promise<StatusView[]> {
    const asked = await Promise.allSettled(names.map((name) => this.status(name)));
    return asked.flatMap((one) => one.status === "fulfilled" ? [one.value] : []);
  }
}

/** A test with a cluster of its own, whose logs and metrics are kept when it fails, and by the test runner in any case. */
export function clusterTest(
  name: string,
  setting: ClusterOptions & { readonly nodes: number; readonly ignore?: boolean },
  body: (cluster: TestCluster) => Promise<void>,
): void {
  // The signals have no counterpart there.
  const ignore = Deno.build.os === "windows" || setting.ignore === true;
  Deno.test({ name, ignore }, async () => {
    await using cluster = await TestCluster.start(setting.nodes, setting);
    try {
      await body(cluster);
    } catch (error) {
      const folder = await cluster.collect(name);
      throw new Error(`The logs are in ${folder}: ${String(error)}`, { cause: error });
    }
    if (Deno.env.get("ODIST_TEST_ARTIFACTS_DIR")) await cluster.collect(name);
  });
}

/** Whether `ODIST_TEST_LONG=true` asks for the full counts and spans, which take minutes each. */
export const IS_LONG: boolean = Deno.env.get("ODIST_TEST_LONG") === "true";

/** A fault's length is part of the fault: nothing is waited for. */
export function lasting(durationMs: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, durationMs));
}
