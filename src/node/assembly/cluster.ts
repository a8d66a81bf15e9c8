import { errorMessage, isEdgeError, type NodeId } from "../../base/mod.ts";
import {
  admittedMembers,
  chooseHeir,
  drainKey,
  HANDOVER,
  handoverKey,
  leaveKey,
  type MemberRow,
  VOTERS_DEFAULTS,
} from "../../core/catalogue/mod.ts";
import { type ChangesStanding, describeMissing, judgeChanges } from "../../core/voting/mod.ts";
import type { HeartbeatWatch } from "../../core/membership/mod.ts";
import type { RaftView } from "../../core/raft/mod.ts";
import { CATALOGUE_SCHEMA, type MemberStanding } from "../../protocol/mod.ts";
import type { PeerAddress } from "../../ports/mod.ts";
import type { QuicTransport } from "../../transport/mod.ts";
import { type AppliedNews, type Group, READ_TIMEOUT_MS, RequestsGroup } from "../../group/mod.ts";
import type { SeenMember } from "../../operators/mod.ts";
import {
  apiOrigin,
  Gossip,
  type MembershipDriver,
  MemberViews,
  type PeerBook,
  SchemaRaiser,
  VoteHandover,
  VotersDriver,
} from "../../members/mod.ts";
import type { StreamRouter } from "../../calls/mod.ts";
import { MemberWatch, type ShutOut, shutOutText } from "../../admission/mod.ts";
import type { ClusterSettings, Figures, Machinery } from "./machinery.ts";

/** How long the founder's own row may take before it is tried again. */
const ADMIT_SELF_TIMEOUT_MS = 10_000;
const SECONDS_PER_MINUTE = 60;
/** How long a member that was taken out can still be told so. */
const LAST_WORD_MS = 1_000;
/** How long a stopping leader waits for another one to lead. */
const HAND_OVER_MS_MAX = 1_000;

/** What a node does when its cluster tells it something. */
export interface ClusterListeners {
  /** Entries or a snapshot were applied. */
  readonly onApplied: (news: AppliedNews) => void;
  /** Gossip suspects a member, or its last connection ended. */
  readonly onPeerDoubted: (nodeId: NodeId) => void;
  /** Gossip declared it dead, or it was shut out. */
  readonly onPeerGone: (nodeId: NodeId) => void;
}

/**
 * A running node's part in its cluster: the log's group, gossip, and what each tells the other. Decides nothing: who votes,
 * who is doubted and who may connect is the core's.
 */
export class Cluster {
  readonly group: Group;
  /** The group for what clients ask. */
  readonly requests: RequestsGroup;
  readonly transport: QuicTransport;
  readonly membership: MembershipDriver;
  readonly gossip: Gossip;
  readonly views: MemberViews;
  readonly router: StreamRouter;
  readonly settings: ClusterSettings;
  readonly #machinery: Machinery;
  readonly #voters: VotersDriver;
  readonly #handover: VoteHandover;
  readonly #schema: SchemaRaiser;
  readonly #book: PeerBook;
  readonly #watch = new MemberWatch();
  readonly #stops: (() => void)[] = [];
  #listeners: ClusterListeners | undefined;
  #closed = false;
  #kept = Promise.resolve();
  #released: Promise<void> | undefined;
  /** It has asked the others to do without it, so that its row's end is no surprise. */
  #leaves = false;
  #left = false;

