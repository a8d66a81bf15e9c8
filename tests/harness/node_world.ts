/**
 * Whole nodes in one process: the shipped wiring over a simulated network, disks and clock, with the engine of the test.
 * They found a cluster, join it with tokens, elect, gossip and serve as real ones do; nothing moves but by the world.
 *
 * @module
 */
import assert from "node:assert/strict";
import { Random } from "../../src/base/mod.ts";
import type { OptionName } from "../../src/config/mod.ts";
import { loadConfig } from "../../src/config/load_config.ts";
import { drainKey, leaveKey } from "../../src/core/catalogue/mod.ts";
import type { NodePorts } from "../../src/node/assembly/mod.ts";
import { type OpenNode, openNode } from "../../src/node/open_node.ts";
import type { Outcome } from "../../src/core/catalogue/mod.ts";
import type { Group } from "../../src/group/group.ts";
import { GROUP_TIMING, type GroupTiming } from "../../src/group/timing.ts";
import type { MembershipDriver } from "../../src/members/membership_driver.ts";
import type { Clock, Engine } from "../../src/ports/mod.ts";
import type { CatalogueCommand } from "../../src/protocol/mod.ts";
import { llamaFile } from "./gguf_file.ts";
import { scriptedDefinition, ScriptedEngine } from "./scripted_engine.ts";
import { SimulatedMachine } from "./simulated_machine.ts";
import { SimulatedNetwork } from "./simulated_transport.ts";
import { holdCrypto, stepCrypto } from "./stepped_crypto.ts";

const STEP_MS = 10;
/** Virtual milliseconds that anything in a healthy cluster may take. */
const PATIENCE_MS = 30_000;

/** A change of a setting: the smallest command there is. */
export function putSetting(key: string, value: string, expected?: number): CatalogueCommand {
  return { kind: "put_setting", key, value, expected };
}

/** How a {@link NodeWorld} is made. */
export interface NodeWorldOptions {
  /** Default 1. */
  readonly seed?: number;
  /** As on the command line, for all nodes. */
  readonly flags?: Partial<Record<OptionName, string>>;
  /** `prompt`: on real time, for engines and sockets that know no other. Default `stepped`. */
  readonly mode?: "stepped" | "prompt";
  /** What a node stands on instead of the simulated machine's. */
  readonly ports?: (number: number) => Partial<NodePorts>;
  /** What runs models on a node, in one life of it. Default: a {@link ScriptedEngine}. */
  readonly engine?: (clock: Clock, number: number) => Engine;
  /** Of the group, instead of the product's while the world lives, so that a few changes are many. */
  readonly timing?: Partial<GroupTiming>;
}

/** Nodes are called by number, from 1; node 1 founds the cluster. */
export class NodeWorld implements AsyncDisposable {
  readonly network: SimulatedNetwork;
  readonly #machines = new Map<number, SimulatedMachine>();
  readonly #running = new Map<number, OpenNode>();
  /** Why nodes ended by themselves. */
  readonly ended = new Map<number, string>();
  /** What is real of nodes that were killed. */
  readonly #leftovers: (() => Promise<void>)[] = [];
  readonly #options: NodeWorldOptions;
  readonly #random: Random;
  readonly #letCryptoGo: () => void;
  readonly #timingBefore = { ...GROUP_TIMING };
  #isOver = false;

  /** Without nodes yet. */
  constructor(options: NodeWorldOptions = {}) {
    const { seed = 1, mode = "stepped" } = options;
    this.#options = options;
    Object.assign(GROUP_TIMING, options.timing);
    this.#random = new Random(seed);
    this.#letCryptoGo = mode === "stepped" ? holdCrypto(new Random(seed)) : () => {};
    this.network = new SimulatedNetwork({ seed, mode, step: stepCrypto });
  }

  /** A cluster of `count` nodes that run. */
  static async start(count: number, options: NodeWorldOptions = {}): Promise<NodeWorld> {
    const world = new NodeWorld(options);
    await world.grow(count);
    return world;
  }

