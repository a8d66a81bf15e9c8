/**
 * Whole nodes in one process: what they draw is the seed's, and nobody takes another's time.
 *
 * @module
 */
import assert from "node:assert/strict";
import { Random } from "../../src/base/mod.ts";
import { NodeWorld } from "../harness/node_world.ts";
import { holdCrypto, stepCrypto } from "../harness/stepped_crypto.ts";

/** What a node calls the requests that it is asked. */
async function requestIdsOf(seed: number): Promise<readonly string[]> {
  await using world = await NodeWorld.start(1, { seed });
  await world.createModel(1);
  const { api } = world.node(1);
  const ask = async () => {
    const answer = await api.generate({
      ...{ model: "m", prompt: "tell me", suffix: "", raw: false, images: [], options: {} },
      ...{ truncate: true, shift: true, topLogprobs: -1, debugRenderOnly: false },
    }, new AbortController().signal);
    assert.ok(answer.kind === "stream");
    await Array.fromAsync(answer.chunks);
  };
  await world.settle(ask());
  await world.settle(ask());
  const stretches = world.machine(1).recorder?.stretches(0) ?? [];
  return stretches.filter(({ part }) => part === "answer").map(({ id }) => id);
}

Deno.test("A world's requests are named by its seed", async () => {
  const ids = await requestIdsOf(7);
  assert.equal(new Set(ids).size, 2);
  assert.deepEqual(await requestIdsOf(7), ids);
  assert.notDeepEqual(await requestIdsOf(8), ids);
});

Deno.test("Nobody passes time while a call of the runtime's cryptography is made for somebody else", async () => {
  const secret = new Uint8Array(8);
  const key = await crypto.subtle.importKey("raw", secret, "PBKDF2", false, ["deriveBits"]);
  const slow = { name: "PBKDF2", hash: "SHA-256", salt: secret, iterations: 300_000 };
  const letGo = holdCrypto(new Random(1));
  try {
    let isMade = false;
    const made = crypto.subtle.deriveBits(slow, key, 256).then(() => void (isMade = true));
    const stepped = stepCrypto();
    assert.equal(isMade, false);
    assert.equal(await stepCrypto(), true);
    assert.equal(isMade, true);
    assert.equal(await stepped, true);
    await made;
    assert.equal(await stepCrypto(), false);
  } finally {
    letGo();
  }
});
