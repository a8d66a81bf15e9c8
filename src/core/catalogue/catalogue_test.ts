import assert from "node:assert/strict";
import { type Digest, type NodeId, Random } from "../../base/mod.ts";
import {
  ByteWriter,
  CATALOGUE_SCHEMA,
  type CatalogueCommand,
  decodeCommand,
  encodeCommand,
  encodeManifest,
  type ModelName,
  ORIGIN_SCHEMA,
  parseModelName,
  type RequestStamp,
  SCOPES,
  type StampedCommand,
} from "../../protocol/mod.ts";
import { Catalogue, type Outcome } from "./mod.ts";
import { SESSION_OUTCOMES_MAX, SESSIONS_MAX, TABLE_ROWS_MAX } from "./rows.ts";

const NODE_A = "00000000000000aa" as NodeId;
const NODE_B = "00000000000000bb" as NodeId;
const nonceOf = (number: number) => new Uint8Array(16).fill(number % 256).fill(number >> 8, 0, 1);
const HASH = new Uint8Array(32).fill(1);
const digestOf = (fill: string) => `sha256:${fill.repeat(64)}` as Digest;

/** A catalogue and the next index of its log. */
class Scene {
  catalogue = Catalogue.empty();

  propose(command: CatalogueCommand, request?: RequestStamp): Outcome {
    return this.proposeStamped({ command, request });
  }

  proposeStamped(stamped: StampedCommand): Outcome {
    const bytes = encodeCommand(stamped);
    const applied = this.catalogue.apply(this.catalogue.appliedIndex + 1, bytes);
    assert.ok(applied.kind === "answered");
    return applied.outcome;
  }

  /** "applied", or the reason why not. */
  result(command: CatalogueCommand, request?: RequestStamp): string {
    const outcome = this.propose(command, request);
    return outcome.kind === "applied" ? "applied" : outcome.reason;
  }
}

function nameOf(text: string): ModelName {
  const name = parseModelName(text);
  assert.ok(name);
  return name;
}

function manifestOf(fill: string): Uint8Array {
  const mediaType = "application/vnd.ollama.image.model";
  const layer = { mediaType, digest: digestOf(fill), size: 7 };
  return encodeManifest({ schemaVersion: 2, mediaType: "m", config: layer, layers: [layer] });
}

function put(name: string, fill: string, expected?: number): CatalogueCommand {
  return {
    kind: "put_model",
    name: nameOf(name),
    manifest: manifestOf(fill),
    atMs: 5,
    expected,
  };
}

function admit(nodeId: NodeId, options: { tokenId?: string; atMs?: number; key?: number } = {}) {
  const { tokenId, atMs = 1, key = parseInt(nodeId.slice(-2), 16) } = options;
  const publicKey = new Uint8Array(44).fill(key);
  return { kind: "admit_member", nodeId, publicKey, label: "host", tokenId, atMs } as const;
}

Deno.test("Catalogue finds a model under any case and keeps its first spelling", () => {
  const scene = new Scene();
  scene.propose(put("Llama3:8b", "a"));
  scene.propose(put("llama3:8B", "b"));
  const model = scene.catalogue.findModel(nameOf("LLAMA3:8b"));
  assert.equal(model?.name.model, "Llama3");
  assert.deepEqual(model?.manifest, manifestOf("b"));
  assert.equal(scene.catalogue.models().length, 1);
});

Deno.test("Catalogue keeps a manifest exactly as long as a model points at it", () => {
  const scene = new Scene();
  scene.propose(put("one", "a"));
  const { kind } = { kind: "copy_model" } as const;
  const copy = { kind, source: nameOf("one"), destination: nameOf("two"), atMs: 6 };
  assert.equal(scene.result({ ...copy, expected: 0 }), "applied");
  scene.propose(put("one", "b"));
  assert.deepEqual([...scene.catalogue.referencedBlobs()].sort(), [digestOf("a"), digestOf("b")]);
  scene.propose({ kind: "delete_model", name: nameOf("two"), expected: undefined });
  assert.deepEqual([...scene.catalogue.referencedBlobs()], [digestOf("b")]);
  assert.equal(
    scene.result({ ...copy, source: nameOf("none"), expected: undefined }),
    "not_found",
  );
});

