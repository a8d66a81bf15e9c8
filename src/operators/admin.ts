import {
  errorMessage,
  invalidRequest,
  isEdgeError,
  type NodeId,
  pause,
  RequestError,
  UnavailableError,
} from "../base/mod.ts";
import {
  admittedMembers,
  type Catalogue,
  drainKey,
  isOwnSetting,
  leaveKey,
  type MemberRow,
  type Outcome,
  survivesWithout,
} from "../core/catalogue/mod.ts";
import { readSleep, sleepKey, writeSleep } from "../core/sleeping/mod.ts";
import type { ChangesStanding } from "../core/voting/mod.ts";
import type { RaftView } from "../core/raft/mod.ts";
import type {
  AuditRowView,
  Clock,
  ClusterAdmin,
  ClusterStatus,
  ConnectionView,
  GroupRole,
  IncidentWish,
  KeyLimits,
  KeyRowView,
  KeyWish,
  LeaveOutcome,
  MemberLoad,
  MemberStatus,
  ModelPlacement,
  PeerAddress,
  QueueRowView,
  RecoveryView,
  RouteExplanation,
  ServedLease,
  TokenRowView,
  WebTransportContact,
} from "../ports/mod.ts";
import { type CatalogueCommand, type DeviceFacts, parseModelName } from "../protocol/mod.ts";
import {
  type CatalogueGroup,
  CHANGE_TIMEOUT_MS,
  type Fence,
  READ_TIMEOUT_MS,
} from "../group/mod.ts";
import { changesView } from "./changes_view.ts";
import type { Credentials } from "./credentials.ts";
import { viewRecovery } from "./recovery.ts";
import { refusal } from "./refusals.ts";
import { feedStatus } from "./status_feed.ts";

/** How long a leaving node waits for the others to do without it. */
const LEAVE_TIMEOUT_MS = 30_000;
/** How long a leaving node waits to be told that its row is gone, each time it asks for that. */
const REMOVE_SELF_TIMEOUT_MS = 500;
const REMOVE_SELF_ATTEMPTS_MAX = 10;
/** How long a leaving node waits to hear that others hold what it holds, and how often it looks. */
const INVENTORY_TIMEOUT_MS = 2_000;
const INVENTORY_LOOK_MS = 100;
/** Models named in a refusal; the rest is counted. */
const MODELS_NAMED_MAX = 5;

/** Nothing is wrong with such a member. */
const SOUND: ReadonlySet<string> = new Set(["alive", "asleep", "revoked"]);
/** How long a node that is told to sleep may take until it does, or says why not. */
const SLEEP_TIMEOUT_MS = 45_000;
/** How often that is looked at. */
const SLEEP_LOOK_MS = 100;

/** The group as operators need it. */
export interface AdminGroup extends CatalogueGroup {
  readonly fenced: Pick<Fence, "kind" | "reason"> | undefined;
  view(): RaftView;
  /** Calls back after each change of role, leader or configuration; returns how to stop. */
  onChanged(listener: () => void): () => void;
}

/** What gossip knows of a node. */
export interface SeenMember {
  readonly standing: "alive" | "suspect" | "down" | "left";
  /** It is alive, but takes no part in the log's group. */
  readonly isFenced?: boolean;
  /** On purpose. */
  readonly isAsleep?: boolean;
  /** It takes nothing new, because other programs use its machine. */
  readonly yields?: boolean;
  readonly address: string;
  readonly api?: string | undefined;
  readonly cores?: number | undefined;
  readonly diskFreeBytes?: number | undefined;
  readonly version: string;
  /** What it computes with beside its cores; absent = nothing. */
  readonly devices?: readonly DeviceFacts[];
  readonly load: MemberLoad | undefined;
}

