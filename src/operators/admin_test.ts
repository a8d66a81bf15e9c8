import assert from "node:assert/strict";
import { HandClock } from "../../tests/harness/hand_clock.ts";
import { A, B, PromptGroup } from "../../tests/harness/prompt_group.ts";
import {
  type Digest,
  isEdgeError,
  type NodeId,
  RequestError,
  UnavailableError,
} from "../base/mod.ts";
import { drainKey, leaveKey } from "../core/catalogue/mod.ts";
import { sleepKey, writeSleep } from "../core/sleeping/mod.ts";
import type { ChangesStanding } from "../core/voting/mod.ts";
import type { Clock, ConnectionView } from "../ports/mod.ts";
import { encodeCommand, encodeManifest, parseModelName } from "../protocol/mod.ts";
import { Credentials } from "./credentials.ts";
import { Admin, type SeenMember } from "./admin.ts";

const C = "00000000000000cc" as NodeId;

const STILL_CLOCK: Clock = {
  nowMs: () => 1_000_000,
  monotonicMs: () => 0,
  after: () => ({ cancel() {} }),
};

class Scene {
  readonly group = new PromptGroup();
  connections: readonly ConnectionView[] = [];
  readonly seen = new Map<NodeId, SeenMember>();
  changes: ChangesStanding = { kind: "possible" };
  departed = 0;
  recovered = 0;
  alone: readonly string[] = [];
  authority = () => Promise.resolve(new Uint8Array([1]));
  wake: (nodeId: NodeId) => Promise<number> = () => Promise.resolve(0);
  readonly admin: Admin;
  #draws = 0;

