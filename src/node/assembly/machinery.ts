import { join } from "node:path";
import {
  errorMessage,
  hexOf,
  type NodeId,
  Random,
  sha256,
  UnavailableError,
} from "../../base/mod.ts";
import type { Config } from "../../config/mod.ts";
import { admittedMembers, type ApiKeyRow, Catalogue } from "../../core/catalogue/mod.ts";
import { MEMBERSHIP_PRESETS } from "../../core/membership/mod.ts";
import { limitEntries } from "../../core/raft/mod.ts";
import { readSleep, sleepKey } from "../../core/sleeping/mod.ts";
import type {
  Clock,
  Disk,
  KeptFile,
  Log,
  Metrics,
  RaftLogStore,
  SecretFiles,
  WebTransportContact,
} from "../../ports/mod.ts";
import {
  type AddressReaders,
  CATALOGUE_SCHEMA,
  CLIENT_PATH,
  clusterIdOf,
  decodeNodeFacts,
  NODE_FACTS_KEY,
  type NodeFacts,
  parseAddress,
  readLists,
  splitAddresses,
  spokenVersions,
} from "../../protocol/mod.ts";
import { openWal, type WalOptions } from "../../storage/mod.ts";
import {
  advertisedAddresses,
  type AdvertisingParts,
  announce,
  Announcing,
  type ClientHandler,
  type ClusterMembership,
  formatAddress,
  hashSecret,
  openIdentity,
  openMulticast,
  orTellsOfRecoveries,
  portOf,
  type QuicTransport,
  type StoredIdentity,
  watchAddresses,
} from "../../transport/mod.ts";
import {
  admitClient,
  Attribution,
  type ClientAccessParts,
  keyAccess,
  KeyUses,
  LogLookups,
  type OpenTo,
} from "../../operators/mod.ts";
import {
  type GossipParts,
  type MembershipDriver,
  type MembershipFailure,
  openMembership,
  PeerBook,
} from "../../members/mod.ts";
import { StreamRouter } from "../../calls/mod.ts";
import { clusterFolderOf, foundationOf } from "../foundation.ts";
import { DiskRoom, type Group, GROUP_TIMING, type GroupParts, openGroup } from "../../group/mod.ts";
import type { ServingNode } from "../../slots/mod.ts";
import {
  admitsJoiners,
  askOwnStanding,
  type AuthorityKeeping,
  type CatalogueDirectory,
  findMembers,
  finishRecovery,
  forgetRecoveredState,
  joinIfWished,
  keepAuthority,
  NOTHING_RECOVERED,
  openDirectory,
  prepareRecovery,
  type RecoveredStart,
  recoveredState,
  RecoveryWord,
  renewRegularly,
  type ShutOut,
  type StandingWatch,
  VOUCH_PURPOSE,
  vouchServer,
  watchStanding,
} from "../../admission/mod.ts";
import type { NodePorts } from "./ports.ts";

/** What a person does whose node has a damaged log. */
const WAY_BACK = "to take part again, run odist leave --force here and let the node join anew";

/** What a node tells of its own load. */
export type Figures = Pick<GossipParts, Extract<keyof GossipParts, `read${string}` | "keys">>;

/** Of {@link NodePorts}, what lies below a node's models. */
export type MachineryPorts = Pick<
  NodePorts,
  | "clock"
  | "log"
  | "metrics"
  | "recorder"
  | "drawSeed"
  | "openFile"
  | "openSecrets"
  | "openDisk"
  | "removeDisk"
  | "openTransport"
  | "dialSeed"
>;

/** What a cluster is opened with. */
export interface MachineryOptions extends MachineryPorts {
  readonly config: Config["cluster"];
  readonly dataFolder: string;
  readonly version: string;
  readonly cores: number;
  /** The machine's own name. */
  readonly hostName: string;
  /** Address of this machine that others may reach; undefined when it has only loopback ones. */
  readonly outsideAddress: () => string | undefined;
  readonly signal: AbortSignal;
  /** What clients on other machines may do without a key. */
  readonly open: OpenTo;
  /** This node can't take part any more: it must stop. `reason` is for people. */
  readonly onFatal: (reason: string) => void;
}