/** What the operator's view is put together from. */
export interface AdminParts {
  readonly self: {
    readonly nodeId: NodeId;
    readonly clusterId: string;
    readonly name: string;
    readonly version: string;
  };
  readonly group: AdminGroup;
  /** Whether the cluster takes changes. */
  readonly changes: () => ChangesStanding;
  readonly credentials: Credentials;
  /** Who waits and runs on this node, least served first. */
  readonly tenants: () => readonly QueueRowView[];
  /** This node included; undefined when gossip has never met it. */
  readonly seen: (nodeId: NodeId) => SeenMember | undefined;
  readonly clock: Clock;
  /** Tells the other members, drops what binds this node to the cluster, and stops it. */
  readonly depart: () => Promise<void>;
  /** Has this node's next start found a cluster of its own, and stops it. */
  readonly recover: () => Promise<void>;
  /** What is known of recoveries elsewhere, for people. */
  readonly warnings: () => readonly string[];
  readonly connections: () => readonly ConnectionView[];
  /** Milliseconds there and back, of those that were measured. */
  readonly roundTrips: (peers: readonly PeerAddress[]) => Promise<ReadonlyMap<NodeId, number>>;
  /** Names of models of which no other member that is alive and stays holds a copy. */
  readonly modelsHereAlone: () => readonly string[];
  readonly webTransport: () => WebTransportContact;
  readonly logs: ClusterAdmin["logs"];
  readonly saveIncident: ClusterAdmin["saveIncident"];
  /** Wakes a member's machine; resolves with the milliseconds that took. @throws as `WakeDriver.wake`. */
  readonly wake: (nodeId: NodeId) => Promise<number>;
  /** Absent = nothing is routed here. */
  readonly routes?: Pick<ClusterAdmin, "explain" | "served">;
  readonly placement: ClusterAdmin["placement"];
  readonly backendFile: ClusterAdmin["backendFile"];
}

/** Answers operators from the catalogue, the log's group and gossip; changes go through the log. */
export class Admin implements ClusterAdmin {
  readonly #parts: AdminParts;
  #hash: { readonly index: number; readonly text: string } | undefined;

  constructor(parts: AdminParts) {
    this.#parts = parts;
  }