Deno.test("Catalogue changes a row only at the revision the proposer saw", () => {
  const scene = new Scene();
  assert.equal(scene.result(put("m", "a", 0)), "applied");
  assert.equal(scene.result(put("m", "b", 0)), "already_exists");
  const seen = scene.catalogue.findModel(nameOf("m"))?.revision ?? -1;
  assert.equal(scene.result(put("m", "b", seen)), "applied");
  assert.equal(scene.result(put("m", "c", seen)), "revision_mismatch");
  assert.equal(
    scene.result({ kind: "delete_model", name: nameOf("m"), expected: seen }),
    "revision_mismatch",
  );
});

Deno.test("Catalogue refuses a manifest that is none", () => {
  const scene = new Scene();
  const manifest = new TextEncoder().encode("{}");
  assert.equal(
    scene.result({ kind: "put_model", name: nameOf("m"), manifest, atMs: 1, expected: undefined }),
    "bad_manifest",
  );
});

Deno.test("Catalogue keeps wanted replicas and pins through a new manifest", () => {
  const scene = new Scene();
  scene.propose(admit(NODE_A));
  scene.propose(put("m", "a"));
  const name = nameOf("M");
  scene.propose({ kind: "set_replicas", name, replicas: 3, expected: undefined });
  assert.equal(scene.result({ kind: "pin_model", name, nodeId: NODE_A }), "applied");
  assert.equal(scene.result({ kind: "pin_model", name, nodeId: NODE_B }), "not_a_member");
  assert.equal(scene.result({ kind: "unpin_model", name, nodeId: NODE_B }), "not_found");
  scene.propose(put("m", "b"));
  const model = scene.catalogue.findModel(name);
  assert.deepEqual([model?.replicas, model?.pins], [3, [NODE_A]]);
});

Deno.test("Catalogue admits by a token only before its end and as often as it says", () => {
  const scene = new Scene();
  const token = { kind: "create_token", tokenId: "t", verifier: HASH } as const;
  assert.equal(scene.result({ ...token, expiresAtMs: 100, uses: 0 }), "malformed_command");
  scene.propose({ ...token, expiresAtMs: 100, uses: 1 });
  assert.equal(scene.result(admit(NODE_A, { tokenId: "t", atMs: 100 })), "token_expired");
  assert.equal(scene.result(admit(NODE_A, { tokenId: "t", atMs: 99 })), "applied");
  assert.equal(scene.result(admit(NODE_B, { tokenId: "t", atMs: 99 })), "token_unknown");
});

Deno.test("Catalogue keeps a revoked member out, by id and by key", () => {
  const scene = new Scene();
  for (const nodeId of [NODE_A, NODE_B]) scene.propose(admit(nodeId));
  scene.propose(put("m", "a"));
  scene.propose({ kind: "pin_model", name: nameOf("m"), nodeId: NODE_B });
  const voters = { kind: "set_voters", voters: [NODE_A, NODE_B], expected: 0 } as const;
  assert.equal(scene.result(voters), "applied");
  scene.propose({ kind: "revoke_member", nodeId: NODE_B, atMs: 9 });
  assert.deepEqual(scene.catalogue.voters().voters, [NODE_A]);
  assert.deepEqual(scene.catalogue.findModel(nameOf("m"))?.pins, []);
  assert.equal(scene.catalogue.findMember(NODE_B)?.standing, "revoked");
  assert.equal(scene.result(admit(NODE_B)), "member_revoked");
  const newId = "00000000000000cc" as NodeId;
  assert.equal(scene.result(admit(newId, { key: 0xbb })), "member_revoked");
  assert.equal(scene.result({ kind: "remove_member", nodeId: NODE_B }), "member_revoked");
  assert.equal(scene.result({ ...voters, expected: undefined }), "not_a_member");
});

Deno.test("Catalogue lets a member that left come back", () => {
  const scene = new Scene();
  scene.propose(admit(NODE_A));
  assert.equal(scene.result(admit(NODE_A)), "already_exists");
  assert.equal(scene.result({ kind: "remove_member", nodeId: NODE_A }), "applied");
  assert.equal(scene.result(admit(NODE_A)), "applied");
});