/** Who this node is and how patient. */
export interface ClusterSettings {
  readonly self: ServingNode;
  readonly clusterId: string;
  readonly publicKey: Uint8Array;
  readonly founded: boolean;
  readonly facts: NodeFacts;
  readonly replaceVotersAfterMs: number;
}

/** Everything that runs below a {@link Cluster}. */
export interface Machinery {
  readonly settings: ClusterSettings;
  readonly stored: StoredIdentity;
  readonly group: Group;
  readonly transport: QuicTransport;
  readonly membership: MembershipDriver;
  readonly router: StreamRouter;
  readonly book: PeerBook;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly recorder: NodePorts["recorder"];
  readonly addressOf: (nodeId: NodeId) => string;
  /** This node was taken out of its cluster; `reason` is for people. */
  readonly onExpelled: (reason: string) => void;
  /** Resolves when members have said that this node is none any more. */
  readonly shutOut: Promise<ShutOut>;
  /** From now on clients with a key are answered by `answer`; until then their sessions are refused. */
  serveClients(answer: ClientHandler["answer"]): void;
  webTransport(): WebTransportContact;
  /** See `AuthorityKeeper.settled`. */
  authority(): Promise<Uint8Array<ArrayBuffer>>;
  /** Who belonged when the log could still be read; none where it can. */
  readonly lastKnown: StoredIdentity["firstMembers"];
  /** Of the HTTP API. */
  readonly access: ReturnType<typeof keyAccess>;
  readonly attribution: Attribution;
  readonly recovery: {
    /** For people; see {@link RecoveryWord.warnings}. */
    warnings(): readonly string[];
    /** See {@link prepareRecovery}: the next start carries it out. */
    prepare(): Promise<void>;
  };
  close(): Promise<void>;
  /** Deletes the log; only once closed. */
  dropLog(): Promise<void>;
}

/**
 * Opens identity, log, transport, group and gossip, in this order; joins or founds a cluster where the node is of none.
 *
 * @throws RequestError `join_refused` or `conflict`; StorageError; UnavailableError `address_unusable`,
 *   `node_unreachable` or `no_quorum`. Nothing is left open then.
 */
export async function openMachinery(options: MachineryOptions): Promise<Machinery> {
  const { config, clock, log } = options;
  const folder = clusterFolderOf(options.dataFolder);
  const files = await options.openSecrets(folder);
  const name = config.nodeName || options.hostName;
  const { stored, isMember } = await openOwnIdentity(options, { files, name });
  const logFolder = join(folder, "raft");
  const dropLog = () => options.removeDisk(logFolder);
  const book = await PeerBook.open(options.openFile(join(folder, "peers.json")));
  const recovered = await finishRecovery({
    ...{ stored, files, dropLog, log },
    openLog: async () => await openLog(await options.openDisk(logFolder), stored.nodeId),
    addressOf: (peer) => book.find(peer) ?? "",
  });
  // Whom it knew is of another cluster now.
  if (recovered.isFresh) {
    for (const { nodeId } of book.others(stored.nodeId)) {
      book.forget(nodeId);
    }
  }
  const answer = recovered.isFresh ? undefined : await joinIfWished({
    isOver: recovered.isOver,
    isMember,
    stored,
    wish: {
      addresses: config.joinAddresses,
      discover: config.discover,
      token: config.joinToken,
    },
    name,
    clock,
    log,
    dial: options.dialSeed,
    openLog: async (owner) => await openLog(await options.openDisk(logFolder), owner),
    dropLog,
    signal: options.signal,
  });
  for (const member of answer?.members ?? []) book.note(member.nodeId, member.address);
  const membership = stored.membership ?? await stored.found();
  const room = new DiskRoom({ clock, log });
  let damage: string | undefined;
  const store = await openLog(await options.openDisk(logFolder), stored.nodeId, {
    room,
    onRepaired: (reason) => log.log("warn", "raft_log_repaired", { reason }),
    onDamaged: ({ message }) => void (damage = `${message}; ${WAY_BACK}`),
  });
  try {
    return await assemble({
      ...options,
      stored,
      files,
      recovered: answer === undefined ? recovered : NOTHING_RECOVERED,
      book,
      name,
      store,
      damage,
      lastKnown: damage === undefined ? [] : await stored.knownMembers(),
      room,
      logFolder,
      member: membership,
      attribution: new Attribution(name, clock),
    });
  } catch (error) {
    await store.close();
    throw error;
  }
}

