/**
 * One member of odist's group as a process of its own: the shipped transport, log and driver, and a port for the bench's
 * client. `odist_member.ts SETUP_FILE INDEX`; prints its client's address and whether it leads. With the environment's
 * ODIST_BENCH_PROFILE=FOLDER it leaves a CPU profile there when it is told to end.
 *
 * @module
 */
import inspector from "node:inspector";
import { type NodeId, Random } from "../../src/base/mod.ts";
import { limitEntries } from "../../src/core/raft/mod.ts";
import { systemClock } from "../../src/node/system_ports.ts";
import type { Group } from "../../src/group/group.ts";
import { openGroup } from "../../src/group/open_group.ts";
import type { Log, Metrics } from "../../src/ports/mod.ts";
import { nodeIdOf } from "../../src/protocol/mod.ts";
import { openDisk, openWal } from "../../src/storage/mod.ts";
import {
  issueCertificate,
  nodeIdentity,
  openTransport,
  parseAuthority,
  parseSigningKey,
} from "../../src/transport/mod.ts";
import { ANSWER_BYTES, readRecords, RecordWriter, REQUEST_BYTES } from "./commit_wire.ts";

/** What the members of one bench share. For throw-away clusters only. */
export interface MemberSetup {
  readonly authority: { readonly chainPem: string; readonly privateKeyPem: string };
  readonly members: readonly {
    readonly privateKeyPem: string;
    readonly port: number;
    readonly folder: string;
  }[];
}

const NO_METRICS: Metrics = {
  increment: () => {},
  set: () => {},
  observe: () => {},
  render: () => Promise.resolve({ contentType: "text/plain", text: "" }),
};
const LOG: Log = {
  log: (level, event, values) => {
    if (level === "warn" || level === "error") console.error(event, JSON.stringify(values));
  },
};
const DECODER = new TextDecoder();

function profileInto(folder: string, name: string): void {
  const session = new inspector.Session();
  session.connect();
  session.post("Profiler.enable");
  session.post("Profiler.start");
  Deno.addSignalListener("SIGTERM", () => {
    session.post("Profiler.stop", (_error: unknown, result: { readonly profile: unknown }) => {
      Deno.writeTextFileSync(`${folder}/${name}.cpuprofile`, JSON.stringify(result.profile));
      Deno.exit(0);
    });
  });
}

async function main(): Promise<void> {
  const [path = "", position = ""] = Deno.args;
  const setup = JSON.parse(await Deno.readTextFile(path)) as MemberSetup;
  const keys = await Promise.all(
    setup.members.map(async (member) => await parseSigningKey(member.privateKeyPem) ?? fail("key")),
  );
  const ids = keys.map((key) => nodeIdOf(key.publicKey));
  const own = setup.members[Number(position)] ?? fail("index");
  const key = keys[Number(position)] ?? fail("key");
  const nodeId = ids[Number(position)] ?? fail("id");
  const authority = await parseAuthority(setup.authority) ?? fail("authority");
  const { publicKey } = key;
  const nowMs = Date.now();
  const certificate = await issueCertificate(authority, { publicKey, nowMs });
  const addresses = new Map<NodeId, string>(
    ids.map((id, index) => [id, `127.0.0.1:${setup.members[index]?.port}`]),
  );
  // Frames may come before the group is open; Raft sends again.
  const late: { group?: Group } = {};
  const transport = await openTransport({
    listen: { hostname: "127.0.0.1", port: own.port },
    identity: await nodeIdentity({ key, certificate, authority, nowMs }),
    directory: { judge: (id) => ids.includes(id) ? "admitted" : "unknown" },
    clock: systemClock,
    log: LOG,
    metrics: NO_METRICS,
    handlers: {
      onDatagram: () => {},
      onFrame: (from, _channel, bytes) => late.group?.receive(from, bytes),
      onStream: (stream) => stream.reset(),
      onSendFailed: (to) => late.group?.reportUnreachable(to),
      onConnectionLost: (peer) => late.group?.reportUnreachable(peer),
    },
  });
  const group = await openGroup({
    nodeId,
    store: await openWal(await openDisk(own.folder), { owner: nodeId, limitEntries }),
    transport,
    addressOf: (id) => addresses.get(id) ?? "",
    clock: systemClock,
    random: new Random(crypto.getRandomValues(new Uint32Array(1))[0] ?? 0),
    log: LOG,
    metrics: NO_METRICS,
    founding: { voters: ids },
  });
  late.group = group;
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  const profileFolder = Deno.env.get("ODIST_BENCH_PROFILE");
  if (profileFolder !== undefined) profileInto(profileFolder, `member${position}`);
  const tell = () => {
    console.log(JSON.stringify({ client: `127.0.0.1:${port}`, role: group.view().role }));
  };
  group.onChanged(tell);
  tell();
  for await (const connection of listener) void serve(connection, group);
}

async function serve(connection: Deno.TcpConn, group: Group): Promise<void> {
  connection.setNoDelay(true);
  const answers = new RecordWriter(connection.writable);
  const take = (record: DataView) => {
    const id = record.getUint32(0);
    const answer = new DataView(new ArrayBuffer(ANSWER_BYTES));
    answer.setUint32(0, id);
    const reply = (status: number) => {
      answer.setUint32(4, status);
      answers.write(new Uint8Array(answer.buffer));
    };
    const key = `bench.k${record.getUint32(4)}`;
    const value = DECODER.decode(
      new Uint8Array(record.buffer, record.byteOffset + 8, record.byteLength - 8),
    );
    group.propose({ kind: "put_setting", key, value, expected: undefined }).then(
      (outcome) => reply(outcome.kind === "applied" ? 0 : 1),
      () => reply(1),
    );
  };
  try {
    await readRecords(connection.readable, { recordBytes: REQUEST_BYTES, take });
  } catch (error) {
    console.error("client lost", String(error));
  }
}

function fail(what: string): never {
  throw new Error(`no such ${what} in the setup`);
}

await main();
