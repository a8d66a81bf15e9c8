/**
 * Throws damaged messages and files at every decoder of membership, catalogue and log: real ones from simulated runs,
 * cut, flipped, spliced, and noise. `deno task fuzz:decoders`, `deno task fuzz:decoders --inputs 1000000 --seed 1`.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { Random } from "../../src/base/mod.ts";
import { Catalogue } from "../../src/core/catalogue/mod.ts";
import { MEMBERSHIP_PRESETS } from "../../src/core/membership/mod.ts";
import {
  clientHelloShape,
  decodeApiKey,
  decodeCommand,
  decodeDatagram,
  decodeDiscovery,
  decodeHello,
  decodeInventory,
  decodeJoin,
  decodeJoinToken,
  decodeLoadedCopies,
  decodeNodeDisk,
  decodeNodeFacts,
  decodeNodeLoad,
  decodeRaftFrame,
  decodeSync,
  encodeApiKey,
  encodeCommand,
  encodeDiscovery,
  encodeHello,
  encodeInventory,
  encodeJoin,
  encodeJoinToken,
  encodeLoadedCopies,
  encodeNodeDisk,
  encodeNodeFacts,
  encodeNodeLoad,
  encodeRaftFrames,
  type ManifestPrefix,
  parseModelName,
  requestHeadShape,
} from "../../src/protocol/mod.ts";
import { INVENTORY_KEYS } from "../../src/protocol/gossip/inventory_value.ts";
import { openWal } from "../../src/storage/mod.ts";
import {
  decodeRecords,
  decodeSegmentHead,
  decodeSnapshotFile,
  readFrame,
} from "../../src/storage/wal_record.ts";
import { readCertificate } from "../../src/transport/identity/certificate.ts";
import { decodeHead } from "../../src/transport/remote/client_stream.ts";
import { DISCOVERY_PACKETS, HELLO_FRAMES, JOIN_FRAMES } from "../harness/contact_frames.ts";
import { identityMaker } from "../harness/identities.ts";
import { MembershipWorld } from "./membership_world.ts";
import { call, drawCall, LOG_OPTIONS, OWNER } from "./raft_log_script.ts";
import { idOf, RaftGroup } from "./raft_group.ts";
import { SimulatedDisk } from "./simulated_disk.ts";

interface Target {
  readonly name: string;
  readonly corpus: readonly Uint8Array[];
  readonly decode: (bytes: Uint8Array) => unknown;
}

/** Real messages of each kind, at most this many. */
const CORPUS_MAX = 200;
const ENDS = { from: idOf(1), to: idOf(2) };
const LOG_ID = "0123456789abcdef";

function recordMessages(): { datagrams: Uint8Array[]; streams: Uint8Array[] } {
  const found = { datagrams: [] as Uint8Array[], streams: [] as Uint8Array[] };
  const options = { seed: 1, nodeCount: 12, timing: MEMBERSHIP_PRESETS.lan, lossPercent: 10 };
  const world = new MembershipWorld({ ...options, starvedCount: 4 });
  world.onSent = (kind, bytes) => {
    const list = kind === "datagram" ? found.datagrams : found.streams;
    if (list.length < CORPUS_MAX) list.push(bytes);
  };
  const value = new Uint8Array(300).fill(1);
  world.tell(0, { kind: "value_published", key: "load", value });
  world.tell(1, { kind: "value_published", key: "blobs", value: new Uint8Array(3_000) });
  world.advance(60_000);
  return found;
}

function recordCatalogue(): { commands: Uint8Array[]; snapshot: Uint8Array } {
  const catalogue = Catalogue.empty();
  const commands: Uint8Array[] = [];
  const secretHash = new Uint8Array(32);
  for (let index = 1; index <= 20; index++) {
    const name = parseModelName(`model:${index}`);
    if (name === undefined) continue;
    const request = { session: 1, sequence: index, firstUnanswered: index };
    const token = { tokenId: `t-${index}`, verifier: secretHash, expiresAtMs: index, uses: 1 };
    commands.push(
      encodeCommand({
        command: { kind: "open_session", nonce: new Uint8Array(16).fill(index) },
        request: undefined,
      }),
      encodeCommand({ command: { kind: "create_token", ...token }, request }),
      encodeCommand({ command: { kind: "delete_model", name, expected: index }, request }),
    );
  }
  for (const bytes of commands) catalogue.apply(catalogue.appliedIndex + 1, bytes);
  return { commands, snapshot: catalogue.snapshot() };
}

/** Gossip values of a few nodes, none like another. */
function recordValues(): Record<
  "facts" | "load" | "loaded" | "inventory" | "disk",
  Uint8Array[]