/** One that was taken out of the cluster that it is told to join begins anew; its models stay. */
async function openOwnIdentity(
  options: MachineryOptions,
  { files, name }: { readonly files: SecretFiles; readonly name: string },
): Promise<{ readonly stored: StoredIdentity; readonly isMember: boolean }> {
  const { config, clock, log, dialSeed: dial, signal } = options;
  const open = () => openIdentity(files, { name, nowMs: () => clock.nowMs() });
  const stored = await open();
  const { joinAddresses: seeds, joinToken: token } = config;
  const find = (clusterId: string, patienceMs: number) =>
    findMembers(clusterId, { clock, log, signal, patienceMs });
  const asked = { stored, seeds, token, name, clock, log, dial, signal };
  const standing = await askOwnStanding({ ...asked, ...config.discover && { find } });
  if (standing !== "removed") return { stored, isMember: standing === "member" };
  await stored.leave();
  await options.removeDisk(join(clusterFolderOf(options.dataFolder), "raft"));
  return { stored: await open(), isMember: false };
}

interface Opened extends MachineryOptions {
  readonly stored: StoredIdentity;
  readonly files: SecretFiles;
  readonly recovered: RecoveredStart;
  readonly book: PeerBook;
  readonly name: string;
  readonly store: RaftLogStore;
  readonly damage: string | undefined;
  readonly lastKnown: Machinery["lastKnown"];
  readonly room: DiskRoom;
  readonly logFolder: string;
  readonly member: ClusterMembership;
  readonly attribution: Attribution;
}

/** What of a node is made after its transport, whose handlers speak to it. */
interface Late {
  group?: Group;
  gossip?: MembershipDriver;
  answer?: ClientHandler["answer"];
  transport?: QuicTransport;
  keeping?: AuthorityKeeping;
  standing?: StandingWatch;
  /** Members say that this node is none any more. */
  readonly shutOut: PromiseWithResolvers<ShutOut>;
  word?: RecoveryWord;
}

/** Where a member can be reached; "" = nowhere known, or it sleeps and calls when it is awake. */
function addressBook(book: PeerBook, late: Late): (peer: NodeId) => string {
  return (peer) => {
    const member = late.gossip?.find(peer);
    const sleep = late.group?.catalogue.findSetting(sleepKey(peer))?.value;
    if (member?.standing === "left" && readSleep(sleep)?.state === "asleep") return "";
    return member?.address || book.find(peer) || "";
  };
}

