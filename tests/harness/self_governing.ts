/**
 * Nodes that watch each other, agree on a log and keep its voters right: the shipped drivers of membership, group and
 * voters together, over the simulated network and disk, on virtual time. Nothing serves models here.
 *
 * @module
 */
import assert from "node:assert/strict";
import { type Incarnation, type NodeId, Random } from "../../src/base/mod.ts";
import { drainKey, leaveKey, VOTERS_DEFAULTS } from "../../src/core/catalogue/mod.ts";
import { MEMBERSHIP_PRESETS } from "../../src/core/membership/mod.ts";
import { limitEntries } from "../../src/core/raft/mod.ts";
import { type MembershipDriver, openMembership } from "../../src/members/membership_driver.ts";
import { VotersDriver } from "../../src/members/voters_driver.ts";
import type { Group } from "../../src/group/group.ts";
import { openGroup } from "../../src/group/open_group.ts";
import type { Transport } from "../../src/ports/mod.ts";
import type { CatalogueCommand } from "../../src/protocol/mod.ts";
import { openWal } from "../../src/storage/mod.ts";
import { SimulatedDisk } from "../sim/simulated_disk.ts";
import { groupNodeId } from "./groups.ts";
import { RecordingTelemetry } from "./scripted_client.ts";
import { SimulatedNetwork } from "./simulated_transport.ts";

/** What runs of a node. */
interface Life {
  readonly transport: Transport;
  readonly group: Group;
  readonly membership: MembershipDriver;
  readonly voters: VotersDriver;
}

interface SimulatedNode {
  disk: SimulatedDisk;
  bootEpoch: number;
  life: Life | undefined;
}

/** Nodes are called by number, from 1; node 1 founds the cluster. */
export class SelfGoverningCluster implements AsyncDisposable {
  readonly network: SimulatedNetwork;
  readonly telemetry = new RecordingTelemetry();
  readonly #nodes = new Map<number, SimulatedNode>();
  readonly #random: Random;

  private constructor(seed: number) {
    this.network = new SimulatedNetwork({ seed });
    this.#random = new Random(seed);
  }

  /** A cluster of `count`, in which all have been let in and nothing is settled yet. */
  static async start(count: number, seed = 1): Promise<SelfGoverningCluster> {
    const cluster = new SelfGoverningCluster(seed);
    await cluster.boot(1);
    await cluster.until("node 1 leads", () => cluster.group(1).view().role === "leader");
    await cluster.admit(1);
    for (let number = 2; number <= count; number++) await cluster.join(number);
    return cluster;
  }

  group(number: number): Group {
    return this.#life(number).group;
  }

  /** Ids' numbers, as a running node has applied the configuration. */
  voters(number: number): readonly number[] {
    const { voters, votersOutgoing } = this.group(number).view().configuration;
    return [...new Set([...voters, ...votersOutgoing])].map((id) => parseInt(id, 16)).sort();
  }

  /** The number of the node that leads, when the running ones agree. */
  leader(): number | undefined {
    const leaders = this.#running().map((number) => this.group(number).view().leader);
    const [first] = leaders;
    if (first === undefined || leaders.some((leader) => leader !== first)) return undefined;
    return parseInt(first, 16);
  }

  /** A new node is let in and starts. */
  async join(number: number): Promise<void> {
    await this.admit(number);
    await this.boot(number);
  }

  /** Puts a node into the catalogue, through any node that runs. */
  async admit(number: number): Promise<void> {
    const nodeId = groupNodeId(number);
    const publicKey = new Uint8Array(64).fill(number);
    const row = { nodeId, publicKey, label: `n${number}`, tokenId: undefined, atMs: 0 };
    await this.propose({ kind: "admit_member", ...row });
  }

  /** Says in the catalogue that the others should do without a node. */
  async leave(number: number): Promise<void> {
    const key = leaveKey(groupNodeId(number));
    await this.propose({ kind: "put_setting", key, value: "1", expected: undefined });
  }

  async propose(command: CatalogueCommand): Promise<void> {
    const [number = 0] = this.#running();
    const answer = this.group(number).propose(command, { timeoutMs: 20_000 });
    let outcome: string | undefined;
    answer.then(({ kind }) => outcome = kind, () => outcome = "lost");
    await this.until("a change is answered", () => outcome !== undefined, 30_000);
    assert.equal(outcome, "applied");
  }