> {
  const random = new Random(1);
  const digits = () => random.uint32().toString(16).padStart(8, "0");
  const count = () => random.below(1 << random.below(30));
  const prefix = () => (digits() + digits()) as ManifestPrefix;
  const copy = () => ({
    manifest: prefix(),
    name: `model:${digits()}`,
    sizeBytes: count(),
    vramBytes: count(),
    contextLength: count(),
    expiresAtMs: count(),
    slots: random.below(9),
    runningRequests: random.below(9),
  });
  const values = { facts: [], load: [], loaded: [], inventory: [], disk: [] } as ReturnType<
    typeof recordValues
  >;
  for (let node = 0; node < 20; node++) {
    const clusterAddress = `10.0.0.${node}:11435`;
    const said = { version: "0.3.0", clusterAddress, numericClass: digits(), wire: 2 };
    values.facts.push(encodeNodeFacts({ ...said, name: digits(), catalogueSchema: 1, cores: 8 }));
    values.load.push(encodeNodeLoad({
      runningRequests: random.below(9),
      waitingRequests: random.below(9),
      slots: random.below(9),
      freeSlots: random.below(9),
      decodeTokensPerMinute: count(),
      prefillTokensPerMinute: count(),
      availableBytes: count(),
    }));
    values.disk.push(encodeNodeDisk({ freeBytes: count() }));
    values.loaded.push(encodeLoadedCopies(Array.from({ length: node }, copy)));
    const chunks = encodeInventory(Array.from({ length: node * 10 }, prefix));
    values.inventory.push(chunks.get(INVENTORY_KEYS[0]) ?? new Uint8Array(0));
  }
  return values;
}

/** What three nodes say to each other while they elect, commit and change the group. */
function recordRaft(): Uint8Array[] {
  const group = new RaftGroup(3, { preVote: true, checkQuorum: true });
  const frames: Uint8Array[] = [];
  for (let round = 0; round < 60 && frames.length < CORPUS_MAX; round++) {
    const number = 1 + round % 3;
    const node = group.node(number);
    if (round % 9 === 0) node.campaign();
    node.propose(new Uint8Array(round));
    node.readIndex(`read-${round}`);
    node.tick();
    while ([1, 2, 3].some((other) => group.drive(other))) {
      const messages = group.messages;
      group.messages = [];
      frames.push(...encodeRaftFrames(messages));
      for (const message of messages) group.deliver(message);
    }
  }
  const { from, to } = ENDS;
  const { configuration } = group.view(1);
  const chunk = { from, to, term: 2, id: { term: 1, index: 9 }, configuration, dataBytes: 90 };
  const bytes = new Uint8Array(40);
  return [
    ...frames,
    ...encodeRaftFrames([{ kind: "snapshot_chunk", ...chunk, offset: 50, bytes }]),
    ...encodeRaftFrames([{ kind: "snapshot_chunk_ack", ...chunk, offset: 90 }]),
  ];
}

async function recordLog(): Promise<Uint8Array[]> {
  const disk = new SimulatedDisk();
  const log = await openWal(disk, { ...LOG_OPTIONS, segmentBytes: 8 * 1024, logId: LOG_ID });
  const random = new Random(1);
  for (let serial = 0; serial < 60; serial++) await call(log, drawCall(random, log, serial));
  const files: Uint8Array[] = [];
  for (const name of await disk.list()) files.push(await disk.read(name) ?? new Uint8Array(0));
  return files.map((file) => file.subarray(0, 8 * 1024));
}

/** What strangers may send before anything is known of them. */
async function contactTargets(): Promise<readonly Target[]> {
  const { authority, make } = await identityMaker();
  const { certificate } = await make();
  const text = { secret: new Uint8Array(16), authorityKey: authority.publicKey };
  const tokens = ["t1", "0123456789"].map((tokenId) => encodeJoinToken({ tokenId, ...text }));
  const keys = ["k1", "0123456789"].map((keyId) => encodeApiKey({ keyId, ...text }));
  const headers = [{ name: "content-type", value: "application/json" }];
  const latin1 = (bytes: Uint8Array) => String.fromCharCode(...bytes);
  return [
    { name: "decodeHello", corpus: HELLO_FRAMES.map(encodeHello), decode: decodeHello },
    { name: "decodeJoin", corpus: JOIN_FRAMES.map(encodeJoin), decode: decodeJoin },
    {
      name: "decodeDiscovery",
      corpus: DISCOVERY_PACKETS.map(encodeDiscovery),
      decode: decodeDiscovery,
    },
    {
      name: "decodeJoinToken",
      corpus: tokens.map((token) => new TextEncoder().encode(token)),
      decode: (bytes) => decodeJoinToken(latin1(bytes)),
    },
    {
      name: "decodeApiKey",
      corpus: keys.map((key) => new TextEncoder().encode(key)),
      decode: (bytes) => decodeApiKey(latin1(bytes)),
    },
    {
      name: "client's hello",
      corpus: keys.map((key) => new TextEncoder().encode(JSON.stringify({ key }))),
      decode: (bytes) => decodeHead(clientHelloShape, bytes),
    },
    {
      name: "client's request",
      corpus: ["GET", "POST"].map((method) =>
        new TextEncoder().encode(JSON.stringify({ method, path: "/api/tags?x=1", headers }))
      ),
      decode: (bytes) => decodeHead(requestHeadShape, bytes),
    },
    {
      name: "readCertificate",
      corpus: [certificate],
      decode: (bytes) => readCertificate(Uint8Array.from(bytes)),
    },
  ];
}