  status(): Promise<ClusterStatus> {
    const { group, self } = this.#parts;
    const view = group.view();
    const members = group.catalogue.members().map((row) => this.#member(row, view));
    members.sort((a, b) => (a.name + a.nodeId < b.name + b.nodeId ? -1 : 1));
    return Promise.resolve({
      ...self,
      health: this.#health(members, view),
      leader: view.leader,
      changes: changesView(this.#parts.changes()),
      term: view.term,
      committedIndex: view.committed,
      appliedIndex: group.catalogue.appliedIndex,
      stateHash: this.#stateHash(),
      members,
      warnings: this.#parts.warnings(),
    });
  }

  createToken(
    wanted: { readonly lifetimeMs: number; readonly uses: number },
  ): Promise<TokenRowView & { readonly token: string }> {
    return this.#parts.credentials.createToken(wanted);
  }

  listTokens(): Promise<readonly TokenRowView[]> {
    return this.#parts.credentials.listTokens();
  }

  revokeToken(tokenId: string): Promise<void> {
    return this.#parts.credentials.revokeToken(tokenId);
  }

  createKey(wish: KeyWish): Promise<KeyRowView & { readonly key: string }> {
    return this.#parts.credentials.createKey(wish);
  }

  audit(limit: number): Promise<readonly AuditRowView[]> {
    return this.#read((catalogue) => limit === 0 ? [] : catalogue.audit().slice(-limit));
  }

  listKeys(): Promise<readonly KeyRowView[]> {
    return this.#parts.credentials.listKeys();
  }

  revokeKey(keyId: string): Promise<void> {
    return this.#parts.credentials.revokeKey(keyId);
  }

  limitKey(keyId: string, limits: Partial<KeyLimits>): Promise<KeyLimits> {
    return this.#parts.credentials.limitKey(keyId, limits);
  }

  queue(): readonly QueueRowView[] {
    return this.#parts.tenants();
  }

  watch(signal: AbortSignal): AsyncIterable<ClusterStatus> {
    return feedStatus(() => this.status(), this.#parts.clock, signal);
  }

  webTransport(): WebTransportContact {
    return this.#parts.webTransport();
  }

  async drain(node: string): Promise<void> {
    const { nodeId } = await this.#resolve(node);
    await this.#change(
      { kind: "put_setting", key: drainKey(nodeId), value: "1", expected: undefined },
      `drain "${node}"`,
    );
  }

  async undrain(node: string): Promise<void> {
    const { nodeId } = await this.#resolve(node);
    await this.#dropSetting(drainKey(nodeId), `undrain "${node}"`);
  }

  async pin(node: string, model: string): Promise<void> {
    await this.#setPin("pin_model", node, model);
  }

  async unpin(node: string, model: string): Promise<void> {
    await this.#setPin("unpin_model", node, model);
  }

  async #setPin(
    kind: "pin_model" | "unpin_model",
    node: string,
    model: string,
  ): Promise<void> {
    const name = parseModelName(model);
    if (name === undefined) throw invalidRequest(`"${model}" is no model's name`);
    const { nodeId } = await this.#resolve(node);
    const outcome = await this.#propose({ kind, name, nodeId });
    if (outcome.kind !== "refused") return;
    // Nothing is taken off what is not there.
    if (outcome.reason !== "not_found") throw refusal(outcome.reason, `pin "${model}"`);
    if (kind === "pin_model") {
      throw new RequestError("model_not_found", `model '${model}' not found`);
    }
  }

  recovery(): RecoveryView {
    return viewRecovery(this.#parts);
  }

  async recover(): Promise<RecoveryView> {
    const view = viewRecovery(this.#parts);
    if (view.refusal !== undefined) {
      throw new RequestError("conflict", `cannot recover: ${view.refusal}`);
    }
    await this.#parts.recover();
    return view;
  }

  async sleep(node: string): Promise<void> {
    const { nodeId } = await this.#resolve(node);
    const key = sleepKey(nodeId);
    const value = writeSleep({ state: "wished", reason: "", holds: [] });
    const { group, seen, clock } = this.#parts;
    if (seen(nodeId)?.isAsleep) return;
    await this.#change({ kind: "put_setting", key, value, expected: undefined }, `sleep "${node}"`);
    const deadlineMs = clock.monotonicMs() + SLEEP_TIMEOUT_MS;
    for (;;) {
      const sleep = readSleep(group.catalogue.findSetting(key)?.value);
      if (sleep?.state === "asleep") return;
      if (sleep?.state === "refused") {
        await this.#dropSetting(key, `sleep "${node}"`);
        throw new RequestError("conflict", `"${node}" stays awake: ${sleep.reason}`);
      }
      if (sleep === undefined) throw new RequestError("conflict", `"${node}" stays awake`);
      if (clock.monotonicMs() >= deadlineMs) {
        await this.#dropSetting(key, `sleep "${node}"`);
        throw new UnavailableError("node_unreachable", `"${node}" does not answer`);
      }
      await pause(clock, SLEEP_LOOK_MS);
    }
  }

  async wake(node: string): Promise<{ readonly tookMs: number }> {
    const { nodeId } = await this.#resolve(node);
    if (nodeId === this.#parts.self.nodeId) return { tookMs: 0 };
    return { tookMs: await this.#parts.wake(nodeId) };
  }

  async leave({ force } = { force: false }): Promise<LeaveOutcome> {
    let outcome: LeaveOutcome = {};
    try {
      await this.#leaveInOrder({ force });
    } catch (error) {
      if (!force || !isEdgeError(error)) throw error;
      // Whoever rules this machine need not ask the others, who may be gone for good or have shut it out.
      outcome = { untold: errorMessage(error) };
    }
    await this.#parts.depart();
    return outcome;
  }

  async #leaveInOrder({ force }: { readonly force: boolean }): Promise<void> {
    const { group, self } = this.#parts;
    const { nodeId } = self;
    const others = admittedMembers(group.catalogue, nodeId);
    if (others.length === 0) {
      throw new RequestError(
        "conflict",
        "the only member of a cluster cannot leave it, except with --force: then it begins a new one",
      );
    }
    if (!force) await this.#checkNothingIsLost();
    await this.#change(
      { kind: "put_setting", key: leaveKey(nodeId), value: "1", expected: undefined },
      "leave",
    );
    // Whoever leads must be told by a member: once the row is gone, the others hang up.
    await this.#untilNoVoter(nodeId);
    await this.#removeSelf(nodeId);
  }

  /** Gossip may take a moment to tell what the others hold. */
  async #checkNothingIsLost(): Promise<void> {
    const { modelsHereAlone, clock } = this.#parts;
    const deadlineMs = clock.monotonicMs() + INVENTORY_TIMEOUT_MS;
    let alone = modelsHereAlone();
    while (alone.length > 0 && clock.monotonicMs() < deadlineMs) {
      await pause(clock, INVENTORY_LOOK_MS);
      alone = modelsHereAlone();
    }
    if (alone.length === 0) return;
    const named = alone.slice(0, MODELS_NAMED_MAX).join(", ");
    const more = alone.length - MODELS_NAMED_MAX;
    throw new RequestError(
      "conflict",
      `cannot leave: no other member that is alive holds ${named}${
        more > 0 ? ` and ${more} more` : ""
      }; ` +
        `wait until copied, or lose them with --force`,
    );
  }

  /**
   * The others hang up as soon as they have applied it, which mostly comes before this node learns of it: then silence, and
   * nobody left to talk to, are the answer.
   */
  async #removeSelf(nodeId: NodeId): Promise<void> {
    for (let attempt = 1;; attempt++) {
      try {
        const command = { kind: "remove_member", nodeId } as const;
        await this.#parts.group.propose(command, { timeoutMs: REMOVE_SELF_TIMEOUT_MS });
        return;
      } catch (error) {
        if (!(error instanceof UnavailableError)) throw error;
        if (this.#parts.connections().length === 0) return;
        if (attempt === REMOVE_SELF_ATTEMPTS_MAX) throw error;
      }
    }
  }

  async removeMember(node: string): Promise<void> {
    const { nodeId } = await this.#resolve(node);
    if (nodeId === this.#parts.self.nodeId) {
      throw new RequestError("conflict", "a node takes itself out with leave");
    }
    if (this.#parts.seen(nodeId)?.standing === "alive") {
      throw new RequestError(
        "conflict",
        `member "${node}" is alive: stop it first, let it leave, or revoke it`,
      );
    }
    await this.#change({ kind: "remove_member", nodeId }, `remove "${node}"`);
  }

  async revokeMember(node: string): Promise<void> {
    const { nodeId } = await this.#resolve(node);
    if (nodeId === this.#parts.self.nodeId) {
      throw new RequestError("conflict", "a node cannot revoke itself: ask another one");
    }
    const { configuration } = this.#parts.group.view();
    if (!survivesWithout(configuration, nodeId, (voter) => this.#lives(voter))) {
      throw new RequestError(
        "conflict",
        `cannot revoke "${node}": it votes, and without it no quorum of voters would be left to ` +
          `replace it: bring back another voter first`,
      );
    }
    const atMs = this.#parts.clock.nowMs();
    await this.#change({ kind: "revoke_member", nodeId, atMs }, `revoke "${node}"`);
  }

  async listSettings(): Promise<readonly { readonly key: string; readonly value: string }[]> {
    const rows = await this.#read((catalogue) => catalogue.settings());
    return rows.filter(({ key }) => !isOwnSetting(key)).map(({ key, value }) => ({ key, value }));
  }

  async putSetting(setting: { readonly key: string; readonly value: string }): Promise<void> {
    checkSettable(setting.key);
    const command = { kind: "put_setting", ...setting, expected: undefined } as const;
    await this.#change(command, `set "${setting.key}"`);
  }

  async deleteSetting(key: string): Promise<void> {
    checkSettable(key);
    const outcome = await this.#propose({ kind: "delete_setting", key, expected: undefined });
    if (outcome.kind === "refused") throw refusal(outcome.reason, `unset "${key}"`);
  }

  backendFile(packageName: string, file: string): ReturnType<ClusterAdmin["backendFile"]> {
    return this.#parts.backendFile(packageName, file);
  }

  async saveSnapshot(): Promise<Uint8Array> {
    return await this.#read((catalogue) => catalogue.snapshot());
  }

  saveIncident(wish: IncidentWish): Promise<Uint8Array> {
    return this.#parts.saveIncident(wish);
  }

  async connections(): Promise<readonly ConnectionView[]> {
    const { connections, roundTrips, seen } = this.#parts;
    const rows = connections();
    const peers = rows.map(({ peer }) => ({ nodeId: peer, address: seen(peer)?.address ?? "" }));
    const trips = await roundTrips(peers);
    return rows.map((row) => ({ ...row, roundTripMs: trips.get(row.peer) }));
  }

  explain(requestId: string): readonly RouteExplanation[] {
    return this.#parts.routes?.explain(requestId) ?? [];
  }

  served(requestId: string): readonly ServedLease[] {
    return this.#parts.routes?.served(requestId) ?? [];
  }

  placement(): readonly ModelPlacement[] {
    return this.#parts.placement();
  }

  logs(
    wanted: { readonly lines: number; readonly follow: boolean },
    signal: AbortSignal,
  ): AsyncIterable<Readonly<Record<string, unknown>>> {
    return this.#parts.logs(wanted, signal);
  }

  #member(row: MemberRow, view: RaftView): MemberStatus {
    const { group, seen } = this.#parts;
    const known = seen(row.nodeId);
    const peer = view.peers.find(({ id }) => id === row.nodeId);
    return {
      nodeId: row.nodeId,
      name: row.label,
      address: known?.address ?? "",
      api: known?.api,
      cores: known?.cores,
      diskFreeBytes: known?.diskFreeBytes,
      health: healthOf(row, known),
      role: roleOf(row.nodeId, view),
      drained: group.catalogue.findSetting(drainKey(row.nodeId)) !== undefined,
      yields: known?.yields ?? false,
      version: known?.version ?? "",
      matchIndex: peer?.match,
      devices: known?.devices ?? [],
      load: known?.load,
    };
  }

  #lives(nodeId: NodeId): boolean {
    const { self, seen } = this.#parts;
    return nodeId === self.nodeId || seen(nodeId)?.standing === "alive";
  }

  #health(members: readonly MemberStatus[], view: RaftView): ClusterStatus["health"] {
    if (this.#parts.group.fenced !== undefined) return "fenced";
    if (view.leader === undefined) return "no_quorum";
    const doubted = members.some(({ health }) => !SOUND.has(health));
    return doubted || members.length === 0 ? "degraded" : "healthy";
  }

  /** Computed once per index: it costs a pass over the whole state. */
  #stateHash(): string {
    const { catalogue } = this.#parts.group;
    const index = catalogue.appliedIndex;
    if (this.#hash?.index !== index) this.#hash = { index, text: catalogue.stateHash() };
    return this.#hash.text;
  }

  /** By id, a unique beginning of it, or a unique name. */
  async #resolve(node: string): Promise<MemberRow> {
    const rows = await this.#read((catalogue) => catalogue.members());
    const exact = rows.filter(({ nodeId, label }) => nodeId === node || label === node);
    const found = exact.length > 0 || node === ""
      ? exact
      : rows.filter(({ nodeId }) => nodeId.startsWith(node));
    const [first, ...more] = found;
    if (first === undefined) {
      throw new RequestError("member_not_found", `there is no member "${node}"`);
    }
    if (more.length > 0) {
      throw new RequestError("conflict", `"${node}" names ${found.length} members: use the id`);
    }
    return first;
  }