Deno.test("Catalogue forgets the settings of a member with it, and no others", () => {
  const scene = new Scene();
  scene.propose(admit(NODE_A));
  for (const key of [`drain.${NODE_A}`, `leave.${NODE_A}`, `drain.${NODE_B}`, "drain"]) {
    scene.propose({ kind: "put_setting", key, value: "1", expected: undefined });
  }
  scene.propose({ kind: "remove_member", nodeId: NODE_A });
  const left = scene.catalogue.settings().map(({ key }) => key);
  assert.deepEqual(left, ["drain", `drain.${NODE_B}`]);
});

Deno.test("Catalogue forgets what a removed or revoked machine's sleep and cards were, once all nodes do", () => {
  const about = ["handover", "hardware", "sleep", "wake_time"];
  const leftAfter = (schema: number, kind: "remove_member" | "revoke_member") => {
    const scene = new Scene();
    if (schema > 1) scene.propose({ kind: "raise_schema", schema });
    for (const [at, nodeId] of [NODE_A, NODE_B].entries()) {
      scene.propose(admit(nodeId, { key: 0xa0 + at }));
      for (const what of about) {
        const key = `${what}.${nodeId}`;
        scene.propose({ kind: "put_setting", key, value: "1", expected: undefined });
      }
    }
    scene.propose({ kind, nodeId: NODE_A, atMs: 1 });
    return scene.catalogue.settings().map(({ key }) => key);
  };
  const ofB = about.map((what) => `${what}.${NODE_B}`);
  assert.deepEqual(leftAfter(ORIGIN_SCHEMA, "remove_member"), ofB);
  assert.deepEqual(leftAfter(ORIGIN_SCHEMA, "revoke_member"), ofB);
  assert.equal(leftAfter(1, "remove_member").length, 2 * about.length, "as older nodes apply it");
});

Deno.test("Catalogue wants distinct voters, and at least one", () => {
  const scene = new Scene();
  scene.propose(admit(NODE_A));
  const want = (voters: readonly NodeId[]) =>
    scene.result({ kind: "set_voters", voters, expected: undefined });
  assert.equal(want([]), "bad_voters");
  assert.equal(want([NODE_A, NODE_A]), "bad_voters");
  assert.equal(want([NODE_A]), "applied");
});

Deno.test("Catalogue keeps keys, settings and quarantine", () => {
  const scene = new Scene();
  const key = { kind: "create_api_key", keyId: "ci", secretHash: HASH, label: "CI" } as const;
  assert.equal(scene.result({ ...key, expiresAtMs: 0, atMs: 3 }), "applied");
  assert.equal(scene.result({ ...key, expiresAtMs: 0, atMs: 4 }), "already_exists");
  assert.deepEqual(scene.catalogue.findApiKey("ci")?.secretHash, HASH);
  assert.equal(scene.result({ kind: "delete_api_key", keyId: "ci" }), "applied");
  assert.deepEqual(scene.catalogue.apiKeys(), []);
  const setting = { kind: "put_setting", key: "replicas.default", expected: 0 } as const;
  assert.equal(scene.result({ ...setting, value: "2" }), "applied");
  assert.equal(scene.result({ ...setting, value: "3" }), "already_exists");
  assert.equal(scene.catalogue.findSetting("replicas.default")?.value, "2");
  const drop = { kind: "delete_setting", key: "replicas.default", expected: undefined } as const;
  assert.deepEqual([scene.result(drop), scene.result(drop)], ["applied", "not_found"]);
  const digest = digestOf("e");
  const report = { kind: "quarantine_blob", digest, reason: "rot", atMs: 1 } as const;
  assert.equal(scene.result({ ...report, nodeId: NODE_A }), "applied");
  assert.equal(scene.result({ ...report, nodeId: NODE_B }), "already_exists");
  assert.equal(scene.catalogue.findQuarantined(digest)?.nodeId, NODE_A);
  assert.equal(scene.result({ kind: "release_blob", digest }), "applied");
  assert.deepEqual(scene.catalogue.quarantine(), []);
});

