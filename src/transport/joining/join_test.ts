import assert from "node:assert/strict";
import { PeerError, RequestError, UnavailableError } from "../../base/mod.ts";
import { nodeIdOf } from "../../protocol/mod.ts";
import { MemoryPipe } from "../../../tests/harness/frame_pipes.ts";
import { DEAD_DIAL, join, JoinDesk, LeapingClock } from "../../../tests/harness/join_desk.ts";
import { generateSigningKey, judgeCertificate, parseChain } from "../identity/mod.ts";
import { STRANGERS_PATIENCE_MS } from "./join_policy.ts";
import type { JoinAttempt } from "./mod.ts";

async function assertRefused(joining: Promise<unknown>, text: RegExp): Promise<void> {
  await assert.rejects(joining, (error) => {
    assert.ok(error instanceof RequestError, String(error));
    assert.equal(error.code, "join_refused");
    assert.match(error.message, text);
    return true;
  });
}

Deno.test("A join brings a certificate, the authority and the other members", async () => {
  const desk = await JoinDesk.open();
  const key = await generateSigningKey();
  const answer = await join(await desk.createToken(), { dial: desk.dial, key });
  const { authority } = desk.cluster;
  const { clusterId, publicKey, chainPem } = authority;
  assert.deepEqual(await parseChain(answer.authorityChainPem), { clusterId, publicKey, chainPem });
  assert.doesNotMatch(JSON.stringify(answer), /PRIVATE/);
  const by = { authorityKey: authority.publicKey, nowMs: Date.now() };
  const judged = await judgeCertificate(answer.certificate, by);
  assert.ok(judged.kind === "valid" && judged.nodeId === nodeIdOf(key.publicKey));
  assert.deepEqual(answer.members.map(({ name, address }) => ({ name, address })), [
    { name: "desk", address: "127.0.0.1:1" },
  ]);
  assert.deepEqual(desk.outcomes, ["admitted"]);
});

Deno.test("A join whose answer was lost works again with the same key, its token used up", async () => {
  const desk = await JoinDesk.open();
  const key = await generateSigningKey();
  const token = await desk.createToken({ uses: 1 });
  await join(token, { dial: desk.dial, key });
  assert.equal(desk.tokens.size, 0);
  const answer = await join(token, { dial: desk.dial, key });
  assert.equal(answer.clusterId, desk.cluster.authority.clusterId);
  assert.deepEqual(desk.outcomes, ["admitted", "again"]);
  assert.equal(desk.admitted.length, 1);
});

Deno.test("A node of another version is no member before it is updated: its token is still good", async () => {
  const desk = await JoinDesk.open();
  const token = await desk.createToken({ uses: 1 });
  const key = await generateSigningKey();
  const newest = { min: 7, max: 8 };
  const speaks = { wire: newest, catalogue: { min: 1, max: 9 } };
  const other = desk.identity.nodeId;
  await assertRefused(
    join(token, { dial: desk.dial, key, speaks }),
    new RegExp(
      `wire versions 7 to 8, node ${other} wire versions 1 to 2: update odist on node ${other}`,
    ),
  );
  assert.deepEqual(desk.admitted, []);
  const old = { wire: { min: 1, max: 1 }, catalogue: { min: 0, max: 0 } };
  const self = nodeIdOf(key.publicKey);
  await assertRefused(
    join(token, { dial: desk.dial, key, speaks: old }),
    new RegExp(`catalogue version 0, .*: update odist on node ${self}`),
  );
  await join(token, { dial: desk.dial, key });
  assert.deepEqual(desk.outcomes.at(-1), "admitted");
});

