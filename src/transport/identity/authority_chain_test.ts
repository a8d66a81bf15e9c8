import assert from "node:assert/strict";
import { clusterIdOf } from "../../protocol/mod.ts";
import {
  type Authority,
  authorityIds,
  createAuthority,
  isSuccessor,
  parseAuthority,
  parseChain,
  succeedAuthority,
} from "./mod.ts";
import { signerOf } from "./authority_chain.ts";

const NOW_MS = Date.UTC(2026, 5, 1);

/** An authority and those that followed it. */
async function generations(count: number): Promise<readonly Authority[]> {
  const all = [await createAuthority(NOW_MS)];
  for (let at = 1; at < count; at++) {
    all.push(await succeedAuthority(all[at - 1] ?? assert.fail(), NOW_MS));
  }
  return all;
}

Deno.test("An authority that follows another keeps the cluster's id, and is believed by the signatures between them", async () => {
  const all = await generations(8);
  const [first] = all;
  for (const [at, one] of all.entries()) {
    assert.equal(one.clusterId, first?.clusterId);
    assert.ok(one.chainPem.length < 4_096, `${one.chainPem.length} characters`);
    assert.deepEqual(await parseAuthority(one), one);
    // Four links lead back; who missed more of them has to be told by people.
    for (const [before, known] of all.slice(0, at).entries()) {
      assert.equal(await isSuccessor(one, known), at - before <= 4, `${before} to ${at}`);
    }
  }
});

Deno.test("An authority that nobody known has signed does not follow, whatever it says of itself", async () => {
  const [first, second] = await generations(2);
  const stranger = await createAuthority(NOW_MS);
  assert.ok(first !== undefined && second !== undefined);
  assert.equal(await isSuccessor(stranger, first), false);
  const strangers = await succeedAuthority(stranger, NOW_MS);
  const [own = "", link = ""] = strangers.chainPem.split(/(?<=-----END CERTIFICATE-----\n)/);
  const claimed = await parseChain(own + link + first.chainPem) ?? assert.fail();
  assert.equal(claimed.clusterId, first.clusterId);
  assert.equal(await isSuccessor(claimed, first), false);
  assert.equal(await isSuccessor(claimed, second), false);
});

Deno.test("Where an authority's key was lost, the one before it makes another that is believed", async () => {
  const [first, second] = await generations(2);
  assert.ok(first !== undefined && second !== undefined);
  const by = { privateKeyPem: first.privateKeyPem, nowMs: NOW_MS };
  const former = await signerOf(second, by) ?? assert.fail();
  const third = await succeedAuthority(former, NOW_MS);
  assert.equal(await isSuccessor(third, second), true);
  assert.deepEqual(authorityIds(third), [third, first].map((one) => clusterIdOf(one.publicKey)));
  const stranger = await createAuthority(NOW_MS);
  const strange = { privateKeyPem: stranger.privateKeyPem, nowMs: NOW_MS };
  assert.equal(await signerOf(second, strange), undefined);
});