async function assemble(opened: Opened): Promise<Machinery> {
  const { stored, book, clock, log, metrics } = opened;
  const late: Late = { shutOut: Promise.withResolvers() };
  const router = new StreamRouter({ clock, log, metrics });
  const addressOf = addressBook(book, late);
  const directory = openDirectory({ ...opened, addressOf, late });
  const transport = late.transport = await openWires(opened, late, {
    router,
    directory,
    addressOf,
  });
  router.register(VOUCH_PURPOSE, vouchServer(() => late.group?.catalogue ?? Catalogue.empty()));
  const places = placesOf(opened, late, transport);
  const advertised = advertisedAddresses(places);
  try {
    const group = late.group = await openLogGroup(opened, {
      ...{ transport, addressOf },
      isDown: (voter) => (late.gossip?.find(voter)?.standing ?? "alive") !== "alive",
    });
    const word = late.word = wordOf(opened, { group, addressOf });
    const membership = late.gossip = openGossip(opened, { transport, advertised });
    const announcing = new Announcing(() => announceIfWished(opened, { membership, transport }));
    const stopWatching = followAddresses(places, { told: advertised, membership, announcing });
    const keeping = keepAuthority({
      ...{ stored, group, transport, router, directory, addressOf, clock, log },
      onReplaced: () => announcing.begin(),
    });
    const { keeper } = late.keeping = keeping;
    const renewal = renewRegularly({ stored, clock, log, transport, keeper });
    await announcing.begin();
    word.start(membership);
    return {
      settings: settingsOf(opened, advertised),
      ...{ stored, group, transport, membership, lastKnown: opened.lastKnown },
      ...{ router, book, clock, log, metrics, addressOf, recorder: opened.recorder },
      access: keyAccess({ ...accessParts(opened, late), open: opened.open }),
      attribution: opened.attribution,
      serveClients: (answer) => void (late.answer = answer),
      webTransport: () => webTransportOf(opened, transport),
      authority: () => keeper.settled(),
      onExpelled: opened.onFatal,
      shutOut: late.shutOut.promise,
      recovery: recoveryOf(opened, { word, advertised }),
      async close() {
        word.close();
        renewal.cancel();
        stopWatching();
        late.standing?.close();
        keeping.close();
        announcing.close();
        membership.close();
        await group.close();
        await transport.close();
        await book.close();
      },
      dropLog: () => opened.removeDisk(opened.logFolder),
    };
  } catch (error) {
    await late.group?.close();
    await transport.close();
    throw error;
  }
}

function openWires(
  opened: Opened,
  late: Late,
  to: {
    readonly router: StreamRouter;
    readonly directory: CatalogueDirectory;
    readonly addressOf: (peer: NodeId) => string;
  },
): Promise<QuicTransport> {
  const { config, stored, member, clock, log, metrics, name } = opened;
  const { nodeId } = stored;
  const { router, directory, addressOf } = to;
  late.standing = watchStanding({
    ...{ stored, name, clock, dial: opened.dialSeed, signal: opened.signal },
    catalogue: () => late.group?.catalogue ?? Catalogue.empty(),
    isConnected: () => (late.transport?.connections().length ?? 0) > 0,
    onShutOut: (standing) => late.shutOut.resolve(standing),
  });
  return opened.openTransport({
    listen: config.listenAddress,
    identity: member.identity,
    directory,
    speaks: () => spokenVersions(late.group?.catalogue.schema),
    onShutOut: (by) => late.standing?.noteRefused(by),
    isMembersHost: (hostname) => opened.book.knowsHost(hostname),
    handlers: {
      onDatagram: (from, bytes) => late.gossip?.receiveDatagram(from, bytes),
      onFrame: (from, channel, bytes) =>
        channel === "raft"
          ? late.group?.receive(from, bytes)
          : late.gossip?.receiveFrame(from, bytes),
      onStream: (stream) => void router.accept(stream),
      onSendFailed: (peer, what) => {
        if (what === "raft") late.group?.reportUnreachable(peer);
        late.gossip?.sendFailed(peer, what);
      },
      onConnectionLost: (peer) => late.gossip?.connectionLost(peer),
    },
    onJoin: orTellsOfRecoveries(
      admitsJoiners({
        group: () => mustExist(late.group),
        membership: () => stored.membership ?? member,
        attribute: (by, act) => opened.attribution.attribute(by, act),
        certify: (publicKey) => mustExist(late.keeping).keeper.certify(publicKey),
        nodeId,
        name,
        clock,
        log,
        metrics,
        addressOf: (peer) =>
          peer === nodeId ? late.gossip?.view().self.address ?? "" : addressOf(peer),
      }),
      (talk) => mustExist(late.word).hear(talk),
    ),
    onClient: clientHandlerOf(opened, late),
    clock,
    log,
    metrics,
  });
}

/** Tells the transport where to look for members besides, too. */
function placesOf(opened: Opened, late: Late, transport: QuicTransport): AdvertisingParts {
  const { config, outsideAddress, clock, log } = opened;
  for (const address of config.joinAddresses) transport.hint(formatAddress(address));
  return {
    advertised: config.advertiseAddresses,
    listen: config.listenAddress,
    bound: transport.address,
    outsideAddress,
    readLists: () => readLists(readersOf(opened.stored.nodeId, late)),
    clock,
    log,
  };
}

