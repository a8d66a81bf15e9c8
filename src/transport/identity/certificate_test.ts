import assert from "node:assert/strict";
import { nodeIdOf } from "../../protocol/mod.ts";
import {
  anchorFromKey,
  createAuthority,
  generateSigningKey,
  issueCertificate,
  nodeIdentity,
  parseAuthority,
  parseSigningKey,
  serverNameOf,
} from "./mod.ts";
import { isRenewalDue, judgeCertificate } from "./authority.ts";
import { readCertificate, signCertificate } from "./certificate.ts";

const NOW_MS = Date.UTC(2026, 5, 1);
const HOUR_MS = 60 * 60 * 1_000;
const DAY_MS = 24 * HOUR_MS;

async function certify(nowMs = NOW_MS) {
  const authority = await createAuthority(nowMs);
  const key = await generateSigningKey();
  const certificate = await issueCertificate(authority, { publicKey: key.publicKey, nowMs });
  return {
    authority,
    key,
    certificate,
    identity: await nodeIdentity({ key, certificate, authority, nowMs }),
  };
}

Deno.test("What a node shows in TLS is valid for two weeks at most, as browsers want it", async () => {
  const { identity } = await certify();
  const leaf = readCertificate(identity.leaf) ?? assert.fail();
  const { notBeforeMs, notAfterMs } = leaf;
  assert.deepEqual(identity.leafValidity, { notBeforeMs, notAfterMs }, "known without reading");
  assert.ok(leaf.notAfterMs - leaf.notBeforeMs <= 14 * DAY_MS);
  assert.ok(leaf.notBeforeMs <= NOW_MS - DAY_MS && leaf.notAfterMs >= NOW_MS + 10 * DAY_MS);
  assert.ok(identity.certificatePem.includes(identity.leaf.toBase64().slice(0, 60)));
});

Deno.test("A certificate that was read is not read again, until many others were", async () => {
  const { certificate, authority } = await certify();
  const first = readCertificate(certificate);
  assert.equal(readCertificate(certificate.slice()), first);
  const changed = certificate.slice();
  changed[changed.length - 1] = (changed.at(-1) ?? 0) ^ 1;
  assert.notEqual(readCertificate(changed), first);
  for (let count = 0; count < 16; count++) {
    const { publicKey } = await generateSigningKey();
    readCertificate(await issueCertificate(authority, { publicKey, nowMs: NOW_MS }));
  }
  const again = readCertificate(certificate);
  assert.notEqual(again, first);
  assert.deepEqual(again?.names, first?.names);
});

Deno.test("A certificate belongs to the id of its key and to its authority alone", async () => {
  const { authority, certificate, identity } = await certify();
  const other = await createAuthority(NOW_MS);
  const judge = (authorityKey: Uint8Array<ArrayBuffer>) =>
    judgeCertificate(certificate, { authorityKey, nowMs: NOW_MS });
  const judged = await judge(authority.publicKey);
  assert.equal(judged.kind, "valid");
  assert.ok(judged.kind === "valid" && judged.nodeId === identity.nodeId);
  assert.equal((await judge(other.publicKey)).kind, "other_authority");
});

Deno.test("A certificate forgives clocks that are hours off and says so about clocks that are years off", async () => {
  const { authority, certificate } = await certify();
  const at = async (nowMs: number) =>
    (await judgeCertificate(certificate, { authorityKey: authority.publicKey, nowMs })).kind;
  assert.equal(await at(NOW_MS - 23 * HOUR_MS), "valid");
  assert.equal(await at(NOW_MS - 25 * HOUR_MS), "not_yet_valid");
  assert.equal(await at(NOW_MS + 364 * DAY_MS), "valid");
  assert.equal(await at(NOW_MS + 366 * DAY_MS), "expired");
  const read = readCertificate(certificate) ?? assert.fail();
  assert.equal(isRenewalDue(read, NOW_MS + 200 * DAY_MS), false);
  assert.equal(isRenewalDue(read, NOW_MS + 250 * DAY_MS), true);
});