  /** Starts a node on what its disk holds. */
  async boot(number: number): Promise<void> {
    const node = this.#nodes.get(number) ??
      { disk: new SimulatedDisk(), bootEpoch: 0, life: undefined };
    this.#nodes.set(number, node);
    node.bootEpoch++;
    const nodeId = groupNodeId(number);
    const store = await openWal(node.disk, { owner: nodeId, limitEntries });
    const transport = this.network.open(nodeId, `n${number}`, {
      onDatagram: (from, bytes) => node.life?.membership.receiveDatagram(from, bytes),
      onFrame: (from, channel, bytes) => {
        if (channel === "raft") node.life?.group.receive(from, bytes);
        else node.life?.membership.receiveFrame(from, bytes);
      },
      onStream: (stream) => stream.reset(),
      onSendFailed: (to, what) => {
        if (what === "raft") node.life?.group.reportUnreachable(to);
        else node.life?.membership.sendFailed(to, what);
      },
      onConnectionLost: (peer) => node.life?.membership.connectionLost(peer),
    });
    const { clock } = this.network;
    const random = this.#random.fork();
    const shared = { clock, log: this.telemetry, metrics: this.telemetry };
    const group = await openGroup({
      nodeId,
      store,
      transport,
      addressOf: (id) => `n${parseInt(id, 16)}`,
      random,
      ...shared,
      ...(number === 1 ? { founding: { voters: [nodeId] } } : {}),
    });
    const membership = openMembership({
      nodeId,
      address: `n${number}`,
      bootEpoch: node.bootEpoch,
      incarnation: 0 as Incarnation,
      timing: MEMBERSHIP_PRESETS.lan,
      transport,
      random: random.fork(),
      ...shared,
      saveIdentity: () => Promise.resolve(),
      onFailed: ({ kind }) => assert.fail(kind),
    });
    const voters = this.#openVoters(nodeId, group, membership);
    node.life = { transport, group, membership, voters };
    const seeds = this.#running().filter((other) => other !== number).map(groupNodeId);
    membership.join(seeds.map((id) => ({ nodeId: id, address: `n${parseInt(id, 16)}` })));
  }

  /** As kill -9, with the power gone. */
  crash(number: number): void {
    const node = this.#nodes.get(number);
    if (node?.life === undefined) return;
    this.network.crash(groupNodeId(number));
    node.disk = node.disk.crash(this.#random);
    node.life.voters.close();
    node.life.membership.close();
    void node.life.group.close();
    node.life = undefined;
  }

  advance(durationMs: number): Promise<void> {
    return this.network.advance(durationMs);
  }

  /** Lets time pass until something holds; returns the virtual milliseconds that took. */
  async until(what: string, holds: () => boolean, limitMs = 10_000): Promise<number> {
    let passedMs = 0;
    for (; !holds(); passedMs += 10) {
      assert.ok(passedMs < limitMs, `${what}: not within ${limitMs} virtual ms`);
      await this.advance(10);
    }
    return passedMs;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { life } of this.#nodes.values()) {
      life?.voters.close();
      life?.membership.close();
      await life?.group.close();
    }
    this.network.close();
  }

  #openVoters(nodeId: NodeId, group: Group, membership: MembershipDriver): VotersDriver {
    const dutyOf = (id: NodeId) => {
      const has = (key: string) => group.catalogue.findSetting(key) !== undefined;
      return has(leaveKey(id)) ? "leaving" : has(drainKey(id)) ? "drained" : "serving";
    };
    const voters = new VotersDriver({
      nodeId,
      group,
      members: () =>
        group.catalogue.members().filter(({ standing }) => standing === "admitted")
          .map((row) => ({ nodeId: row.nodeId, duty: dutyOf(row.nodeId) })),
      standingOf: (id) => membership.find(id)?.standing,
      clock: this.network.clock,
      log: this.telemetry,
      metrics: this.telemetry,
      options: VOTERS_DEFAULTS,
    });
    membership.onMemberChanged(() => voters.look());
    group.onApplied(() => voters.look());
    return voters;
  }

  #running(): readonly number[] {
    return [...this.#nodes].filter(([, { life }]) => life !== undefined).map(([number]) => number);
  }

  #life(number: number): Life {
    const life = this.#nodes.get(number)?.life;
    assert.ok(life !== undefined, `node ${number} does not run`);
    return life;
  }
}