Deno.test("A join waits for a quorum, longer each time, and gives up at last", async () => {
  const desk = await JoinDesk.open();
  const token = await desk.createToken();
  let failures = 0;
  desk.admitInstead = () => {
    if (++failures === 3) desk.admitInstead = undefined;
    throw new UnavailableError("no_quorum", "no leader answers");
  };
  const clock = new LeapingClock();
  const attempts: JoinAttempt[] = [];
  const onAttemptFailed = (attempt: JoinAttempt) => attempts.push(attempt);
  await join(token, { dial: desk.dial, clock, onAttemptFailed });
  assert.deepEqual(clock.waitsMs, [250, 500, 1_000]);
  assert.deepEqual(attempts.map(({ kind }) => kind), ["busy", "busy", "busy"]);

  desk.admitInstead = () => {
    throw new UnavailableError("no_quorum", "no leader answers");
  };
  await assert.rejects(
    join(await desk.createToken(), { dial: desk.dial }),
    (error) => error instanceof UnavailableError && error.code === "no_quorum",
  );
});

Deno.test("A join tries each seed and names each in its error", async () => {
  const desk = await JoinDesk.open();
  const seeds = [{ hostname: "dead", port: 1 }, { hostname: "::1", port: 2 }];
  const dial: typeof desk.dial = (seed, trust) =>
    (seed.hostname === "dead" ? DEAD_DIAL : desk.dial)(seed, trust);
  await join(await desk.createToken(), { dial, seeds });
  await assert.rejects(join(await desk.createToken(), { dial: DEAD_DIAL, seeds }), (error) => {
    assert.ok(error instanceof UnavailableError && error.code === "node_unreachable");
    assert.match(error.message, /dead:1: nobody answered; \[::1\]:2: nobody answered/);
    return true;
  });
});

Deno.test("A join waits for a member that goes over to the token's authority just then", async () => {
  const [desk, before] = [await JoinDesk.open(), await JoinDesk.open()];
  const token = await desk.createToken();
  for (const [tokenId, row] of desk.tokens) before.tokens.set(tokenId, row);
  let dials = 0;
  const dial: typeof desk.dial = (seed, trust) => {
    dials++;
    if (dials === 1) throw new PeerError("peer_refused", "its certificate is a former authority's");
    if (dials > 2) return desk.dial(seed, trust);
    // It has gone over between TLS, as a former authority's links lead to the next one, and its word.
    const { left, right } = MemoryPipe.pair();
    void before.answer(right).finally(() => right.end());
    return Promise.resolve({ pipe: left, close: () => left.end() });
  };
  const attempts: JoinAttempt[] = [];
  const onAttemptFailed = (attempt: JoinAttempt) => attempts.push(attempt);
  await join(token, { dial, onAttemptFailed });
  assert.deepEqual(attempts.map(({ kind }) => kind), ["other_cluster", "other_cluster"]);
  assert.deepEqual(desk.outcomes, ["admitted"]);
});

Deno.test("A join with another cluster's token gives up within seconds, and says what may be wrong", async () => {
  const [desk, other] = [await JoinDesk.open(), await JoinDesk.open()];
  const clock = new LeapingClock();
  const joining = join(await other.createToken(), { dial: desk.dial, clock });
  await assertRefused(joining, /no address leads there.*a machine was revoked since/);
  assert.ok(clock.waitsMs.length > 0 && clock.monotonicMs() <= STRANGERS_PATIENCE_MS);
});

Deno.test("A join ends when it is told to", async () => {
  const stop = new AbortController();
  const desk = await JoinDesk.open();
  const onAttemptFailed = () => stop.abort(new Error("stopped"));
  const joining = join(await desk.createToken(), {
    dial: DEAD_DIAL,
    signal: stop.signal,
    onAttemptFailed,
  });
  await assert.rejects(joining, /stopped/);
});

Deno.test("A joiner's name can't write over the lines of a terminal", async () => {
  const desk = await JoinDesk.open();
  await join(await desk.createToken(), { dial: desk.dial, name: "evil\u001b[2J\nroot" });
  assert.equal(desk.admitted[0]?.name, "evil\ufffd[2J\ufffdroot");
});

Deno.test("A token that can't be read is refused before anybody is asked", async () => {
  await assertRefused(join("odist-abcdef", { dial: DEAD_DIAL }), /typo/);
});