  constructor(machinery: Machinery, figures: Figures) {
    const { settings, group, membership, clock, log, metrics } = machinery;
    this.#machinery = machinery;
    this.settings = settings;
    this.group = group;
    this.requests = new RequestsGroup(group, {
      whyLost: () => describeMissing(this.changes()),
      clock,
    });
    this.transport = machinery.transport;
    this.membership = membership;
    this.router = machinery.router;
    this.#book = machinery.book;
    const { nodeId } = settings.self;
    this.gossip = new Gossip({ nodeId, membership, clock, log, metrics, ...figures });
    const { gossip } = this;
    const { addressOf } = machinery;
    this.views = new MemberViews({ nodeId, group, membership, gossip, addressOf, clock });
    this.#voters = new VotersDriver({
      nodeId,
      group,
      members: () => admittedMembers(group.catalogue).map((row) => this.#candidate(row)),
      standingOf: (member) => membership.find(member)?.standing,
      ...{ clock, log, metrics, recorder: machinery.recorder },
      options: { ...VOTERS_DEFAULTS, replaceAfterMs: settings.replaceVotersAfterMs },
    });
    this.#handover = new VoteHandover({
      nodeId,
      group,
      others: () =>
        this.views.members().map(({ address, standing }) => ({
          nodeId: address.nodeId,
          standing: standing === "alive" || standing === "suspect" ? standing : "gone",
        })),
      clock,
      log,
    });
    this.#schema = new SchemaRaiser({
      group,
      schemas: () => admittedMembers(group.catalogue).map((row) => this.#schemaOf(row)),
      clock,
      log,
    });
    this.#stops.push(
      group.onChanged(() => this.gossip.tellFence(group.fenced?.kind)),
      group.onChanged(() => membership.watchHeartbeats(heartbeatWatchOf(group.view()))),
      group.onHeartbeat((news) => membership.heartbeat(news)),
      group.onApplied((news) => this.#onApplied(news)),
      membership.onMemberChanged(({ nodeId: member, member: view }) =>
        this.#onMemberChanged(member, view?.standing)
      ),
    );
  }

  /** Begins to listen and to tell. Members admitted before are met again. */
  start(listeners: ClusterListeners): void {
    this.#listeners = listeners;
    this.gossip.tellFacts(this.settings.facts);
    // Of one that is fenced from its start nothing changes any more.
    this.gossip.tellFence(this.group.fenced?.kind);
    this.#compareMembers();
    for (const { nodeId } of this.#machinery.lastKnown) this.membership.admit(nodeId);
    const known = this.#knownOthers();
    if (known.length > 0) this.membership.join(known);
    if (this.settings.founded) void this.#admitSelf();
    void this.#machinery.shutOut.then((standing) => {
      if (!this.#closed) return this.#expelled(standing);
    });
  }

  /** Where members were last, and those of whom that is not known: the transport may know where to look for them. */
  #knownOthers(): readonly PeerAddress[] {
    const { nodeId: self } = this.settings.self;
    const booked = this.#book.others(self);
    const others = this.views.others().filter(({ nodeId }) =>
      this.#book.find(nodeId) === undefined
    );
    return [...booked, ...others.map(({ nodeId }) => ({ nodeId, address: "" }))];
  }

  /** See `ClusterDefinitionsParts.catchUp`. */
  async catchUp(): Promise<"current" | "stale" | "never"> {
    const { consistency } = await this.group.readOrStale(() => {}, { waitMs: READ_TIMEOUT_MS });
    if (consistency === "linearizable") return "current";
    return this.group.catalogue.appliedIndex === 0 ? "never" : "stale";
  }

  /** Whether the cluster takes changes. */
  changes(): ChangesStanding {
    const { group, membership } = this;
    const { configuration, leader } = group.view();
    return judgeChanges({
      self: this.settings.self.nodeId,
      fenced: group.fenced?.reason,
      configuration,
      hasLeader: leader !== undefined,
      lostAtMs: group.quorumLostAtMs,
      isAlive: (voter) =>
        membership.find(voter)?.standing === "alive" && this.gossip.find(voter).fence === undefined,
      nameOf: (voter) => group.catalogue.findMember(voter)?.label || voter,
    });
  }

  /** It says goodbye, and may be back: see {@link rejoin}. */
  farewell(): Promise<void> {
    return this.membership.leave();
  }

  rejoin(): void {
    this.membership.join(this.#book.others(this.settings.self.nodeId));
  }

  /** Where a member listens; "" when unknown. */
  addressOf(nodeId: NodeId): string {
    return this.#machinery.addressOf(nodeId);
  }

  /** What gossip knows of a member, for people; this node included. */
  seen(nodeId: NodeId): SeenMember | undefined {
    const isSelf = nodeId === this.settings.self.nodeId;
    const member = isSelf ? this.membership.view().self : this.membership.find(nodeId);
    if (member === undefined && !this.views.isAsleep(nodeId)) return undefined;
    const { facts, load, loaded, devices, fence, http, disk } = this.gossip.find(nodeId);
    const address = member?.address ?? "";
    return {
      isAsleep: !isSelf && this.views.isAsleep(nodeId),
      yields: this.gossip.find(nodeId).yields,
      isFenced: isSelf ? this.group.fenced !== undefined : fence !== undefined,
      standing: isSelf ? "alive" : member?.standing ?? "left",
      address,
      api: http && apiOrigin(http, address),
      cores: facts?.cores,
      diskFreeBytes: disk?.freeBytes,
      version: facts?.version ?? "",
      devices,
      load: load && {
        runningRequests: load.runningRequests,
        waitingRequests: load.waitingRequests,
        slots: load.slots,
        tokensPerSecond: load.decodeTokensPerMinute / SECONDS_PER_MINUTE,
        availableBytes: load.availableBytes,
        loadedModels: loaded?.copies.map(({ name }) => name) ?? [],
        splitModels: this.views.splitModels(nodeId),
      },
    };
  }

  /** Drops all that binds this node to its cluster: whoever left comes back as another node. */
  async forget(): Promise<void> {
    await this.#machinery.stored.leave();
    this.#left = true;
  }

  /** A node that was removed may join again, as another one; a revoked one keeps its papers, which say why it can't. */
  async #expelled(standing: ShutOut): Promise<void> {
    const { log, onExpelled } = this.#machinery;
    if (standing === "removed") {
      await this.forget().catch((error) =>
        log.log("warn", "papers_not_dropped", { reason: errorMessage(error) })
      );
    }
    onExpelled(shutOutText(standing, this.settings.clusterId));
  }

  /** Leaves the vote to those that stay, where they need it. Once, and before {@link close}. */
  releaseVote(): Promise<void> {
    this.#released ??= this.#handover.release();
    return this.#released;
  }

  /** Says goodbye where anybody listens, then stops taking part. */
  async close(): Promise<void> {
    // A node that goes for good has no vote any more.
    if (!this.#left) await this.releaseVote();
    this.#closed = true;
    this.#handover.close();
    for (const stop of this.#stops) stop();
    this.#voters.close();
    this.#schema.close();
    this.gossip.close();
    await this.#handOver();
    await this.membership.leave();
    this.membership.close();
    await this.#kept;
    await this.#machinery.close();
    // Its log holds promises that a node of another name must not be found with.
    if (this.#left) await this.#machinery.dropLog();
  }

  /** A leader that stops lets another one lead at once, so that nobody has to wait for an election timeout. */
  async #handOver(): Promise<void> {
    const { role, configuration, peers } = this.group.view();
    if (role !== "leader") return;
    const heir = chooseHeir(this.settings.self.nodeId, { voters: configuration.voters, peers });
    if (heir === undefined) return;
    const handed = Promise.withResolvers<void>();
    const stop = this.group.onChanged(() => {
      if (this.group.view().role !== "leader") handed.resolve();
    });
    const timer = this.#machinery.clock.after(HAND_OVER_MS_MAX, () => handed.resolve());
    this.group.transferLeadership(heir);
    await handed.promise;
    timer.cancel();
    stop();
  }

  #schemaOf({ nodeId }: MemberRow): number | undefined {
    const isSelf = nodeId === this.settings.self.nodeId;
    return isSelf ? CATALOGUE_SCHEMA : this.gossip.find(nodeId).facts?.catalogueSchema;
  }

  #candidate({ nodeId }: MemberRow) {
    const handover = this.group.catalogue.findSetting(handoverKey(nodeId))?.value;
    const duty = handover === HANDOVER.stopping ? "leaving" : this.#duty(nodeId);
    return { nodeId, duty, claims: handover === HANDOVER.returned } as const;
  }

  #duty(nodeId: NodeId): "serving" | "drained" | "leaving" {
    const { catalogue } = this.group;
    const state = this.views.sleepOf(nodeId)?.state;
    if (state === "going" || state === "asleep") return "leaving";
    if (this.views.isLeaving(nodeId)) return "leaving";
    return catalogue.findSetting(drainKey(nodeId)) === undefined ? "serving" : "drained";
  }

  #onApplied(news: AppliedNews): void {
    const { kinds } = news;
    this.#noteOwnLeave();
    const touchesMembers = kinds === undefined || kinds.has("admit_member") ||
      kinds.has("remove_member") || kinds.has("revoke_member");
    if (touchesMembers) {
      this.#compareMembers();
      this.#schema.look();
    }
    if (touchesMembers || kinds.has("put_setting") || kinds.has("delete_setting")) {
      this.#voters.look();
      this.#handover.look();
    }
    this.#listeners?.onApplied(news);
  }

  #noteOwnLeave(): void {
    const { catalogue } = this.group;
    const { nodeId: self } = this.settings.self;
    // With its row the wish is gone too: what counts then is what was known before.
    if (catalogue.findMember(self)?.standing !== "admitted") return;
    this.#leaves = catalogue.findSetting(leaveKey(self)) !== undefined;
  }

  #compareMembers(): void {
    const { nodeId: self } = this.settings.self;
    const { admitted, expelled } = this.#watch.look(this.group.catalogue.members());
    for (const nodeId of admitted) this.membership.admit(nodeId);
    if (admitted.length + expelled.length > 0) this.#keepMembers();
    // Whoever goes gets to hear so first.
    this.#machinery.clock.after(LAST_WORD_MS, () => {
      if (!this.#closed) this.transport.judgeAgain();
    });
    for (const nodeId of expelled) {
      if (nodeId === self) {
        const row = this.group.catalogue.findMember(self);
        if (!this.#leaves) void this.#expelled(row === undefined ? "removed" : "revoked");
        continue;
      }
      this.membership.expel(nodeId);
      this.#hangUp(nodeId);
      this.#book.forget(nodeId);
      this.#listeners?.onPeerGone(nodeId);
    }
  }

  /** What a node with a damaged log says that it can't take part by, others hear only if it knows whom to tell. */
  #keepMembers(): void {
    if (this.group.fenced !== undefined) return;
    const { stored, log } = this.#machinery;
    this.#kept = this.#kept.then(() => stored.keepMembers(admittedMembers(this.group.catalogue)))
      .catch((error) => log.log("warn", "members_not_kept", { reason: errorMessage(error) }));
  }

  /** On a revoked one at once; one that leaves has to hear first that it is let go. */
  #hangUp(nodeId: NodeId): void {
    const { standing } = this.group.catalogue.findMember(nodeId) ?? {};
    if (standing === "revoked") this.transport.disconnect(nodeId);
  }

  #onMemberChanged(nodeId: NodeId, standing: MemberStanding | undefined): void {
    const member = this.membership.find(nodeId);
    if (member !== undefined) this.#book.note(nodeId, member.address);
    this.#voters.look();
    if (standing === "alive") return;
    const { leader, configuration } = this.group.view();
    // A learner hears the leader seldom, and has no say in an election: a doubt alone is no reason to forget whom to ask.
    const isHint = standing !== "suspect" ||
      !configuration.learners.includes(this.settings.self.nodeId);
    if (leader === nodeId && isHint) this.group.hintLeaderDown(nodeId);
    this.#listeners?.onPeerDoubted(nodeId);
    if (standing !== "suspect") this.#listeners?.onPeerGone(nodeId);
  }

  /** The founder is a member like any other, and says so in the log it has just begun. */
  async #admitSelf(): Promise<void> {
    const { self, publicKey } = this.settings;
    const { clock, log } = this.#machinery;
    while (!this.#closed && this.group.catalogue.findMember(self.nodeId) === undefined) {
      try {
        await this.group.propose({
          kind: "admit_member",
          nodeId: self.nodeId,
          publicKey,
          label: self.name,
          tokenId: undefined,
          atMs: clock.nowMs(),
        }, { timeoutMs: ADMIT_SELF_TIMEOUT_MS });
      } catch (error) {
        if (!isEdgeError(error)) throw error;
        if (error.code === "stopping" || this.group.fenced !== undefined) return;
        log.log("warn", "founder_not_admitted", { reason: errorMessage(error) });
      }
    }
  }
}

/** None in a joint configuration: who votes then may soon not. */
function heartbeatWatchOf({ leader, configuration }: RaftView): HeartbeatWatch | undefined {
  const { voters, votersOutgoing } = configuration;
  return leader === undefined || votersOutgoing.length > 0 ? undefined : { leader, voters };
}