function damage(random: Random, corpus: readonly Uint8Array[]): Uint8Array {
  const source = random.pick(corpus) ?? new Uint8Array(0);
  switch (random.below(4)) {
    case 0:
      return Uint8Array.from({ length: random.below(64) }, () => random.below(256));
    case 1:
      return source.subarray(0, random.below(source.length + 1));
    case 2: {
      const other = random.pick(corpus) ?? source;
      const bytes = source.slice();
      const at = random.below(bytes.length + 1);
      bytes.set(other.subarray(0, Math.min(other.length, bytes.length - at)), at);
      return bytes;
    }
    default: {
      const bytes = source.slice();
      for (let change = random.below(5); change >= 0 && bytes.length > 0; change--) {
        bytes[random.below(bytes.length)] = random.below(256);
      }
      return bytes;
    }
  }
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    args: Deno.args.filter((argument) => argument !== "--"),
    options: {
      inputs: { type: "string", default: "1000000" },
      seed: { type: "string", default: "1" },
    },
  });
  const { datagrams, streams } = recordMessages();
  const { commands, snapshot } = recordCatalogue();
  const files = await recordLog();
  const gossip = recordValues();
  const raft = recordRaft();
  const head = { logId: LOG_ID, owner: OWNER, segment: 1, firstSequence: 1, segmentBytes: 0 };
  const payloads = files.flatMap((file) => {
    const payload = readFrame(head, file, 512)?.payload;
    return payload === undefined ? [] : [payload];
  });
  const targets: readonly Target[] = [
    { name: "decodeDatagram", corpus: datagrams, decode: decodeDatagram },
    { name: "decodeSync", corpus: streams, decode: decodeSync },
    { name: "decodeCommand", corpus: commands, decode: decodeCommand },
    { name: "decodeRaftFrame", corpus: raft, decode: (bytes) => decodeRaftFrame(bytes, ENDS) },
    { name: "decodeNodeFacts", corpus: gossip.facts, decode: decodeNodeFacts },
    { name: "decodeNodeDisk", corpus: gossip.disk, decode: decodeNodeDisk },
    { name: "decodeNodeLoad", corpus: gossip.load, decode: decodeNodeLoad },
    { name: "decodeLoadedCopies", corpus: gossip.loaded, decode: decodeLoadedCopies },
    {
      name: "decodeInventory",
      corpus: gossip.inventory,
      decode: (bytes) => decodeInventory(new Map([[INVENTORY_KEYS[0], bytes]])),
    },
    { name: "Catalogue.restore", corpus: [snapshot], decode: (bytes) => Catalogue.restore(bytes) },
    { name: "decodeSegmentHead", corpus: files, decode: decodeSegmentHead },
    { name: "readFrame", corpus: files, decode: (bytes) => readFrame(head, bytes, 512) },
    { name: "decodeRecords", corpus: [...payloads, ...commands], decode: decodeRecords },
    ...await contactTargets(),
    {
      name: "decodeSnapshotFile",
      corpus: files,
      decode: (bytes) => decodeSnapshotFile(LOG_ID, bytes),
    },
  ];
  for (const [position, { name, corpus, decode }] of targets.entries()) {
    const random = new Random(Number(values.seed) * 1_000 + position);
    for (let input = 0; input < Number(values.inputs); input++) {
      const bytes = damage(random, corpus);
      try {
        decode(bytes);
      } catch (error) {
        console.error(`${name} threw at input ${input} of seed ${values.seed}: ${bytes.toHex()}`);
        throw error;
      }
    }
    console.log(`${name}: ${values.inputs} inputs from ${corpus.length} real ones, 0 thrown`);
  }
}

await main();