  /** Resolves once the group can do without the node's vote. */
  async #untilNoVoter(nodeId: NodeId): Promise<void> {
    const { group, clock } = this.#parts;
    const done = Promise.withResolvers<void>();
    const look = () => {
      const { configuration } = group.view();
      const voters = [...configuration.voters, ...configuration.votersOutgoing];
      if (!voters.includes(nodeId)) done.resolve();
    };
    const stop = group.onChanged(look);
    const timer = clock.after(LEAVE_TIMEOUT_MS, () =>
      done.reject(
        new UnavailableError(
          "no_quorum",
          `cannot leave: no other member took over this node's vote within ${
            LEAVE_TIMEOUT_MS / 1000
          } s`,
        ),
      ));
    look();
    try {
      await done.promise;
    } finally {
      stop();
      timer.cancel();
    }
  }

  async #dropSetting(key: string, action: string): Promise<void> {
    const outcome = await this.#propose({ kind: "delete_setting", key, expected: undefined });
    if (outcome.kind === "refused" && outcome.reason !== "not_found") {
      throw refusal(outcome.reason, action);
    }
  }

  async #change(command: CatalogueCommand, action: string): Promise<void> {
    const outcome = await this.#propose(command);
    if (outcome.kind === "refused") throw refusal(outcome.reason, action);
  }

  #propose(command: CatalogueCommand): Promise<Outcome> {
    return this.#parts.group.propose(command, { timeoutMs: CHANGE_TIMEOUT_MS });
  }

  #read<T>(look: (catalogue: Catalogue) => T): Promise<T> {
    return this.#parts.group.read(look, { timeoutMs: READ_TIMEOUT_MS });
  }
}

/** @throws RequestError `invalid_request`. */
function checkSettable(key: string): void {
  if (!isOwnSetting(key)) return;
  throw invalidRequest(`"${key}" is kept by the cluster itself`);
}

function healthOf(row: MemberRow, known: SeenMember | undefined): MemberStatus["health"] {
  if (row.standing === "revoked") return "revoked";
  if (known === undefined) return "pending";
  if (known.isAsleep) return "asleep";
  return known.standing === "alive" && known.isFenced ? "fenced" : known.standing;
}

function roleOf(nodeId: NodeId, view: RaftView): GroupRole {
  if (view.leader === nodeId) return "leader";
  const { voters, votersOutgoing, learners, learnersNext } = view.configuration;
  if (voters.includes(nodeId) || votersOutgoing.includes(nodeId)) return "voter";
  return learners.includes(nodeId) || learnersNext.includes(nodeId) ? "learner" : "none";
}