Deno.test("Catalogue applies a retried request once and repeats its outcome", () => {
  const scene = new Scene();
  const opened = scene.propose({ kind: "open_session", nonce: nonceOf(1) });
  assert.ok(opened.kind === "applied");
  const stamp = { session: opened.revision, sequence: 1, firstUnanswered: 1 };
  const first = scene.propose(put("m", "a", 0), stamp);
  const revision = scene.catalogue.findModel(nameOf("m"))?.revision;
  assert.deepEqual(scene.propose(put("m", "a", 0), stamp), first);
  assert.equal(scene.catalogue.findModel(nameOf("m"))?.revision, revision);
  // A refusal is an outcome too: what was refused once must not come true by a retry.
  const second = { ...stamp, sequence: 2 };
  assert.equal(scene.result(put("m", "b", 0), second), "already_exists");
  scene.propose({ kind: "delete_model", name: nameOf("m"), expected: undefined });
  assert.equal(scene.result(put("m", "b", 0), second), "already_exists");
  assert.equal(scene.catalogue.findModel(nameOf("m")), undefined);
});

Deno.test("Catalogue refuses a request whose outcome it has forgotten", () => {
  const scene = new Scene();
  const opened = scene.propose({ kind: "open_session", nonce: nonceOf(1) });
  assert.ok(opened.kind === "applied");
  const session = opened.revision;
  const setting = (key: string): CatalogueCommand => ({
    kind: "put_setting",
    key,
    value: "1",
    expected: undefined,
  });
  scene.propose(setting("a"), { session, sequence: 1, firstUnanswered: 1 });
  // The client says it has the answer to 1 and sends 3 before 2: both apply, 1 is over.
  assert.equal(scene.result(setting("c"), { session, sequence: 3, firstUnanswered: 2 }), "applied");
  assert.equal(scene.result(setting("b"), { session, sequence: 2, firstUnanswered: 2 }), "applied");
  const late = { session, sequence: 1, firstUnanswered: 1 };
  assert.equal(scene.result(setting("a"), late), "request_stale");
  assert.equal(scene.result(setting("a"), { ...late, sequence: 0 }), "malformed_command");
  for (let sequence = 4; sequence < 6 + SESSION_OUTCOMES_MAX; sequence++) {
    scene.propose(setting("d"), { session, sequence, firstUnanswered: 2 });
  }
  assert.equal(
    scene.result(setting("b"), { session, sequence: 2, firstUnanswered: 2 }),
    "request_stale",
  );
  scene.propose({ kind: "close_session" }, { session, sequence: 999, firstUnanswered: 999 });
  assert.equal(scene.result(setting("a"), late), "session_unknown");
});

Deno.test("Catalogue opens one session per nonce, however often it is asked", () => {
  const scene = new Scene();
  const first = scene.propose({ kind: "open_session", nonce: nonceOf(1) });
  const other = scene.propose({ kind: "open_session", nonce: nonceOf(2) });
  assert.notDeepEqual(other, first);
  assert.deepEqual(scene.propose({ kind: "open_session", nonce: nonceOf(1) }), first);
});

Deno.test("Catalogue keeps outcomes of requests that overtake each other", () => {
  const scene = new Scene();
  const opened = scene.propose({ kind: "open_session", nonce: nonceOf(1) });
  assert.ok(opened.kind === "applied");
  const stamp = (sequence: number) => ({ session: opened.revision, sequence, firstUnanswered: 1 });
  const outcomes = new Map<number, unknown>();
  for (const sequence of [3, 1, 5, 2, 4]) {
    const command = { kind: "put_setting", key: `k${sequence}`, value: "", expected: 0 } as const;
    outcomes.set(sequence, scene.propose(command, stamp(sequence)));
    assert.deepEqual(scene.propose(command, stamp(sequence)), outcomes.get(sequence));
  }
  for (const [sequence, outcome] of outcomes) {
    assert.deepEqual(scene.propose({ kind: "close_session" }, stamp(sequence)), outcome);
  }
});

Deno.test("Catalogue drops the session unused longest when there are too many", () => {
  const scene = new Scene();
  let nonces = 0;
  const open = () => {
    const opened = scene.propose({ kind: "open_session", nonce: nonceOf(++nonces) });
    assert.ok(opened.kind === "applied");
    return opened.revision;
  };
  const [first, second] = [open(), open()];
  const setting = { kind: "put_setting", key: "a", value: "1", expected: undefined } as const;
  scene.propose(setting, { session: first, sequence: 1, firstUnanswered: 1 });
  for (let session = 2; session <= SESSIONS_MAX; session++) open();
  assert.equal(
    scene.result(setting, { session: second, sequence: 1, firstUnanswered: 1 }),
    "session_unknown",
  );
  assert.equal(
    scene.result(setting, { session: first, sequence: 2, firstUnanswered: 2 }),
    "applied",
  );
});

