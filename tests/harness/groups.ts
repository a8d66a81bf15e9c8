/**
 * Several nodes' parts of one group in one process: the shipped driver, Raft, catalogue and log, over the simulated network
 * and disk, on virtual time.
 *
 * @module
 */
import assert from "node:assert/strict";
import { type NodeId, Random } from "../../src/base/mod.ts";
import { limitEntries } from "../../src/core/raft/mod.ts";
import type { Outcome } from "../../src/core/catalogue/mod.ts";
import type { Group } from "../../src/group/group.ts";
import { DiskRoom } from "../../src/group/disk_room.ts";
import { openGroup } from "../../src/group/open_group.ts";
import type { GroupTiming } from "../../src/group/timing.ts";
import type { Clock, Transport } from "../../src/ports/mod.ts";
import type { CatalogueCommand } from "../../src/protocol/mod.ts";
import { openWal } from "../../src/storage/mod.ts";
import { SimulatedDisk } from "../sim/simulated_disk.ts";
import { RecordingTelemetry } from "./scripted_client.ts";
import { SimulatedNetwork } from "./simulated_transport.ts";

/** Virtual milliseconds that any healthy group needs to elect a leader, with room to spare. */
const ELECTION_MS = 5_000;
const STEP_MS = 10;

/** The id of node `number`. */
export function groupNodeId(number: number): NodeId {
  return number.toString(16).padStart(16, "0") as NodeId;
}

/** A change of a setting: the smallest command there is. */
export function putSetting(key: string, value: string, expected?: number): CatalogueCommand {
  return { kind: "put_setting", key, value, expected };
}

interface Member {
  disk: SimulatedDisk;
  group: Group | undefined;
  transport: Transport | undefined;
}

/** What waits for a process that stands still. */
interface Held {
  readonly timers: (() => void)[];
  readonly frames: (() => void)[];
}

/** How a {@link GroupWorld} is made. */
export interface GroupWorldOptions {
  readonly seed?: number;
  readonly timing?: Partial<GroupTiming>;
}

/** Nodes are called by number, from 1. */
export class GroupWorld {
  readonly network: SimulatedNetwork;
  readonly telemetry = new RecordingTelemetry();
  /** Timers of each node's group that came due. */
  readonly wakeUps = new Map<number, number>();
  readonly #members = new Map<number, Member>();
  readonly #paused = new Map<number, Held>();
  readonly #voters: readonly number[];
  readonly #random: Random;
  readonly #options: GroupWorldOptions;

  private constructor(voters: readonly number[], options: GroupWorldOptions) {
    this.#voters = voters;
    this.#options = options;
    this.#random = new Random(options.seed ?? 1);
    this.network = new SimulatedNetwork({ seed: options.seed ?? 1 });
  }

  /** A group of `count` founding voters, all running. */
  static async start(count: number, options: GroupWorldOptions = {}): Promise<GroupWorld> {
    const numbers = Array.from({ length: count }, (_, index) => index + 1);
    const world = new GroupWorld(numbers, options);
    for (const number of numbers) await world.boot(number);
    return world;
  }

  get clock(): Clock {
    return this.network.clock;
  }

