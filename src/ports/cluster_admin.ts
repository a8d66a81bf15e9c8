import type { NodeId } from "../base/mod.ts";
import type { DeviceFacts, DraftUse, PrefixUse, Scope } from "../protocol/mod.ts";
import type { SplitView } from "./engine.ts";
import type { ChangesView, ShardRow } from "./model_api.ts";
import type { IncidentWish } from "./telemetry.ts";
import type { ConnectionView } from "./transport.ts";

/** What a node does in the log's group. */
export type GroupRole = "leader" | "voter" | "learner" | "none";

/** One member as this node sees it. */
export interface MemberStatus {
  readonly nodeId: NodeId;
  readonly name: string;
  /** Cluster address; "" when unknown. */
  readonly address: string;
  /** Where browsers find its HTTP API; absent where only its own machine does. */
  readonly api?: string | undefined;
  /** Absent until it was heard. */
  readonly cores?: number | undefined;
  /** Where it keeps models; absent where it has not said. */
  readonly diskFreeBytes?: number | undefined;
  /** `pending`: admitted, never seen; `fenced`: alive, but it neither votes nor follows. */
  readonly health:
    | "alive"
    | "asleep"
    | "fenced"
    | "suspect"
    | "down"
    | "left"
    | "pending"
    | "revoked";
  readonly role: GroupRole;
  readonly drained: boolean;
  /** It takes nothing new, because other programs use its machine. */
  readonly yields: boolean;
  /** odist's version; "" until it was heard. */
  readonly version: string;
  /** Entries of the log this member is known to hold; only the leader knows. */
  readonly matchIndex: number | undefined;
  /** What it computes with beside its cores. */
  readonly devices: readonly DeviceFacts[];
  readonly load: MemberLoad | undefined;
}

/** From gossip, at most seconds old. */
export interface MemberLoad {
  readonly runningRequests: number;
  readonly waitingRequests: number;
  readonly slots: number;
  readonly tokensPerSecond: number;
  readonly availableBytes: number;
  readonly loadedModels: readonly string[];
  /** Of those, the ones that several nodes compute, led by this one. */
  readonly splitModels: readonly { readonly name: string; readonly shards: readonly ShardRow[] }[];
}

/** The whole cluster as this node sees it. */
export interface ClusterStatus {
  readonly clusterId: string;
  readonly nodeId: NodeId;
  readonly name: string;
  readonly version: string;
  /** `healthy`: a quorum answers and nobody is doubted; `degraded`: a quorum answers; `no_quorum`: it does not. */
  readonly health: "healthy" | "degraded" | "no_quorum" | "fenced";
  readonly leader: NodeId | undefined;
  readonly changes: ChangesView;
  readonly term: number;
  readonly committedIndex: number;
  readonly appliedIndex: number;
  /** Hash of the replicated state at {@link appliedIndex}. */
  readonly stateHash: string;
  /** By name. */
  readonly members: readonly MemberStatus[];
  /** What somebody has to do something about, for people. */
  readonly warnings: readonly string[];
}

/** A join token as it may be listed: never its secret. */
export interface TokenRowView {
  readonly tokenId: string;
  readonly expiresAtMs: number;
  readonly usesLeft: number;
}

/** An API key as it may be listed: never its secret. */
export interface KeyRowView {
  readonly keyId: string;
  /** What people call it; "" when nothing. */
  readonly label: string;
  readonly createdAtMs: number;
  /** 0 = never. */
  readonly expiresAtMs: number;
  readonly scopes: readonly Scope[];
  /** 0 = never; up to an hour behind. */
  readonly lastUsedAtMs: number;
  readonly limits: KeyLimits;
}

/** What a key may ask for; 0 = as much as it likes. */
export interface KeyLimits {
  /** Its part, in proportion to others', when not all can be served; 1 to 1,000. */
  readonly weight: number;
  readonly requestsPerMinute: number;
  /** Of prompts and answers together; days are those of UTC. */
  readonly tokensPerDay: number;
  readonly concurrentRequests: number;
}