Deno.test("Catalogue halts at an entry that is newer than the program, and stays so", () => {
  const scene = new Scene();
  scene.propose(put("m", "a"));
  const before = scene.catalogue.stateHash();
  const newer = CATALOGUE_SCHEMA + 1;
  const future = new ByteWriter().varint(newer).varint(0).uint8(0).finish();
  const next = scene.catalogue.appliedIndex + 1;
  assert.deepEqual(scene.catalogue.apply(next, future), { kind: "halted", schema: newer });
  const known = encodeCommand({ command: put("m", "b"), request: undefined });
  assert.deepEqual(scene.catalogue.apply(next, known), { kind: "halted", schema: newer });
  assert.equal(scene.catalogue.stateHash(), before, "nothing was misapplied");
  // A kind without a number here is from the future whatever it claims; so is raising the schema.
  const unknown = new ByteWriter().varint(1).varint(500).uint8(0).finish();
  assert.equal(Catalogue.empty().apply(1, unknown).kind, "halted");
  const raise = encodeCommand({
    command: { kind: "raise_schema", schema: newer },
    request: undefined,
  });
  assert.deepEqual(Catalogue.empty().apply(1, raise), { kind: "halted", schema: newer });
  assert.equal(scene.catalogue.schema, 1);
});

Deno.test("Catalogue refuses malformed entries alike on every node and goes on", () => {
  const scene = new Scene();
  const bytes = encodeCommand({ command: put("m", "a"), request: undefined }).slice(0, -3);
  const applied = scene.catalogue.apply(1, bytes);
  assert.ok(applied.kind === "answered");
  assert.deepEqual(applied.outcome, { kind: "refused", reason: "malformed_command" });
  assert.equal(scene.catalogue.apply(2, new Uint8Array(0)).kind, "answered");
  assert.equal(scene.result({ kind: "raise_schema", schema: 1 }), "bad_schema");
  assert.equal(scene.catalogue.appliedIndex, 3);
  assert.throws(() => scene.catalogue.apply(9, new Uint8Array(0)), { name: "InvariantError" });
});

Deno.test("Catalogue has one hash per state: on every replica, and after a restore", () => {
  for (let seed = 1; seed <= 20; seed++) {
    const random = new Random(seed);
    const [first, second] = [new Scene(), new Scene()];
    for (let index = 0; index < 300; index++) {
      const stamped = randomCommand(random, index);
      const outcome = first.proposeStamped(stamped);
      assert.deepEqual(second.proposeStamped(stamped), outcome);
      if (random.chance(1, 40)) {
        const restored = Catalogue.restore(second.catalogue.snapshot());
        assert.ok(restored.kind === "decoded");
        second.catalogue = restored.value;
      }
    }
    assert.equal(second.catalogue.stateHash(), first.catalogue.stateHash(), `seed ${seed}`);
  }
});

Deno.test("Catalogue's hash shows any change of state", () => {
  const scene = new Scene();
  const seen = new Set([scene.catalogue.stateHash()]);
  const commands: CatalogueCommand[] = [
    admit(NODE_A),
    put("m", "a"),
    { kind: "set_replicas", name: nameOf("m"), replicas: 2, expected: undefined },
    { kind: "pin_model", name: nameOf("m"), nodeId: NODE_A },
    { kind: "set_voters", voters: [NODE_A], expected: undefined },
    { kind: "open_session", nonce: nonceOf(7) },
  ];
  for (const command of commands) {
    assert.equal(scene.result(command), "applied");
    seen.add(scene.catalogue.stateHash());
  }
  assert.equal(seen.size, commands.length + 1);
});

