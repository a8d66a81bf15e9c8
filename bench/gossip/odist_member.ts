/**
 * A node that does nothing but watch the others: odist's membership on its own transport, in a process.
 *
 * `odist_member.ts IDENTITIES_FILE INDEX ADDRESS [INDEX=ADDRESS…]`; started by `membership_real.ts`.
 *
 * @module
 */
import { type Incarnation, type NodeId, Random } from "../../src/base/mod.ts";
import { MEMBERSHIP_PRESETS } from "../../src/core/membership/mod.ts";
import { systemClock } from "../../src/node/system_ports.ts";
import { openMembership } from "../../src/members/membership_driver.ts";
import type { Log, Metrics } from "../../src/ports/mod.ts";
import { nodeIdOf } from "../../src/protocol/mod.ts";
import {
  issueCertificate,
  nodeIdentity,
  openTransport,
  parseAuthority,
  parseSigningKey,
  type SigningKey,
} from "../../src/transport/mod.ts";
import { type BenchIdentities, CLUSTER_PORT } from "./odist.ts";

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

async function main(): Promise<void> {
  const [path = "", position = "", address = "", ...seeds] = Deno.args;
  const identities = JSON.parse(await Deno.readTextFile(path)) as BenchIdentities;
  const keys = await Promise.all(identities.keys.map(readKey));
  const ids = keys.map((key) => nodeIdOf(key.publicKey));
  const idAt = (index: number): NodeId => ids[index] ?? failed(`no node ${index}`);
  const index = Number(position);
  const key = keys[index] ?? failed(`no key ${index}`);
  const authority = await parseAuthority(identities.authority) ?? failed("no authority");
  const nowMs = Date.now();
  const { publicKey } = key;
  const certificate = await issueCertificate(authority, { publicKey, nowMs });
  const transport = await openTransport({
    listen: { hostname: address, port: CLUSTER_PORT },
    identity: await nodeIdentity({ key, certificate, authority, nowMs }),
    directory: { judge: (nodeId) => ids.includes(nodeId) ? "admitted" : "unknown" },
    clock: systemClock,
    log: LOG,
    metrics: NO_METRICS,
    handlers: {
      onDatagram: (from, bytes) => driver.receiveDatagram(from, bytes),
      onFrame: (from, _channel, bytes) => driver.receiveFrame(from, bytes),
      onStream: (stream) => stream.reset(),
      onSendFailed: (to, what) => driver.sendFailed(to, what),
      onConnectionLost: (peer) => driver.connectionLost(peer),
    },
  });
  const driver = openMembership({
    nodeId: idAt(index),
    address: `${address}:${CLUSTER_PORT}`,
    // Rises with each start, which is all that a process without a disk can promise.
    bootEpoch: Math.floor(Date.now() / 1_000),
    incarnation: 0 as Incarnation,
    timing: MEMBERSHIP_PRESETS.lan,
    transport,
    clock: systemClock,
    random: new Random(crypto.getRandomValues(new Uint32Array(1))[0] ?? 0),
    log: LOG,
    metrics: NO_METRICS,
    saveIdentity: () => Promise.resolve(),
    onFailed: ({ kind }) => failed(kind),
  });
  driver.onMemberChanged(({ nodeId, member }) => {
    const standing = member?.standing === "left" ? "down" : member?.standing ?? "down";
    console.log(JSON.stringify({ subject: ids.indexOf(nodeId), standing }));
  });
  driver.join(seeds.map((seed) => {
    const [index = "", address = ""] = seed.split("=");
    return { nodeId: idAt(Number(index)), address: `${address}:${CLUSTER_PORT}` };
  }));
}

async function readKey(pem: string): Promise<SigningKey> {
  return await parseSigningKey(pem) ?? failed("no key");
}

function failed(reason: string): never {
  throw new Error(reason);
}

await main();