/** Whose requests wait and run on a node. */
export interface QueueRowView {
  /** A key, or the machine of those without one; "" = nobody's. */
  readonly tenant: string;
  readonly weight: number;
  readonly waiting: number;
  readonly running: number;
}

/** A key as it is wished for. */
export interface KeyWish {
  /** At most 64 characters. */
  readonly label: string;
  /** 0 (for ever), or 1 s..3,650 d. */
  readonly lifetimeMs: number;
  /** At least one. */
  readonly scopes: readonly Scope[];
  /** Absent = it may ask for as much as it likes. */
  readonly limits?: KeyLimits;
}

/** Who has a change made, for the list of changes. */
export interface ChangeMaker {
  /** A key, or this machine's own client, in words. */
  readonly who: string;
  /** The address it asked from. */
  readonly from: string;
}

/** A change of the cluster's state, and who had it made. */
export interface AuditRowView {
  /** Of the entry in the log. */
  readonly index: number;
  readonly atMs: number;
  readonly who: string;
  /** "" for what a member did by itself. */
  readonly from: string;
  readonly action: string;
  readonly subject: string;
}

/** What a node knows that may have to go on alone, and what comes of it. */
export interface RecoveryView {
  /** Why it can't now, for people; undefined = it can. */
  readonly refusal: string | undefined;
  /** Of its log, and of that what is known to be agreed on. */
  readonly lastIndex: number;
  readonly committedIndex: number;
  /** Names of models in its catalogue. */
  readonly modelCount: number;
  /** All other members: each has to join again. */
  readonly leftBehind: readonly {
    readonly nodeId: NodeId;
    readonly name: string;
    readonly isAlive: boolean;
    readonly votes: boolean;
  }[];
}

/** How browsers reach a node over WebTransport; with a key, they may ask what the HTTP API may be asked. */
export interface WebTransportContact {
  /** UDP, on whatever host the node is reached at. */
  readonly port: number;
  readonly path: string;
  /** SHA-256 of the certificate that the node shows now, in hex; another one after days or a restart. */
  readonly certificateHash: string;
}

/** A node that a request could have gone to, and what made up its expected time to the first token. Milliseconds. */
export interface RouteScore {
  readonly nodeId: NodeId;
  readonly name: string;
  /** Whatever the time, an earlier rank goes first. */
  readonly rank: "sound" | "lost_before" | "other_class" | "drained" | "suspect";
  readonly expectedMs: number;
  /** Above 0: it sleeps, and is woken. */
  readonly wakeMs: number;
  readonly hopMs: number;
  readonly queueMs: number;
  readonly loadMs: number;
  /** Above 0: the beginning of the prompt is fetched from another node. */
  readonly moveMs: number;
  readonly prefillMs: number;
  /** A usual answer from its first token on. */
  readonly answerMs: number;
}

/** A slot that a node lent for a request of another one. */
export interface ServedLease {
  /** The `X-Request-Id` of the answer. */
  readonly id: string;
  /** When it was asked for. Milliseconds since 1970, as the others. */
  readonly atMs: number;
  readonly askedBy: NodeId;
  readonly model: string;
  readonly standing: "fresh" | "resumed";
  /** Undefined = it is waited for, or was refused. */
  readonly grantedAtMs?: number;
  /** Of a load that it had to wait for; 0 = none. */
  readonly loadMs?: number;
  /** Undefined = it is held. */
  readonly endedAtMs?: number;
}

/** What a request had to do with a machine that slept. */
export interface WakeExplanation {
  /** Among those of the asked node that waited for it, from 1 on. */
  readonly position: number;
  /** Until it was a member again; undefined = it is not yet, or another node was sooner. Milliseconds. */
  readonly tookMs: number | undefined;
}