  get numbers(): readonly number[] {
    return [...this.#members.keys()];
  }

  /** The running part of a node. */
  group(number: number): Group {
    const { group } = this.#member(number);
    assert.ok(group !== undefined, `node ${number} does not run`);
    return group;
  }

  isRunning(number: number): boolean {
    return this.#member(number).group !== undefined;
  }

  disk(number: number): SimulatedDisk {
    return this.#member(number).disk;
  }

  /** Starts a node on what its disk holds; one that is not a founder and has no log waits to be let in. */
  async boot(number: number): Promise<void> {
    const member = this.#members.get(number) ??
      { disk: new SimulatedDisk(), group: undefined, transport: undefined };
    this.#members.set(number, member);
    const nodeId = groupNodeId(number);
    const room = new DiskRoom({ clock: this.clock, log: this.telemetry });
    let damage: string | undefined;
    const onDamaged = ({ message }: Error) => void (damage = message);
    const store = await openWal(member.disk, { owner: nodeId, limitEntries, room, onDamaged });
    const transport = this.network.open(nodeId, `n${number}`, {
      onDatagram: () => {},
      onFrame: (from, _channel, bytes) =>
        this.#orWhenResumed(number, "frames", () => member.group?.receive(from, bytes)),
      onStream: (stream) => stream.reset(),
      onSendFailed: (to) => member.group?.reportUnreachable(to),
      onConnectionLost: (peer) => member.group?.reportUnreachable(peer),
    });
    const isFounder = this.#voters.includes(number);
    member.transport = transport;
    member.group = await openGroup({
      nodeId,
      store,
      damage,
      room,
      transport,
      addressOf: (id) => `n${parseInt(id, 16)}`,
      clock: this.#clockOf(number),
      random: this.#random.fork(),
      log: this.telemetry,
      metrics: this.telemetry,
      ...(this.#options.timing === undefined ? {} : { timing: this.#options.timing }),
      ...(isFounder ? { founding: { voters: this.#voters.map(groupNodeId) } } : {}),
    });
  }

  #clockOf(number: number): Clock {
    const { clock } = this;
    return {
      nowMs: () => clock.nowMs(),
      monotonicMs: () => clock.monotonicMs(),
      after: (delayMs, callback) =>
        clock.after(delayMs, () => {
          this.wakeUps.set(number, (this.wakeUps.get(number) ?? 0) + 1);
          this.#orWhenResumed(number, "timers", callback);
        }),
    };
  }

  #orWhenResumed(number: number, what: keyof Held, act: () => void): void {
    const held = this.#paused.get(number);
    if (held === undefined) act();
    else held[what].push(act);
  }

  /** The process stands still: its timers and what is sent to it wait. */
  pause(number: number): void {
    this.#paused.set(number, { timers: [], frames: [] });
  }

  /** Timers that came due run first, as an event loop has it; frames are there a moment later. */
  async resume(number: number): Promise<void> {
    const held = this.#paused.get(number);
    this.#paused.delete(number);
    for (const callback of held?.timers ?? []) callback();
    await this.advance(STEP_MS);
    for (const receive of held?.frames ?? []) receive();
  }

  /** The process dies; `power`: and with it what the disk had not synced. */
  crash(number: number, options: { readonly power: boolean } = { power: true }): void {
    const member = this.#member(number);
    this.network.crash(groupNodeId(number));
    // From here on nobody writes to the old disk's bytes: the dead driver's calls go nowhere.
    const survivor = options.power ? member.disk.crash(this.#random) : member.disk.killProcess();
    const dead = member.group;
    member.disk = survivor;
    member.group = undefined;
    void dead?.close();
  }

  /** Ends a node in order. */
  async stop(number: number): Promise<void> {
    const member = this.#member(number);
    await member.group?.close();
    await member.transport?.close();
    member.group = undefined;
  }

  /** Nothing passes between these and all others. */
  isolate(...numbers: readonly number[]): void {
    const others = this.numbers.filter((number) => !numbers.includes(number));
    this.network.partition(numbers.map(groupNodeId), others.map(groupNodeId));
  }

  advance(durationMs: number): Promise<void> {
    return this.network.advance(durationMs);
  }

  /** Lets time pass until something holds. */
  async until(what: string, holds: () => boolean, limitMs = ELECTION_MS): Promise<void> {
    for (let passedMs = 0; !holds(); passedMs += STEP_MS) {
      assert.ok(passedMs < limitMs, `${what}: not within ${limitMs} virtual ms`);
      await this.advance(STEP_MS);
    }
  }

  /** Lets time pass until a promise settles. */
  async settle<T>(promise: Promise<T>, limitMs = 20_000): Promise<T> {
    let isSettled = false;
    const note = () => void (isSettled = true);
    promise.then(note, note);
    await this.until("a promise settles", () => isSettled, limitMs);
    return await promise;
  }

  /** The number of the one that leads those in `among`, once all of them agree. */
  async elected(among: readonly number[] = this.numbers): Promise<number> {
    const running = () => among.filter((number) => this.isRunning(number));
    const leaderOf = (number: number) => this.group(number).view().leader;
    const agreed = () => {
      const [first] = running();
      if (first === undefined) return undefined;
      const leader = leaderOf(first);
      if (leader === undefined || !running().every((number) => leaderOf(number) === leader)) return;
      const number = parseInt(leader, 16);
      return among.includes(number) && this.isRunning(number) &&
          this.group(number).view().role === "leader"
        ? number
        : undefined;
    };
    await this.until("a leader is elected", () => agreed() !== undefined);
    const leader = agreed();
    assert.ok(leader !== undefined);
    return leader;
  }

  /** Proposes through a node and waits. */
  propose(number: number, command: CatalogueCommand, timeoutMs = 10_000): Promise<Outcome> {
    return this.settle(this.group(number).propose(command, { timeoutMs }));
  }

  /** What a linearizable read of a setting gives. */
  read(number: number, key: string, timeoutMs = 5_000): Promise<string | undefined> {
    const look = () =>
      this.group(number).read((catalogue) => catalogue.findSetting(key)?.value, { timeoutMs });
    return this.settle(look());
  }

  /** All running nodes have applied the same and hold the same. */
  async converged(among: readonly number[] = this.numbers): Promise<string> {
    const running = among.filter((number) => this.isRunning(number));
    const catalogues = () => running.map((number) => this.group(number).catalogue);
    await this.until("all applied the same", () => {
      const [first, ...rest] = catalogues().map(({ appliedIndex }) => appliedIndex);
      return rest.every((index) => index === first);
    });
    const hashes = new Set(catalogues().map((catalogue) => catalogue.stateHash()));
    assert.equal(hashes.size, 1, "states differ");
    return [...hashes][0] ?? "";
  }

  async close(): Promise<void> {
    for (const { group } of this.#members.values()) await group?.close();
    this.network.close();
  }

  #member(number: number): Member {
    const member = this.#members.get(number);
    assert.ok(member !== undefined, `there is no node ${number}`);
    return member;
  }
}
