/**
 * A process with one transport, which says a word to a peer, closes and ends at once. Reads from its first argument what
 * {@link ClosingNode} has.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { NodeId } from "../../src/base/mod.ts";
import {
  generateSigningKey,
  issueCertificate,
  nodeIdentity,
  openTransport,
  parseAuthority,
} from "../../src/transport/mod.ts";
import { directoryOf } from "./identities.ts";
import { testClock } from "./quic_world.ts";
import { RecordingTelemetry } from "./scripted_client.ts";
import { RecordingNode } from "./transport_contract.ts";

/** What the process is told. */
export interface ClosingNode {
  readonly chainPem: string;
  readonly privateKeyPem: string;
  readonly peer: { readonly nodeId: NodeId; readonly address: string };
}

if (import.meta.main) {
  const told: ClosingNode = JSON.parse(Deno.args[0] ?? "");
  const authority = await parseAuthority(told);
  assert.ok(authority);
  const key = await generateSigningKey();
  const nowMs = Date.now();
  const certificate = await issueCertificate(authority, { publicKey: key.publicKey, nowMs });
  const node = new RecordingNode();
  const transport = await openTransport({
    listen: { hostname: "127.0.0.1", port: 0 },
    identity: await nodeIdentity({ key, certificate, authority, nowMs }),
    directory: directoryOf(),
    handlers: node,
    clock: testClock,
    log: new RecordingTelemetry(),
    metrics: new RecordingTelemetry(),
  });
  node.transport = transport;
  node.send(told.peer, "here I am");
  await node.until(() => node.frames.length === 1);
  await transport.close();
  Deno.exit(0);
}