Deno.test("Catalogue.restore() refuses any damaged, cut or foreign snapshot with a reason", () => {
  const random = new Random(4);
  const scene = new Scene();
  for (let index = 0; index < 100; index++) {
    scene.proposeStamped(randomCommand(random, index));
  }
  const snapshot = scene.catalogue.snapshot();
  assert.equal(Catalogue.restore(snapshot).kind, "decoded");
  for (let round = 0; round < 2_000; round++) {
    const bytes = snapshot.slice(
      0,
      random.chance(1, 3) ? random.below(snapshot.length) : undefined,
    );
    if (bytes.length === snapshot.length) {
      const at = random.below(bytes.length);
      bytes[at] = (bytes[at] ?? 0) ^ (1 << random.below(8));
    }
    assert.equal(Catalogue.restore(bytes).kind, "malformed");
  }
  const foreign = Uint8Array.from({ length: 500 }, () => random.below(256));
  const refused = Catalogue.restore(foreign);
  assert.ok(refused.kind === "malformed");
  assert.equal(refused.reason, "not a catalogue snapshot at byte 8");
});

Deno.test("decodeCommand() reads back every command and returns a value for any bytes", () => {
  const random = new Random(6);
  for (let round = 0; round < 2_000; round++) {
    const stamped = randomCommand(random, round);
    const decoded = decodeCommand(encodeCommand(stamped));
    assert.deepEqual(decoded, { kind: "decoded", value: stamped });
  }
  for (let input = 0; input < 50_000; input++) {
    const bytes = input % 2 === 0
      ? Uint8Array.from({ length: random.below(60) }, () => random.below(256))
      : encodeCommand(randomCommand(random, input));
    if (input % 2 === 1) {
      const at = random.below(bytes.length);
      bytes[at] = random.below(256);
      if (random.chance(1, 3)) bytes.fill(0, random.below(bytes.length));
    }
    const decoded = decodeCommand(bytes);
    // What decodes has one encoding: the bytes it came from.
    if (decoded.kind === "decoded") assert.deepEqual(encodeCommand(decoded.value), bytes);
  }
});

function randomCommand(
  random: Random,
  turn: number,
): StampedCommand {
  const request = random.chance(1, 2) ? undefined : {
    session: random.below(6),
    sequence: random.below(turn + 2),
    firstUnanswered: random.below(turn + 1),
  };
  const command = randomKind(random);
  if (random.chance(1, 2)) return { command, request };
  return { command, request, origin: { who: `key k${turn}`, from: "10.0.0.1", atMs: turn } };
}

function randomKind(random: Random): CatalogueCommand {
  const name = nameOf(`model${random.below(5)}:${random.pick(["a", "A", "latest"])}`);
  const nodeId = random.below(4).toString(16).padStart(16, "0") as NodeId;
  const expected = random.chance(1, 3) ? random.below(50) : undefined;
  const atMs = random.uint32();
  const digest = digestOf(random.below(16).toString(16));
  const id = `id-${random.below(4)}`;
  const publicKey = new Uint8Array(40).fill(random.below(5));
  const source = nameOf(`model${random.below(5)}`);
  const list: CatalogueCommand[] = [
    { kind: "open_session", nonce: nonceOf(7) },
    { kind: "close_session" },
    { kind: "put_model", name, manifest: manifestOf(digest.slice(-1)), atMs, expected },
    { kind: "copy_model", source, destination: name, atMs, expected },
    { kind: "delete_model", name, expected },
    { kind: "set_replicas", name, replicas: random.below(9), expected },
    { kind: "pin_model", name, nodeId },
    { kind: "unpin_model", name, nodeId },
    {
      kind: "admit_member",
      nodeId,
      publicKey,
      label: `h${atMs}`,
      tokenId: random.chance(1, 2) ? id : undefined,
      atMs,
    },
    { kind: "revoke_member", nodeId, atMs },
    { kind: "remove_member", nodeId },
    { kind: "set_voters", voters: [nodeId], expected },
    { kind: "create_token", tokenId: id, verifier: HASH, expiresAtMs: atMs, uses: 2 },
    { kind: "delete_token", tokenId: id },
    {
      kind: "create_api_key",
      keyId: id,
      secretHash: HASH,
      label: "é",
      expiresAtMs: 0,
      atMs,
    },
    { kind: "delete_api_key", keyId: id },
    { kind: "put_setting", key: `s.${random.below(3)}`, value: `${atMs}`, expected },
    { kind: "delete_setting", key: `s.${random.below(3)}`, expected },
    { kind: "quarantine_blob", digest, nodeId, reason: "rot", atMs },
    { kind: "release_blob", digest },
    { kind: "raise_schema", schema: random.below(CATALOGUE_SCHEMA + 1) },
    {
      kind: "create_scoped_key",
      keyId: id,
      secretHash: HASH,
      label: "ü",
      scopes: SCOPES.filter((scope) => scope === "use" || random.chance(1, 2)),
      expiresAtMs: atMs,
      atMs,
      initial: random.below(2),
    },
    { kind: "note_key_use", keyId: id, atMs },
  ];
  return list[random.below(list.length)] ?? { kind: "open_session", nonce: nonceOf(7) };
}