/** Tells where this node is whenever that, or who is told, has changed. */
function followAddresses(
  places: AdvertisingParts,
  by: {
    readonly told: string;
    readonly membership: MembershipDriver;
    readonly announcing: Announcing;
  },
): () => void {
  const { told, membership, announcing } = by;
  const onChanged = (addresses: string) => {
    membership.moved(addresses);
    void announcing.begin();
  };
  const watching = watchAddresses(places, { told, onChanged });
  const stopListening = membership.onValuesChanged(({ keys }) => {
    if (keys.includes(NODE_FACTS_KEY)) watching.look();
  });
  return () => {
    stopListening();
    watching.stop();
  };
}

/** Who is told where this node is; before it meets the others, they may speak anything. */
function readersOf(self: NodeId, { group, gossip }: Late): AddressReaders {
  const rows = group?.catalogue.members() ?? [];
  const others = admittedMembers({ members: () => rows }, self);
  const wires = others.flatMap(({ nodeId }) => {
    const standing = gossip?.find(nodeId)?.standing;
    const told = gossip?.values(nodeId).get(NODE_FACTS_KEY);
    if (told === undefined || standing !== "alive" && standing !== "suspect") return [];
    const facts = decodeNodeFacts(told);
    return facts.kind === "decoded" ? [facts.value.wire] : [];
  });
  return { others: rows.length === 0 ? 1 : others.length, wires };
}

function clientHandlerOf(opened: Opened, late: Late): ClientHandler {
  const access = accessParts(opened, late);
  return {
    admit: (key) =>
      late.answer === undefined
        ? Promise.resolve({ kind: "refused", reason: "this node is still starting" })
        : admitClient(key, access),
    answer: (request, client) => mustExist(late.answer)(request, client),
  };
}

function accessParts({ name, version, clock }: Opened, late: Late): ClientAccessParts {
  const group = () => mustExist(late.group);
  const uses = new KeyUses({ group, clock });
  const noteUse = (row: ApiKeyRow) => uses.note(row);
  const lookups = new LogLookups();
  return { self: { name, version }, group, clock, hashSecret, lookups, noteUse };
}

async function openLogGroup(
  opened: Opened,
  by: Pick<GroupParts, "addressOf" | "isDown"> & { readonly transport: QuicTransport },
): Promise<Group> {
  const { config, stored, member, store, damage, room, clock, log, metrics, recorder } = opened;
  const founding = member.origin === "founded" ? await foundingOf(opened) : undefined;
  const group = await openGroup({
    nodeId: stored.nodeId,
    store,
    damage,
    room,
    ...by,
    clock,
    random: new Random(opened.drawSeed()),
    ...{ log, metrics, recorder },
    timing: { tickMs: Math.round(config.heartbeatMs / GROUP_TIMING.heartbeatTicks) },
    originOf: (command) => opened.attribution.originOf(command),
    ...(founding && { founding }),
  });
  // The group's first state is on disk by now, and holds what was laid down.
  if (founding !== undefined) {
    await foundationFile(opened).remove();
    await forgetRecoveredState(opened.files);
  }
  return group;
}

function openGossip(
  opened: Opened,
  by: { readonly transport: QuicTransport; readonly advertised: string },
): MembershipDriver {
  const { config, stored, clock, log, metrics, recorder } = opened;
  return openMembership({
    nodeId: stored.nodeId,
    address: by.advertised,
    bootEpoch: stored.bootEpoch,
    incarnation: stored.incarnation,
    timing: MEMBERSHIP_PRESETS[config.network],
    transport: by.transport,
    clock,
    random: new Random(opened.drawSeed()),
    ...{ log, metrics, recorder },
    saveIdentity: (life) => stored.saveLife(life),
    onFailed: (failure) => opened.onFatal(membershipFault(failure)),
  });
}

