import assert from "node:assert/strict";
import { UnavailableError } from "../../src/base/mod.ts";
import type { TransportHandlers } from "../../src/ports/mod.ts";
import { generateSigningKey, type NodeIdentity, parseSigningKey } from "../../src/transport/mod.ts";
// The forgery needs what no face of the transport offers.
import { certificateChain, serverNameOf } from "../../src/transport/identity/authority.ts";
import { readCertificate, signCertificate } from "../../src/transport/identity/certificate.ts";
import { directoryOf } from "../harness/identities.ts";
import { QuicWorld } from "../harness/quic_world.ts";

const NOBODY: TransportHandlers = {
  onDatagram() {},
  onFrame() {},
  onStream() {},
  onSendFailed() {},
  onConnectionLost() {},
};

/** What somebody who once was a member can make of the authority's key: another key certified as the victim's. */
async function forge(world: QuicWorld, victim: NodeIdentity): Promise<NodeIdentity> {
  const key = await generateSigningKey();
  const authorityKey = await parseSigningKey(world.identities.authority.privateKeyPem);
  const honest = readCertificate(victim.certificate);
  assert.ok(authorityKey !== undefined && honest !== undefined);
  const content = { ...honest, kind: "member", publicKey: key.publicKey } as const;
  const certificate = await signCertificate(content, authorityKey);
  const read = readCertificate(certificate) ?? assert.fail();
  const leaf = await signCertificate({
    ...read,
    kind: "leaf",
    subject: serverNameOf(victim.nodeId),
    issuer: victim.nodeId,
  }, key);
  const pem = `-----BEGIN CERTIFICATE-----\n${leaf.toBase64()}\n-----END CERTIFICATE-----\n`;
  const chain = await certificateChain(certificate, { key, linksPem: "", nowMs: Date.now() });
  const rest = chain.pem.split("-----END CERTIFICATE-----\n")[1];
  const certificatePem = `${pem}${rest}-----END CERTIFICATE-----\n`;
  return { ...victim, certificatePem, privateKeyPem: key.privateKeyPem };
}

Deno.test("A former member that holds the authority can't stand in for a node whose key is known", async () => {
  await QuicWorld.run({}, async (world) => {
    const victim = await world.identities.make();
    const forged = await forge(world, victim);
    // It relays the hello word for word, so its identity there is the victim's own.
    const { transport } = await world.open(NOBODY, { identity: forged });
    const to = { nodeId: victim.nodeId, address: transport.address };
    const signal = new AbortController().signal;
    const ignorant = await world.open(NOBODY);
    (await ignorant.transport.openStream(to, signal)).reset();

    const knowing = await world.open(NOBODY, {
      directory: { ...directoryOf(), findKey: () => victim.publicKey },
    });
    await assert.rejects(
      knowing.transport.openStream(to, signal),
      (error) => error instanceof UnavailableError && error.code === "peer_lost",
    );
    const peers = transport.connections().map(({ peer }) => peer);
    assert.deepEqual(peers, [ignorant.nodeId]);
  });
});

Deno.test("A node whose key is known is reached by it", async () => {
  await QuicWorld.run({}, async (world) => {
    const honest = await world.open(NOBODY);
    const knowing = await world.open(NOBODY, {
      directory: { ...directoryOf(), findKey: () => honest.identity.publicKey },
    });
    const to = { nodeId: honest.nodeId, address: honest.transport.address };
    const stream = await knowing.transport.openStream(to, new AbortController().signal);
    assert.equal(stream.peer, honest.nodeId);
    stream.reset();
  });
});