Deno.test("Catalogue lists tables by their keys, and refuses what is not there", () => {
  const scene = new Scene();
  const expected = undefined;
  for (const fill of ["b", "a"]) {
    scene.propose(put(`m${fill}`, fill));
    scene.propose({ kind: "put_setting", key: `k.${fill}`, value: fill, expected });
    const reported = { digest: digestOf(fill), nodeId: NODE_A, reason: "rot", atMs: 1 };
    scene.propose({ kind: "quarantine_blob", ...reported });
    scene.propose({
      kind: "create_token",
      tokenId: `t-${fill}`,
      verifier: HASH,
      expiresAtMs: 9,
      uses: 1,
    });
    scene.propose({
      kind: "create_api_key",
      keyId: `k-${fill}`,
      secretHash: HASH,
      expiresAtMs: 9,
      label: "",
      atMs: 1,
    });
  }
  for (const nodeId of [NODE_B, NODE_A]) scene.propose(admit(nodeId));
  const { catalogue } = scene;
  assert.deepEqual(catalogue.models().map((model) => model.name.model), ["ma", "mb"]);
  assert.deepEqual(catalogue.settings().map((row) => row.key), ["k.a", "k.b"]);
  assert.deepEqual(catalogue.tokens().map((row) => row.tokenId), ["t-a", "t-b"]);
  assert.deepEqual(catalogue.apiKeys().map((row) => row.keyId), ["k-a", "k-b"]);
  assert.deepEqual(catalogue.members().map((row) => row.nodeId), [NODE_A, NODE_B]);
  assert.deepEqual(catalogue.quarantine().map((row) => row.digest), [digestOf("a"), digestOf("b")]);
  assert.equal(catalogue.findToken("t-a")?.usesLeft, 1);
  assert.equal(
    scene.result({
      kind: "create_token",
      tokenId: "t-a",
      verifier: HASH,
      expiresAtMs: 1,
      uses: 1,
    }),
    "already_exists",
  );
  const none = nameOf("none");
  const missing: CatalogueCommand[] = [
    { kind: "delete_model", name: none, expected },
    { kind: "set_replicas", name: none, replicas: 1, expected },
    { kind: "pin_model", name: none, nodeId: NODE_A },
    { kind: "revoke_member", nodeId: "00000000000000ff" as NodeId, atMs: 1 },
    { kind: "remove_member", nodeId: "00000000000000ff" as NodeId },
    { kind: "delete_token", tokenId: "none" },
    { kind: "release_blob", digest: digestOf("f") },
  ];
  for (const command of missing) assert.equal(scene.result(command), "not_found", command.kind);
  assert.equal(scene.result({ kind: "delete_token", tokenId: "t-a" }), "applied");
  assert.equal(
    scene.result({ kind: "unpin_model", name: nameOf("ma"), nodeId: NODE_A }),
    "not_found",
  );
});

Deno.test("Catalogue is bounded: a full table refuses, and what is there can still change", () => {
  const scene = new Scene();
  const setting = (key: string) =>
    scene.result({ kind: "put_setting", key, value: "1", expected: undefined });
  for (let key = 0; key < TABLE_ROWS_MAX.settings; key++) setting(`k.${key}`);
  assert.equal(setting("one.more"), "table_full");
  assert.equal(setting("k.0"), "applied");
  for (let token = 0; token < TABLE_ROWS_MAX.tokens; token++) {
    const tokenId = `t-${token}`;
    scene.propose({ kind: "create_token", tokenId, verifier: HASH, expiresAtMs: 1, uses: 1 });
  }
  assert.equal(
    scene.result({ kind: "create_token", tokenId: "x", verifier: HASH, expiresAtMs: 1, uses: 1 }),
    "table_full",
  );
});