  /** Founds a cluster where there is none, lets nodes join until `count` run, and the right ones vote. */
  async grow(count: number): Promise<void> {
    if (this.#running.size === 0) {
      await this.boot(1);
      await this.until("node 1 is a member", () => this.group(1).catalogue.members().length === 1);
    }
    for (let number = this.#running.size + 1; number <= count; number++) await this.join(number);
    const voters = Math.min(5, count - (count + 1) % 2);
    const isSettled = (number: number) => this.voters(number).length === voters;
    await this.until("all know who votes", () => this.running.every(isSettled));
  }

  /** A node that has not run yet, for its disks. */
  async prepare(number: number): Promise<SimulatedMachine> {
    const on = { network: this.network, machines: this.#machines };
    const machine = await this.settle(SimulatedMachine.open(on, number));
    this.#machines.set(number, machine);
    return machine;
  }

  /** Those that run, and those that did. */
  get numbers(): readonly number[] {
    return [...this.#machines.keys()];
  }

  get running(): readonly number[] {
    return [...this.#running.keys()];
  }

  node(number: number): OpenNode {
    const node = this.#running.get(number);
    assert.ok(node !== undefined, `node ${number} does not run`);
    return node;
  }

  group(number: number): Group {
    return this.node(number).machinery.group;
  }

  membership(number: number): MembershipDriver {
    return this.node(number).machinery.membership;
  }

  /** What one node thinks of another. */
  standing(observer: number, subject: number): string | undefined {
    return this.membership(observer).find(this.machine(subject).nodeId)?.standing;
  }

  /** What is left of a node while it is off. */
  machine(number: number): SimulatedMachine {
    const machine = this.#machines.get(number);
    assert.ok(machine !== undefined, `there is no node ${number}`);
    return machine;
  }

  /** A new node joins through those that run, with a token of one of them. */
  async join(number: number): Promise<void> {
    const [through = 1] = this.running;
    const wish = { lifetimeMs: 60_000, uses: 1 };
    const { token } = await this.settle(this.node(through).credentials.createToken(wish));
    const seeds = this.running.map((member) => this.machine(member).address);
    await this.boot(number, { joinToken: token, joinAddresses: seeds.join(",") });
  }

  /** Starts a node on what its disks hold. */
  async boot(number: number, flags: Partial<Record<OptionName, string>> = {}): Promise<void> {
    const machine = this.#machines.get(number) ?? await this.prepare(number);
    const { engine = (clock: Clock) => new ScriptedEngine(clock), ports } = this.#options;
    const opening = openNode({
      config: loadConfig({
        flags: {
          dataFolder: `/n${number}`,
          listenAddress: machine.address,
          nodeName: `n${number}`,
          ...this.#options.flags,
          ...flags,
        },
        env: {},
      }).config,
      ports: {
        ...machine.boot({
          random: this.#random.fork(),
          engine: (clock) => engine(clock, number),
        }),
        ...ports?.(number),
      },
      version: "0.0.0",
      hostName: `n${number}`,
      outsideAddress: () => undefined,
      signal: new AbortController().signal,
      onFatal: (reason) => void this.ended.set(number, reason),
    });
    const node = await this.settle(opening);
    machine.address = node.machinery.settings.facts.clusterAddress;
    this.#running.set(number, node);
  }

  /** As kill -9, and its runners end with it; `power`: and what the disk had not synced may be gone. */
  crash(number: number, options: { readonly power: boolean } = { power: true }): void {
    const { group } = this.node(number).machinery;
    this.#end(number);
    this.machine(number).crash(this.#random, options);
    // Whoever waits for it here is no part of what died.
    void group.close();
  }

  #end(number: number): void {
    const { driver, machinery } = this.node(number);
    this.#running.delete(number);
    this.machine(number).end();
    const ended = driver.close();
    this.#leftovers.push(async () => {
      await ended;
      await machinery.transport.close();
    });
  }

  /** Ends a node in order. */
  async stop(number: number): Promise<void> {
    const node = this.node(number);
    await this.settle(node.close());
    this.#running.delete(number);
  }

  /** The machine sleeps, or its process is stopped: see `SimulatedMachine.suspend`. */
  suspend(number: number, clock: "stands" | "runs" = "stands"): void {
    this.machine(number).suspend(clock);
  }

  resume(number: number): void {
    this.machine(number).resume();
  }

  /** Nothing passes between these and all others. */
  isolate(...numbers: readonly number[]): void {
    const idOf = (number: number) => this.machine(number).nodeId;
    const others = [...this.#machines.keys()].filter((number) => !numbers.includes(number));
    this.network.partition(numbers.map(idOf), others.map(idOf));
  }

  advance(durationMs: number): Promise<void> {
    return this.network.advance(durationMs);
  }

  /** Lets time pass until something holds; returns the milliseconds that took. */
  async until(what: string, holds: () => boolean, limitMs = PATIENCE_MS): Promise<number> {
    const { clock } = this.network;
    const startedMs = clock.monotonicMs();
    for (;;) {
      const passedMs = clock.monotonicMs() - startedMs;
      if (holds()) return passedMs;
      // Whoever still waits would go on moving what others of this process wait for.
      assert.ok(!this.#isOver, `${what}: not before the world's end`);
      assert.ok(passedMs < limitMs, `${what}: not within ${limitMs} ms`);
      if (this.#options.mode === "prompt") await new Promise((resolve) => setTimeout(resolve, 1));
      else await this.advance(STEP_MS);
    }
  }

  /** Lets time pass until a promise settles. */
  async settle<T>(promise: Promise<T>, limitMs = PATIENCE_MS): Promise<T> {
    let isSettled = false;
    const note = () => void (isSettled = true);
    promise.then(note, note);
    await this.until("a promise settles", () => isSettled, limitMs);
    return await promise;
  }

  /** The number of the node that leads, when all of these that run agree. */
  leader(among: readonly number[] = this.running): number | undefined {
    const asked = this.running.filter((number) => among.includes(number));
    const leaders = new Set(asked.map((number) => this.group(number).view().leader));
    const [leader] = leaders;
    if (leader === undefined || leaders.size > 1) return undefined;
    return numberOf(leader);
  }

  /** The number of the one of these that leads them, once all of them agree. */
  async elected(among: readonly number[] = this.numbers): Promise<number> {
    const agreed = () => {
      const leader = this.leader(among) ?? 0;
      if (!among.includes(leader) || !this.#running.has(leader)) return undefined;
      return this.group(leader).view().role === "leader" ? leader : undefined;
    };
    await this.until("a leader is elected", () => agreed() !== undefined);
    return agreed() ?? assert.fail();
  }

  /** Those that vote, as a running node has applied the configuration. */
  voters(number: number): readonly number[] {
    const { voters, votersOutgoing } = this.group(number).view().configuration;
    return [...new Set([...voters, ...votersOutgoing])].map(numberOf).sort((a, b) => a - b);
  }

  /** Changes the catalogue through a node, by default any that runs. */
  async propose(command: CatalogueCommand, at = this.running[0] ?? 0): Promise<number> {
    const outcome = await this.proposed(command, at);
    assert.ok(outcome.kind === "applied", JSON.stringify(outcome));
    return outcome.revision;
  }

  /** What becomes of a change. */
  proposed(command: CatalogueCommand, at: number): Promise<Outcome> {
    return this.settle(this.group(at).propose(command, { timeoutMs: 20_000 }));
  }

  /** What a linearizable read of a setting gives. */
  read(number: number, key: string): Promise<string | undefined> {
    const look = this.group(number).read((catalogue) => catalogue.findSetting(key)?.value, {
      timeoutMs: 5_000,
    });
    return this.settle(look);
  }

  /** All that run have applied the same and hold the same. */
  async converged(): Promise<void> {
    const catalogues = () => this.running.map((number) => this.group(number).catalogue);
    await this.until("all applied the same", () => {
      return new Set(catalogues().map(({ appliedIndex }) => appliedIndex)).size === 1;
    });
    const hashes = new Set(catalogues().map((catalogue) => catalogue.stateHash()));
    assert.equal(hashes.size, 1, "states differ");
  }

  /** Drains a node, or lets it serve again. */
  async drain(number: number, isDrained = true): Promise<void> {
    const key = drainKey(this.machine(number).nodeId);
    const isSet = (at: number) => this.group(at).catalogue.findSetting(key) !== undefined;
    if (isSet(number) === isDrained) return;
    await this.propose(
      isDrained
        ? { kind: "put_setting", key, value: "1", expected: undefined }
        : { kind: "delete_setting", key, expected: undefined },
    );
    await this.until("all know", () => this.running.every((at) => isSet(at) === isDrained));
  }

  /** Says in the catalogue that the others should do without a node. */
  async leave(number: number): Promise<void> {
    const key = leaveKey(this.machine(number).nodeId);
    await this.propose({ kind: "put_setting", key, value: "1", expected: undefined });
  }

  /** Creates {@link scriptedDefinition}'s model on these nodes, which hold it then, as all that run know. */
  async createModel(...numbers: readonly number[]): Promise<void> {
    for (const number of numbers) await this.#createModel(number);
    await this.until("all know who holds it", () =>
      this.running.every((at) => {
        const { cluster } = this.node(at);
        const { manifestDigest = "" } = this.group(at).catalogue.models()[0] ?? {};
        const held = cluster.views.holders(manifestDigest).map(({ name }) => name).sort().join();
        return held === numbers.filter((number) => number !== at).map((it) => `n${it}`).join();
      }));
  }

  async #createModel(number: number): Promise<void> {
    const { digest } = await this.machine(number).blobs.put(llamaFile());
    const { system, template } = scriptedDefinition();
    const lines = this.node(number).api.createModel({
      model: "m",
      files: { "w.gguf": digest },
      system,
      parameters: { temperature: 0 },
      license: [],
      ...(template.goTemplate !== undefined && { template: template.goTemplate }),
    }, new AbortController().signal);
    const statuses = await this.settle(Array.fromAsync(lines, ({ status }) => status));
    assert.equal(statuses.at(-1), "success");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isOver = true;
    for (const number of this.running) this.#end(number);
    this.network.close();
    this.#letCryptoGo();
    Object.assign(GROUP_TIMING, this.#timingBefore);
    if (this.#options.mode === "prompt") await Promise.all(this.#leftovers.map((end) => end()));
  }
}

function numberOf(nodeId: string): number {
  return parseInt(nodeId.slice(0, 1), 16);
}