/** Why a request went where it went; a request that was lost or refused on the way has several. */
export interface RouteExplanation {
  readonly atMs: number;
  readonly model: string;
  /** Estimated. */
  readonly promptTokens: number;
  /** `resumed`: the answer had begun on a node that was lost. */
  readonly standing: "fresh" | "resumed";
  /** Undefined = there was no node to go to. */
  readonly chosen: RouteScore | undefined;
  /** Best first. */
  readonly runnersUp: readonly RouteScore[];
  readonly excluded: readonly {
    readonly nodeId: NodeId;
    readonly name: string;
    readonly reason: string;
  }[];
  /** Of one that was sent to a machine that slept; undefined = none did. */
  readonly wake: WakeExplanation | undefined;
  /** Of one that several nodes compute, undefined = it is whole on one. */
  readonly split: SplitExplanation | undefined;
  /** Whether the copy that was granted is exact; undefined = none was, or its node can't tell. */
  readonly exact: boolean | undefined;
  /** What of the prompt was computed before; undefined = it has not begun there, or its node doesn't say. */
  readonly reuse: PrefixReuse | undefined;
  /** What of the answer was computed ahead; undefined = nothing, or it has not ended, or its node doesn't say. */
  readonly drafts: DraftUse | undefined;
  /** `granted`, `pending`, `cancelled`, `given_up`, or the code of what it failed with. */
  readonly outcome: string;
}

/** What of one prompt was computed before. */
export interface PrefixReuse extends PrefixUse {
  readonly promptTokens: number;
  readonly reusedTokens: number;
}

/** Where a model lies. */
export interface ModelPlacement {
  readonly name: string;
  /** SHA-256 hex of its manifest. */
  readonly digest: string;
  /** Names of the members that hold it whole. */
  readonly nodes: readonly string[];
  /** Names of the members that people want it on, whatever the cluster would choose. */
  readonly pins: readonly string[];
}

/** Why several nodes compute a model, and what that costs. */
export interface SplitExplanation extends SplitView {
  /** `too_large`: no node could hold it whole. `asked`: the request or the model says so. */
  readonly why: "too_large" | "asked";
}

/** How a node left its cluster. */
export interface LeaveOutcome {
  /** Why the others could not be told, who go on counting the node then; absent when they were. */
  readonly untold?: string;
}

/**
 * What operators may ask of a node about its cluster (`/api/cluster/*` and the commands). Nodes are named by id, by a
 * unique beginning of it, or by name. Changes go through the log: they throw UnavailableError `no_quorum` when no quorum
 * answers, RequestError `member_not_found`, `conflict` or `invalid_request` when they can't be done.
 */