  constructor(clock: Clock = STILL_CLOCK) {
    this.admin = new Admin({
      placement: () => [],
      backendFile: () => Promise.resolve(undefined),
      self: { nodeId: A, clusterId: "c".repeat(16), name: "a", version: "0.1.0" },
      group: this.group,
      changes: () => this.changes,
      seen: (nodeId) => this.seen.get(nodeId),
      clock,
      credentials: new Credentials({
        group: this.group,
        clock,
        drawBytes: (count) => new Uint8Array(count).fill(++this.#draws),
        tokenVerifier: (secret) => Promise.resolve(new Uint8Array(32).fill(secret[0] ?? 0)),
        hashSecret: (secret) => Promise.resolve(new Uint8Array(32).fill(secret[0] ?? 0)),
        authority: () => this.authority(),
        encodeToken: ({ id, secret }, [key = 0]) => `token-${id}-${secret.length}-${key}`,
        encodeKey: ({ id, secret }) => `key-${id}-${secret.length}`,
      }),
      tenants: () => [],
      modelsHereAlone: () => this.alone,
      webTransport: () => ({ port: 1, path: "/", certificateHash: "" }),
      depart: () => Promise.resolve(void this.departed++),
      recover: () => Promise.resolve(void this.recovered++),
      warnings: () => ["mind the gap"],
      connections: () => this.connections,
      roundTrips: (peers) => Promise.resolve(new Map(peers.map(({ nodeId }) => [nodeId, 2]))),
      wake: (nodeId) => this.wake(nodeId),
      logs: async function* () {},
      saveIncident: () => Promise.resolve(new Uint8Array()),
    });
  }

  async admit(nodeId: NodeId, label: string, standing?: SeenMember["standing"]): Promise<void> {
    const publicKey = new Uint8Array(40).fill(Number.parseInt(nodeId.slice(-2), 16));
    const row = { nodeId, publicKey, label, tokenId: undefined, atMs: 1 };
    await this.group.propose({ kind: "admit_member", ...row });
    if (standing === undefined) return;
    const known = { standing, address: "h:1", version: "0.1.0", load: undefined };
    this.seen.set(nodeId, known);
  }
}

function hasCode(code: string): (error: unknown) => boolean {
  return (error) => isEdgeError(error) && error.code === code;
}

Deno.test("Admin.status() names roles and is healthy only while nobody is doubted", async () => {
  const scene = new Scene();
  await scene.admit(A, "a", "alive");
  await scene.admit(B, "b", "alive");

  const well = await scene.admin.status();
  assert.equal(well.health, "healthy");
  assert.deepEqual(well.members.map(({ name, role, health }) => [name, role, health]), [
    ["a", "leader", "alive"],
    ["b", "learner", "alive"],
  ]);
  assert.equal(well.stateHash, scene.group.catalogue.stateHash());

  await scene.admit(C, "c");
  assert.equal((await scene.admin.status()).health, "degraded");
  scene.group.leader = undefined;
  assert.equal((await scene.admin.status()).health, "no_quorum");
});

Deno.test("Admin.createKey() keeps only the secret's hash, for ever or for a span", async () => {
  const scene = new Scene();
  const wish = { label: "laptop", lifetimeMs: 0, scopes: ["use", "models"] } as const;
  const made = await scene.admin.createKey(wish);
  const { key, keyId } = made;
  assert.equal(key, `key-${keyId}-16`);
  const times = { createdAtMs: 1_000_000, expiresAtMs: 0, lastUsedAtMs: 0 };
  const limits = { weight: 1, requestsPerMinute: 0, tokensPerDay: 0, concurrentRequests: 0 };
  const listed = { keyId, label: "laptop", ...times, scopes: wish.scopes, limits };
  assert.deepEqual(made, { key, ...listed });
  assert.deepEqual(await scene.admin.listKeys(), [listed]);
  assert.equal(scene.group.catalogue.findApiKey(keyId)?.secretHash.length, 32);
  const short = await scene.admin.createKey({ ...wish, label: "", lifetimeMs: 60_000 });
  assert.equal(short.expiresAtMs, 1_060_000);

  await scene.admin.revokeKey(keyId);
  await assert.rejects(scene.admin.revokeKey(keyId), hasCode("key_not_found"));
  assert.deepEqual((await scene.admin.listKeys()).map((row) => row.keyId), [short.keyId]);
  for (const wrong of [{ label: "x".repeat(65), lifetimeMs: 0 }, { label: "", lifetimeMs: 5 }]) {
    await assert.rejects(scene.admin.createKey({ ...wish, ...wrong }), hasCode("invalid_request"));
  }
});

Deno.test("Admin.limitKey() changes what is named, and a key's limits go with it", async () => {
  const scene = new Scene();
  const wish = { label: "", lifetimeMs: 0, scopes: ["use"] } as const;
  const limits = { weight: 3, requestsPerMinute: 60, tokensPerDay: 0, concurrentRequests: 0 };
  const { keyId } = await scene.admin.createKey({ ...wish, limits });
  const changed = { ...limits, weight: 5, tokensPerDay: 1_000 };
  assert.deepEqual(await scene.admin.limitKey(keyId, { weight: 5, tokensPerDay: 1_000 }), changed);
  assert.deepEqual((await scene.admin.listKeys())[0]?.limits, changed);
  for (const wrong of [{ weight: 0 }, { weight: 1_001 }, { tokensPerDay: -1 }, { weight: 1.5 }]) {
    await assert.rejects(scene.admin.limitKey(keyId, wrong), hasCode("invalid_request"));
  }
  await assert.rejects(scene.admin.limitKey("nobody", { weight: 2 }), hasCode("key_not_found"));
  await scene.admin.revokeKey(keyId);
  assert.deepEqual([...scene.group.catalogue.settings()], []);
});

Deno.test("Admin.createKey() says what to do while some member does not know scopes", async () => {
  const late = new Scene();
  late.group.propose = () => Promise.resolve({ kind: "refused", reason: "schema_not_active" });
  await assert.rejects(
    late.admin.createKey({ label: "", lifetimeMs: 0, scopes: ["use"] }),
    /update those that are older, bring back those that are away, or remove them/,
  );
});

Deno.test("Admin.audit() tells the newest changes, oldest first", async () => {
  const scene = new Scene();
  for (const key of ["a.a", "a.b", "a.c"]) {
    const command = { kind: "put_setting", key, value: "1", expected: undefined } as const;
    const origin = { who: "key k", from: "10.0.0.1", atMs: 5 };
    const bytes = encodeCommand({ command, request: undefined, origin });
    scene.group.catalogue.apply(scene.group.catalogue.appliedIndex + 1, bytes);
  }
  const subjects = async (limit: number) =>
    (await scene.admin.audit(limit)).map(({ subject }) => subject);
  assert.deepEqual(await subjects(2), ["a.b", "a.c"]);
  assert.deepEqual(await subjects(0), []);
  assert.equal((await scene.admin.audit(10)).length, 3);
});

Deno.test("Admin.createToken() keeps only the secret's hash", async () => {
  const scene = new Scene();
  const { token, tokenId, expiresAtMs } = await scene.admin.createToken({
    lifetimeMs: 60_000,
    uses: 2,
  });
  assert.equal(token, `token-${tokenId}-16-1`);
  assert.equal(expiresAtMs, 1_060_000);
  const row = scene.group.catalogue.findToken(tokenId);
  assert.deepEqual(row?.verifier, new Uint8Array(32).fill(1));
  assert.deepEqual(await scene.admin.listTokens(), [{ tokenId, expiresAtMs, usesLeft: 2 }]);

  await scene.admin.revokeToken(tokenId);
  await assert.rejects(scene.admin.revokeToken(tokenId), hasCode("token_not_found"));
});

Deno.test("Admin.createToken() makes another token where the authority was replaced meanwhile, and not for ever", async () => {
  const scene = new Scene();
  let asked = 0;
  scene.authority = () => Promise.resolve(new Uint8Array([++asked < 3 ? asked : 3]));
  const { token } = await scene.admin.createToken({ lifetimeMs: 60_000, uses: 1 });
  assert.match(token, /-3$/);
  scene.authority = () => Promise.resolve(new Uint8Array([++asked]));
  const wanted = { lifetimeMs: 60_000, uses: 1 };
  await assert.rejects(scene.admin.createToken(wanted), hasCode("no_quorum"));
});

Deno.test("Admin.createToken() refuses lifetimes and uses out of range", async () => {
  const { admin } = new Scene();
  for (
    const wanted of [
      { lifetimeMs: 999, uses: 1 },
      { lifetimeMs: 366 * 24 * 3_600_000, uses: 1 },
      { lifetimeMs: 60_000, uses: 0 },
      { lifetimeMs: 60_000, uses: 1_001 },
      { lifetimeMs: NaN, uses: 1 },
    ]
  ) await assert.rejects(admin.createToken(wanted), hasCode("invalid_request"));
});

Deno.test("Admin.revokeMember() refuses what would cost the voters their quorum", async () => {
  const scene = new Scene();
  await scene.admit(A, "a", "alive");
  await scene.admit(B, "b", "alive");
  await scene.admit(C, "c", "down");
  scene.group.voters = [A, B, C];
  await assert.rejects(scene.admin.revokeMember("b"), hasCode("conflict"));
  await scene.admin.revokeMember("c");
  assert.equal(scene.group.catalogue.findMember(C)?.standing, "revoked");
});

Deno.test("Admin names members by id, by a unique beginning of it, or by name", async () => {
  const scene = new Scene();
  await scene.admit(A, "a", "alive");
  await scene.admit(B, "b", "alive");
  await scene.admit(C, "b2", "alive");
  const drained = () => scene.group.catalogue.settings().map(({ key }) => key);

  await scene.admin.drain("b");
  await scene.admin.drain(C);
  assert.deepEqual(drained(), [drainKey(B), drainKey(C)]);
  await scene.admin.undrain("00000000000000c");
  await scene.admin.undrain("00000000000000c");
  assert.deepEqual(drained(), [drainKey(B)]);
  await assert.rejects(scene.admin.drain("0000"), hasCode("conflict"));
  await assert.rejects(scene.admin.drain("z"), hasCode("member_not_found"));
  await assert.rejects(scene.admin.drain(""), hasCode("member_not_found"));
});

Deno.test("Admin.pin() says which members hold a model, by any of its names, and unpin() that the cluster chooses", async () => {
  const scene = new Scene();
  await scene.admit(B, "b", "alive");
  const name = parseModelName("tiny");
  assert.ok(name !== undefined);
  const layer = { mediaType: "m", digest: `sha256:${"a".repeat(64)}` as Digest, size: 7 };
  const file = { schemaVersion: 2, mediaType: "m", config: layer, layers: [layer] };
  const manifest = encodeManifest(file);
  await scene.group.propose({ kind: "put_model", name, manifest, atMs: 1, expected: undefined });
  const pins = () => scene.group.catalogue.models().map((row) => row.pins);
  await scene.admin.pin("b", "tiny:latest");
  await scene.admin.pin(B, "tiny");
  assert.deepEqual(pins(), [[B]]);
  await scene.admin.unpin("b", "tiny");
  await scene.admin.unpin("b", "tiny");
  assert.deepEqual(pins(), [[]]);
  await assert.rejects(scene.admin.pin("b", "other"), hasCode("model_not_found"));
  await assert.rejects(scene.admin.pin("z", "tiny"), hasCode("member_not_found"));
  await assert.rejects(scene.admin.pin("b", "a b"), hasCode("invalid_request"));
});

Deno.test("Admin.connections() tells how long words take there and back", async () => {
  const scene = new Scene();
  const open = { direction: "dialed", wire: 1, openStreams: 0, queuedFrames: 0 } as const;
  scene.connections = [{ peer: B, remoteAddress: "h:1", ...open }];
  const [row] = await scene.admin.connections();
  assert.equal(row?.roundTripMs, 2);
});

Deno.test("Admin.sleep() waits until the node sleeps, or tells why it does not", async () => {
  const clock = new HandClock();
  const scene = new Scene(clock);
  await scene.admit(A, "a", "alive");
  await scene.admit(B, "b", "alive");
  const key = sleepKey(B);
  const answer = async (sleep: Parameters<typeof writeSleep>[0]) => {
    await clock.advance(150);
    const value = writeSleep(sleep);
    await scene.group.propose({ kind: "put_setting", key, value, expected: undefined });
    await clock.advance(150);
  };
  const slept = scene.admin.sleep("b");
  await answer({ state: "going", reason: "", holds: [] });
  await answer({ state: "asleep", reason: "", holds: [] });
  await slept;
  const refused = assert.rejects(scene.admin.sleep("b"), {
    code: "conflict",
    message: '"b" stays awake: no other member holds m',
  });
  await answer({ state: "refused", reason: "no other member holds m", holds: [] });
  await refused;
  assert.equal(scene.group.catalogue.findSetting(key), undefined);
  const silent = assert.rejects(scene.admin.sleep("b"), { code: "node_unreachable" });
  await clock.advance(46_000);
  await silent;
  assert.equal(scene.group.catalogue.findSetting(key), undefined, "it must not sleep later");
});

Deno.test("Admin.removeMember() refuses a live member and itself, and forgets what was set for it", async () => {
  const scene = new Scene();
  await scene.admit(A, "a", "alive");
  await scene.admit(B, "b", "alive");
  await scene.admin.drain("b");

  await assert.rejects(scene.admin.removeMember("b"), hasCode("conflict"));
  await assert.rejects(scene.admin.removeMember("a"), hasCode("conflict"));
  assert.equal(scene.group.catalogue.members().length, 2);

  scene.seen.delete(B);
  await scene.admin.removeMember("b");
  assert.deepEqual(scene.group.catalogue.members().map(({ label }) => label), ["a"]);
  assert.deepEqual(scene.group.catalogue.settings(), []);
});

Deno.test("Admin.deleteSetting() of what is not there says so, as for members, tokens and keys", async () => {
  const scene = new Scene();
  await scene.admin.putSetting({ key: "a.b", value: "1" });
  await scene.admin.deleteSetting("a.b");
  await assert.rejects(scene.admin.deleteSetting("a.b"), (error) => {
    assert.ok(error instanceof RequestError);
    assert.deepEqual([error.code, error.status], ["not_found", 404]);
    assert.equal(error.message, 'cannot unset "a.b": it is not there');
    return true;
  });
});

Deno.test("Admin.listSettings() shows nobody what the cluster keeps about its machines", async () => {
  const scene = new Scene();
  await scene.admit(A, "a", "alive");
  const own = [`hardware.${A}`, `sleep.${A}`, `wake_time.${A}`, `drain.${A}`];
  for (const key of own) {
    await scene.group.propose({ kind: "put_setting", key, value: "1", expected: undefined });
    await assert.rejects(scene.admin.putSetting({ key, value: "2" }), hasCode("invalid_request"));
  }
  await scene.admin.putSetting({ key: "a.b", value: "1" });
  assert.deepEqual(await scene.admin.listSettings(), [{ key: "a.b", value: "1" }]);
});

Deno.test("Admin.recover() goes on alone only where the voters are lost, and says who is left behind", async () => {
  const scene = new Scene();
  await scene.admit(A, "a", "alive");
  await scene.admit(B, "b", "alive");
  await assert.rejects(scene.admin.recover(), hasCode("conflict"));
  scene.group.voters = [B];
  scene.group.leader = undefined;
  scene.changes = { kind: "impossible", reason: "down", missing: ["b"], sinceMs: 1 };
  scene.group.quorumLostAtMs = 1;
  assert.match(scene.admin.recovery().refusal ?? "", /a quorum of its voters is alive \(b\)/);
  await assert.rejects(scene.admin.recover(), hasCode("conflict"));
  // Alive, but its log is damaged: its vote is worth nothing.
  const known = { standing: "alive", address: "h:1", version: "", load: undefined } as const;
  scene.seen.set(B, { ...known, isFenced: true });
  assert.equal(scene.recovered, 0);
  const { leftBehind, lastIndex } = await scene.admin.recover();
  assert.equal(scene.recovered, 1);
  assert.equal(lastIndex, scene.group.catalogue.appliedIndex);
  assert.deepEqual(leftBehind, [{ nodeId: B, name: "b", isAlive: false, votes: true }]);
});

Deno.test("Admin.leave() waits until the group does without this node's vote", async () => {
  const scene = new Scene();
  await scene.admit(A, "a", "alive");
  await assert.rejects(scene.admin.leave(), hasCode("conflict"));
  await scene.admit(B, "b", "alive");

  const left = scene.admin.leave();
  await Promise.resolve();
  assert.ok(scene.group.catalogue.findSetting(leaveKey(A)));
  assert.ok(scene.group.catalogue.findMember(A));
  assert.equal(scene.departed, 0);

  scene.group.changeVoters([B]);
  await left;
  assert.equal(scene.group.catalogue.findMember(A), undefined);
  assert.equal(scene.departed, 1);
});

Deno.test("Admin.leave() is refused while models would be lost, unless they may be", async () => {
  const clock = new HandClock();
  const scene = new Scene(clock);
  await scene.admit(A, "a", "alive");
  await scene.admit(B, "b", "alive");
  scene.group.voters = [B];
  scene.alone = ["poet:latest", "bard:latest"];
  const refused = assert.rejects(
    scene.admin.leave(),
    (error) => hasCode("conflict")(error) && /poet:latest, bard:latest/.test(String(error)),
  );
  await clock.advance(3_000);
  await refused;
  assert.equal(scene.group.catalogue.findSetting(leaveKey(A)), undefined);

  // A copy that was only not heard of yet.
  const heard = scene.admin.leave();
  await clock.advance(500);
  scene.alone = [];
  await clock.advance(500);
  await heard;
  assert.equal(scene.departed, 1);

  const careless = new Scene();
  await careless.admit(A, "a", "alive");
  await careless.admit(B, "b", "alive");
  careless.group.voters = [B];
  careless.alone = ["poet:latest"];
  await careless.admin.leave({ force: true });
  assert.equal(careless.departed, 1);
});

Deno.test("Admin.leave() by force leaves in any case, and says where nobody was told", async () => {
  const scene = new Scene();
  await scene.admit(A, "a", "alive");
  assert.deepEqual(Object.keys(await scene.admin.leave({ force: true })), ["untold"]);
  assert.equal(scene.departed, 1);

  const cut = new Scene();
  await cut.admit(A, "a", "alive");
  await cut.admit(B, "b", "alive");
  cut.group.onPropose = () => {
    throw new UnavailableError("no_quorum", "nobody answers");
  };
  await assert.rejects(cut.admin.leave(), hasCode("no_quorum"));
  assert.equal(cut.departed, 0);
  assert.deepEqual(await cut.admin.leave({ force: true }), { untold: "nobody answers" });
  assert.equal(cut.departed, 1);

  const bug = new Scene();
  await bug.admit(A, "a", "alive");
  await bug.admit(B, "b", "alive");
  bug.group.onPropose = () => {
    throw new TypeError("a bug");
  };
  await assert.rejects(bug.admin.leave({ force: true }), TypeError);
  assert.equal(bug.departed, 0);
});

Deno.test("Admin.leave() asks again until it is gone, and takes hanging up for an answer", async () => {
  const scene = new Scene();
  await scene.admit(A, "a", "alive");
  await scene.admit(B, "b", "alive");
  const open = {
    remoteAddress: "h:1",
    direction: "dialed",
    wire: 1,
    openStreams: 0,
    queuedFrames: 0,
  } as const;
  scene.connections = [{ peer: B, ...open }];
  let asked = 0;
  scene.group.onPropose = (command) => {
    if (command.kind !== "remove_member") return;
    if (++asked === 3) scene.connections = [];
    throw new UnavailableError("no_quorum", "nobody answers");
  };
  scene.group.voters = [B];
  await scene.admin.leave();
  assert.deepEqual([asked, scene.departed], [3, 1]);
});