function membershipFault(failure: MembershipFailure): string {
  switch (failure.kind) {
    case "identity_conflicted":
      return "another process runs under this node's identity: two copies of one data folder?";
    case "identity_unsaved":
      return `this node's identity can't be saved: ${errorMessage(failure.cause)}`;
    case "invariant_broken":
      return `its view of the cluster contradicts itself: ${errorMessage(failure.cause)}`;
  }
}

/**
 * Tells the local network where this node is, and notes where other members say they are. A network that can't carry it costs
 * only that.
 */
async function announceIfWished(
  opened: Opened,
  by: { readonly membership: MembershipDriver; readonly transport: QuicTransport },
): Promise<{ close(): void }> {
  const { config, stored, member, name, version, clock, log } = opened;
  if (!config.discover) return { close() {} };
  const [advertised = ""] = splitAddresses(by.membership.view().self.address);
  const place = parseAddress(advertised);
  if (place === undefined) {
    log.log("warn", "not_announced", { reason: `"${advertised}" is not HOST:PORT` });
    return { close() {} };
  }
  try {
    return await announce({
      // A token names its cluster by the authority's key.
      clusterId: clusterIdOf((stored.membership ?? member).authority.publicKey),
      nodeId: stored.nodeId,
      ...place,
      name,
      version,
    }, {
      clock,
      openWire: openMulticast,
      onFault: (reason) => log.log("debug", "discovery_fault", { reason }),
      onHeard: ({ announcement, hostname, port, from }) => {
        if (announcement.nodeId === stored.nodeId) return;
        // What it says of itself may be of another network than the one it was heard on.
        for (const host of [hostname, from]) {
          by.transport.hint(formatAddress({ hostname: host, port }), announcement.nodeId);
        }
      },
    });
  } catch (error) {
    log.log("warn", "not_announced", { reason: errorMessage(error) });
    return { close() {} };
  }
}

function settingsOf(opened: Opened, clusterAddress: string): ClusterSettings {
  const { config, stored, member, name, version, cores } = opened;
  return {
    self: { nodeId: stored.nodeId, name },
    clusterId: member.identity.clusterId,
    publicKey: member.identity.publicKey,
    founded: member.origin === "founded",
    facts: {
      name,
      version,
      catalogueSchema: CATALOGUE_SCHEMA,
      clusterAddress,
      cores,
      numericClass: "",
      wire: spokenVersions().wire.max,
    },
    replaceVotersAfterMs: config.replaceVotersAfterMs,
  };
}

function webTransportOf({ stored, member }: Opened, transport: QuicTransport): WebTransportContact {
  return {
    port: portOf(transport.address),
    path: CLIENT_PATH,
    certificateHash: hexOf(sha256((stored.membership ?? member).identity.leaf)),
  };
}

function recoveryOf(
  opened: Opened,
  by: { readonly word: RecoveryWord; readonly advertised: string },
): Machinery["recovery"] {
  const [address = ""] = splitAddresses(by.advertised);
  const nowMs = () => opened.clock.nowMs();
  return {
    warnings: () => by.word.warnings(),
    prepare: () => prepareRecovery({ ...opened, address, nowMs }),
  };
}

function wordOf(
  { stored, files, recovered: { kept }, dialSeed: dial, clock, log }: Opened,
  by: { readonly group: Group; readonly addressOf: (peer: NodeId) => string },
): RecoveryWord {
  return new RecoveryWord({ stored, files, kept, dial, clock, log, ...by });
}

function foundationFile({ openFile, dataFolder }: Opened): KeptFile {
  return openFile(foundationOf(dataFolder));
}

async function foundingOf(opened: Opened) {
  const voters = [opened.stored.nodeId];
  const state = await recoveredState(opened.files) ?? await foundationFile(opened).read();
  return state === undefined ? { voters } : { voters, state };
}

async function openLog(
  disk: Disk,
  owner: NodeId,
  options: Pick<WalOptions, "room" | "onRepaired" | "onDamaged"> = {},
): Promise<RaftLogStore> {
  return await openWal(disk, { owner, limitEntries, ...options });
}

function mustExist<T>(value: T | undefined): T {
  if (value === undefined) throw new UnavailableError("no_quorum", "The node is still starting");
  return value;
}