export interface ClusterAdmin {
  /** Local knowledge; never waits. */
  status(): Promise<ClusterStatus>;
  /** `lifetimeMs` 1 s..365 d, `uses` 1..1000. The secret is in `token` and nowhere else. */
  createToken(
    wanted: { readonly lifetimeMs: number; readonly uses: number },
  ): Promise<TokenRowView & { readonly token: string }>;
  listTokens(): Promise<readonly TokenRowView[]>;
  revokeToken(tokenId: string): Promise<void>;
  /** The secret is in `key` and nowhere else. */
  createKey(wish: KeyWish): Promise<KeyRowView & { readonly key: string }>;
  listKeys(): Promise<readonly KeyRowView[]>;
  revokeKey(keyId: string): Promise<void>;
  /** Those that are not named stay. @throws RequestError `key_not_found`. */
  limitKey(keyId: string, limits: Partial<KeyLimits>): Promise<KeyLimits>;
  /** Of this node, least served first. */
  queue(): readonly QueueRowView[];
  /** The newest `limit` changes, oldest first; the cluster remembers 1,000. */
  audit(limit: number): Promise<readonly AuditRowView[]>;
  /** No new requests are sent there; running ones go on. */
  drain(node: string): Promise<void>;
  undrain(node: string): Promise<void>;
  /** The node is to hold the model, whatever the cluster would choose: it gets it as soon as it can. */
  pin(node: string, model: string): Promise<void>;
  /** The cluster chooses again; a copy that is there stays until its room is wanted. */
  unpin(node: string, model: string): Promise<void>;
  /** Puts its machine to sleep; resolves when it does. Refused (`conflict`, with why) where it is needed. */
  sleep(node: string): Promise<void>;
  /** Wakes its machine through a member of its network; resolves when it is a member again. */
  wake(node: string): Promise<{ readonly tookMs: number }>;
  /**
   * This node hands over, leaves the group and the members, and then stops. Refused (`conflict`, naming them) while there are
   * models that it alone holds. With `force` it leaves in any case: without those models, and without the others where they can't
   * be told.
   */
  leave(options?: { readonly force: boolean }): Promise<LeaveOutcome>;
  /** What {@link recover} would do. Local knowledge; never waits. */
  recovery(): RecoveryView;
  /**
   * Stops this node, and has its next start make it the only voter of a new cluster with all that it knows, where the voters of
   * the old one are lost. Refused (`conflict`) while a quorum may answer.
   */
  recover(): Promise<RecoveryView>;
  /** {@link status} now, after each change, and at least every 5 s; at most 4 a second. Ends with the signal. */
  watch(signal: AbortSignal): AsyncIterable<ClusterStatus>;
  webTransport(): WebTransportContact;
  /** Takes out a node that is gone; it may join again. */
  removeMember(node: string): Promise<void>;
  /** Shuts a node out for good. */
  revokeMember(node: string): Promise<void>;
  /** By key. */
  listSettings(): Promise<readonly { readonly key: string; readonly value: string }[]>;
  putSetting(setting: { readonly key: string; readonly value: string }): Promise<void>;
  deleteSetting(key: string): Promise<void>;
  /** The replicated state as a file for `odist snapshot restore`, read linearizably. */
  saveSnapshot(): Promise<Uint8Array>;
  /** What the nodes were told and decided lately, for `odist incident replay`. */
  saveIncident(wish: IncidentWish): Promise<Uint8Array>;
  /** A file of the libraries that were added to this node; undefined = it has no such file. */
  backendFile(packageName: string, file: string): Promise<ReadableStream<Uint8Array> | undefined>;
  /** Connections this node has to other members. */
  connections(): Promise<readonly ConnectionView[]>;
  /** The routes of a request that this node took in lately, by its `X-Request-Id`; oldest first, empty when forgotten. */
  explain(requestId: string): readonly RouteExplanation[];
  /** The slots that this node lent lately for a request that another node took in; oldest first. */
  served(requestId: string): readonly ServedLease[];
  /** Which nodes hold each model of the cluster whole, as they last told; by name. Local knowledge; never waits. */
  placement(): readonly ModelPlacement[];
  /** The last log lines of this node, oldest first; `follow` goes on until the signal. */
  logs(
    wanted: { readonly lines: number; readonly follow: boolean },
    signal: AbortSignal,
  ): AsyncIterable<Readonly<Record<string, unknown>>>;
}

/** What a key lets whoever has it do. */
export interface KeyGrant {
  readonly keyId: string;
  /** What people call it; "" when nothing. */
  readonly label: string;
  readonly scopes: readonly Scope[];
  readonly limits: KeyLimits;
}

/** What a key is worth now; `reason` is for people. */
export type KeyVerdict =
  | { readonly kind: "granted"; readonly grant: KeyGrant }
  | { readonly kind: "refused"; readonly reason: string };

/** Who must show an API key before the HTTP API answers. */
export interface KeyAccess {
  /** What clients on other machines may do without a key. */
  openScopes(network: "private" | "public"): readonly Scope[];
  judge(key: string): Promise<KeyVerdict>;
}