Deno.test("A certificate with any bit changed is refused", async () => {
  const { authority, certificate } = await certify();
  for (let at = 0; at < certificate.length; at += 7) {
    const changed = certificate.slice();
    changed[at] = (changed[at] ?? 0) ^ (1 << (at % 8));
    const by = { authorityKey: authority.publicKey, nowMs: NOW_MS };
    assert.notEqual((await judgeCertificate(changed, by)).kind, "valid", `byte ${at}`);
  }
});

Deno.test("A certificate that names another node than its key's is refused", async () => {
  const { authority, key } = await certify();
  const signer = await parseSigningKey(authority.privateKeyPem) ?? assert.fail();
  const other = "0123456789abcdef";
  const content = {
    kind: "member" as const,
    subject: nodeIdOf(key.publicKey),
    issuer: "odist",
    publicKey: key.publicKey,
    notBeforeMs: NOW_MS - DAY_MS,
    notAfterMs: NOW_MS + DAY_MS,
    names: [`${nodeIdOf(key.publicKey)}.odist`],
  };
  const judge = async (changed: Partial<typeof content>) => {
    const certificate = await signCertificate({ ...content, ...changed }, signer);
    const by = { authorityKey: authority.publicKey, nowMs: NOW_MS };
    return (await judgeCertificate(certificate, by)).kind;
  };
  assert.equal(await judge({}), "valid");
  assert.equal(await judge({ subject: nodeIdOf(authority.publicKey) }), "malformed");
  assert.equal(await judge({ names: [`${other}.odist`] }), "malformed");
});

Deno.test("A certificate with bytes behind it is refused", async () => {
  const { certificate } = await certify();
  assert.equal(readCertificate(Uint8Array.from([...certificate, 0])), undefined);
});

Deno.test("Keys and authorities survive the way through their files", async () => {
  const { authority, key } = await certify();
  assert.deepEqual((await parseSigningKey(key.privateKeyPem))?.publicKey, key.publicKey);
  assert.deepEqual(await parseAuthority(authority), authority);
  const other = await createAuthority(NOW_MS);
  const mixed = { ...authority, privateKeyPem: other.privateKeyPem };
  assert.equal(await parseAuthority(mixed), undefined);
  assert.equal(await parseSigningKey("-----BEGIN PRIVATE KEY-----\nnonsense"), undefined);
});

Deno.test("QUIC takes the certificates, by authority or by its key alone, and no other's", async () => {
  const { authority, identity } = await certify(Date.now());
  const stranger = await createAuthority(Date.now());
  const endpoint = new Deno.QuicEndpoint({ hostname: "127.0.0.1", port: 0 });
  const listener = endpoint.listen({
    cert: identity.certificatePem,
    key: identity.privateKeyPem,
    alpnProtocols: ["odist/1"],
  });
  const accepting = acceptUntilStopped(listener);
  const connect = async (caCert: string, serverName: string) => {
    const connection = await Deno.connectQuic({
      hostname: "127.0.0.1",
      port: endpoint.addr.port,
      serverName,
      caCerts: [caCert],
      alpnProtocols: ["odist/1"],
    });
    connection.close({ closeCode: 0, reason: "" });
    await connection.closed;
  };
  try {
    const anchor = await anchorFromKey(authority.publicKey, Date.now());
    await connect(identity.authorityPem, serverNameOf(identity.nodeId));
    await connect(anchor, "cluster.odist");
    const strange = await anchorFromKey(stranger.publicKey, Date.now());
    await assert.rejects(connect(strange, "cluster.odist"), /certificate/);
    await assert.rejects(connect(anchor, "0123456789abcdef.odist"), /certificate/);
  } finally {
    listener.stop();
    endpoint.close();
    await accepting;
  }
});

async function acceptUntilStopped(listener: Deno.QuicListener): Promise<void> {
  while (true) {
    let incoming: Deno.QuicIncoming;
    try {
      incoming = await listener.incoming();
    } catch {
      return; // Stopped.
    }
    try {
      await incoming.accept();
    } catch {
      // Half of the connections of this test are to be refused.
    }
  }
}
