import assert from "node:assert/strict";
import { type Incarnation, type NodeId, Random } from "../../base/mod.ts";
import {
  type Accusation,
  DATAGRAM_BYTES_MAX,
  decodeDatagram,
  decodeSync,
  encodeSync,
  type MemberClaim,
  type MembershipDatagram,
  type MembershipSync,
} from "../../protocol/mod.ts";
import { encodeDatagram } from "../../../tests/harness/datagrams.ts";
import {
  Membership,
  MEMBERSHIP_PRESETS,
  type MembershipEffect,
  type MembershipEvent,
} from "./mod.ts";
import { EPOCH_AHEAD_MS_MAX } from "./timing.ts";

const timing = MEMBERSHIP_PRESETS.lan;
const SELF = "00000000000000aa" as NodeId;
const PEER = "00000000000000bb" as NodeId;
const OTHER = "00000000000000cc" as NodeId;

type Body = MembershipDatagram["body"];
type Fact = MembershipEvent extends infer Event
  ? Event extends { readonly nowMs: number } ? Omit<Event, "nowMs"> : never
  : never;

/** One Membership, its clock, and what it said. */
class Scene {
  readonly membership: Membership;
  nowMs = 0;
  effects: MembershipEffect[] = [];
  #wake: { atMs: number; token: number } | undefined;

  constructor(options: { bootEpoch?: number; incarnation?: number } = {}) {
    const { bootEpoch = 5, incarnation = 0 } = options;
    this.membership = new Membership({
      nodeId: SELF,
      address: "self:1",
      bootEpoch,
      incarnation: incarnation as Incarnation,
      timing,
    }, new Random(1));
    this.tell({ kind: "started" });
    this.effects = [];
  }

  tell(fact: Fact): void {
    for (const effect of this.membership.step({ ...fact, nowMs: this.nowMs })) {
      if (effect.kind === "wake_at") this.#wake = effect;
      else this.effects.push(effect);
    }
  }

  /** Runs every wake-up of the span. */
  wakeUps = 0;

  advance(spanMs: number): void {
    const endMs = this.nowMs + spanMs;
    for (let wake = this.#wake; wake !== undefined && wake.atMs <= endMs; wake = this.#wake) {
      this.#wake = undefined;
      this.wakeUps++;
      this.nowMs = Math.max(this.nowMs, wake.atMs);
      this.tell({ kind: "woke", token: wake.token });
    }
    this.nowMs = endMs;
  }

  /** A datagram arrives. */
  hear(from: NodeId, body: Body, said: {
    claims?: MemberClaim[];
    accusation?: Accusation;
    epoch?: number;
    incarnation?: number;
  } = {}): void {
    const bytes = encodeDatagram({
      source: { bootEpoch: said.epoch ?? 1, incarnation: (said.incarnation ?? 0) as Incarnation },
      body,
      piggyback: { accusation: said.accusation, claims: said.claims ?? [], values: [] },
    });
    this.tell({ kind: "datagram_received", from, bytes });
  }

  hearSync(from: NodeId, body: MembershipSync["body"]): void {
    const source = { bootEpoch: 1, incarnation: 0 as Incarnation };
    this.tell({ kind: "stream_received", from, bytes: encodeSync({ source, body }) });
  }

  meet(...ids: NodeId[]): void {
    for (const id of ids) this.hear(id, { kind: "gossip" }, { claims: [claim(id, "alive")] });
    this.effects = [];
  }

  /** Datagrams sent since the last look, decoded. */
  sent(to?: NodeId): MembershipDatagram[] {
    const found: MembershipDatagram[] = [];
    for (const effect of this.effects) {
      if (effect.kind !== "send_datagram") continue;
      assert.ok(effect.bytes.length <= DATAGRAM_BYTES_MAX);
      const decoded = decodeDatagram(effect.bytes);
      assert.equal(decoded.kind, "decoded");
      if (decoded.kind === "decoded" && (to === undefined || effect.nodeId === to)) {
        found.push(decoded.value);
      }
    }
    this.effects = [];
    return found;
  }

  standing(id: NodeId): string | undefined {
    return this.membership.find(id)?.standing;
  }
}

function claim(
  nodeId: NodeId,
  standing: MemberClaim["standing"],
  stamp: { epoch?: number; incarnation?: number; accuser?: NodeId } = {},
): MemberClaim {
  return {
    nodeId,
    standing,
    bootEpoch: stamp.epoch ?? 1,
    incarnation: (stamp.incarnation ?? 0) as Incarnation,
    address: standing === "alive" ? "peer:1" : "",
    accuser: standing === "suspect" ? stamp.accuser ?? OTHER : undefined,
  };
}

const THIRD = "00000000000000dd" as NodeId;
/** Of the heartbeats in these tests, as the product's. */
const EVERY_MS = 250;

Deno.test("Heartbeats stand in for probes: a leader and its voters, while these answer, ask each other nothing", () => {
  for (const leader of [SELF, PEER]) {
    const scene = new Scene();
    scene.meet(PEER, OTHER);
    scene.tell({ kind: "heartbeats_watched", watch: { leader, voters: [SELF, PEER, OTHER] } });
    const peers = leader === SELF ? [PEER, OTHER] : [PEER];
    scene.wakeUps = 0;
    for (let beat = 0; beat < 40; beat++) {
      for (const peer of peers) {
        const way = leader === SELF ? "sent" : "heard";
        scene.tell({ kind: "heartbeat", peer, way, everyMs: EVERY_MS });
        scene.advance(1);
        if (leader === SELF) {
          scene.tell({ kind: "heartbeat", peer, way: "answered", everyMs: EVERY_MS });
        }
      }
      scene.advance(EVERY_MS - peers.length);
    }
    assert.equal(scene.sent().filter(({ body }) => body.kind === "ping").length, 0, leader);
    assert.equal(scene.standing(OTHER), "alive");
    // In 10 s there would be 55 turns to probe, all of them for nobody.
    assert.ok(scene.wakeUps < 15, `${scene.wakeUps} wake-ups`);
    // The first turn after the last heartbeat's time comes as it always does.
    scene.advance(EVERY_MS + 3 * timing.probeIntervalMs);
    assert.ok(scene.sent(peers[0]).some(({ body }) => body.kind === "ping"), "asked again");
  }
});

Deno.test("A heartbeat that stays away or unanswered is a failed probe, at the time of one", () => {
  for (const leader of [SELF, PEER]) {
    const scene = new Scene();
    scene.meet(PEER, OTHER, THIRD);
    scene.tell({
      kind: "heartbeats_watched",
      watch: { leader, voters: [SELF, PEER, OTHER, THIRD] },
    });
    const way = leader === SELF ? "sent" : "heard";
    scene.tell({ kind: "heartbeat", peer: PEER, way, everyMs: EVERY_MS });
    const dueMs = leader === SELF ? 0 : EVERY_MS;
    const pings = () => scene.sent(PEER).filter(({ body }) => body.kind === "ping").length;
    scene.advance(dueMs + timing.probeTimeoutMs - 1);
    assert.equal(pings(), 0);
    scene.advance(1);
    assert.equal(pings(), 1, "now it is asked");
    scene.advance(timing.probeDeadlineMs - timing.probeTimeoutMs);
    assert.equal(scene.standing(PEER), "suspect");
  }
});

Deno.test("A doubted member, a doubted leader's voters and learners are probed whatever heartbeats say", () => {
  const pinged = (doubted?: NodeId) => {
    const scene = new Scene();
    scene.meet(PEER, OTHER, THIRD);
    scene.tell({
      kind: "heartbeats_watched",
      watch: { leader: PEER, voters: [SELF, PEER, OTHER] },
    });
    const claims = doubted === undefined ? [] : [claim(doubted, "suspect", { accuser: THIRD })];
    scene.hear(THIRD, { kind: "gossip" }, { claims });
    for (let beat = 0; beat < 3; beat++) {
      scene.tell({ kind: "heartbeat", peer: PEER, way: "heard", everyMs: EVERY_MS });
      scene.advance(EVERY_MS);
    }
    const pings = scene.effects.filter((effect) =>
      effect.kind === "send_datagram" && isPing(effect.bytes)
    );
    return new Set(pings.map((effect) => "nodeId" in effect ? effect.nodeId : ""));
  };
  assert.deepEqual(pinged(), new Set([THIRD]), "the learner alone");
  assert.ok(pinged(OTHER).has(OTHER), "each has a say in a doubt");
  assert.ok(pinged(PEER).has(OTHER), "nobody may be watching it");
});

function isPing(bytes: Uint8Array): boolean {
  const decoded = decodeDatagram(bytes);
  return decoded.kind === "decoded" && decoded.value.body.kind === "ping";
}

Deno.test("Membership answers a ping, whoever sends it, and asks a stranger to introduce itself", () => {
  const scene = new Scene();
  scene.hear(PEER, { kind: "ping", sequence: 7 });
  const [ack] = scene.sent(PEER);
  assert.deepEqual(ack?.body, { kind: "ack", sequence: 7 });
  assert.equal(ack?.piggyback.accusation?.standing, "unknown");
  // When asked the same, it introduces itself.
  scene.hear(PEER, { kind: "ping", sequence: 8 }, {
    accusation: { standing: "unknown", bootEpoch: 5, incarnation: 0 as Incarnation },
  });
  const [answer] = scene.sent(PEER);
  assert.equal(answer?.piggyback.claims[0]?.nodeId, SELF);
  assert.equal(answer?.piggyback.claims[0]?.address, "self:1");
});

Deno.test("Membership tells a suspect with every ping and ack (Lifeguard, buddy system; memberlist 85)", () => {
  const scene = new Scene();
  scene.meet(PEER);
  scene.hear(OTHER, { kind: "gossip" }, { claims: [claim(PEER, "suspect")] });
  scene.effects = [];
  scene.advance(timing.probeIntervalMs);
  const ping = scene.sent(PEER).find((message) => message.body.kind === "ping");
  assert.equal(ping?.piggyback.accusation?.standing, "suspect");
  scene.hear(PEER, { kind: "ping", sequence: 1 });
  assert.equal(scene.sent(PEER)[0]?.piggyback.accusation?.standing, "suspect");
});

Deno.test("Membership refutes a suspicion of itself with a higher incarnation, persisted first", () => {
  const scene = new Scene({ incarnation: 3 });
  scene.meet(PEER);
  const accusation = { standing: "suspect", bootEpoch: 5, incarnation: 9 as Incarnation } as const;
  scene.hear(PEER, { kind: "ping", sequence: 1 }, { accusation });
  const kinds = scene.effects.map((effect) => effect.kind);
  assert.deepEqual(scene.effects.find((effect) => effect.kind === "persist_identity"), {
    kind: "persist_identity",
    bootEpoch: 5,
    incarnation: 10,
  });
  assert.ok(kinds.indexOf("persist_identity") < kinds.indexOf("send_datagram"));
  const ack = scene.sent(PEER).find((message) => message.body.kind === "ack");
  assert.equal(ack?.piggyback.claims[0]?.incarnation, 10);
  assert.equal(scene.membership.view().health, 1, "a slow node collects doubts");
});

Deno.test("Membership does not refute what it has already outlived", () => {
  const scene = new Scene({ incarnation: 3 });
  scene.meet(PEER);
  scene.hear(PEER, { kind: "gossip" }, { claims: [claim(SELF, "down", { epoch: 4 })] });
  assert.equal(scene.membership.view().self.incarnation, 3);
  scene.hear(PEER, { kind: "gossip" }, {
    claims: [claim(SELF, "down", { epoch: 5, incarnation: 2 })],
  });
  assert.equal(scene.membership.view().self.incarnation, 3);
  assert.equal(scene.standing(SELF), undefined, "it is no member of its own list (serf 336)");
});

Deno.test("Membership probes by others when a member is silent, and suspects it when all are", () => {
  const scene = new Scene();
  scene.meet(PEER, OTHER);
  const [target, relay] = [PEER, OTHER];
  scene.tell({ kind: "connection_lost", to: target });
  scene.effects = [];
  scene.advance(timing.probeTimeoutMs);
  const request = scene.sent(relay).find((message) => message.body.kind === "ping_request");
  assert.ok(request?.body.kind === "ping_request");
  assert.equal(request.body.target, target);
  scene.hear(relay, { kind: "nack", sequence: request.body.sequence });
  scene.advance(timing.probeDeadlineMs - timing.probeTimeoutMs);
  assert.equal(scene.standing(target), "suspect");
  assert.equal(scene.membership.view().health, 0, "the relay's answer cleared this node");
});

Deno.test("Membership blames itself when its relays are silent too (Lifeguard, local health)", () => {
  const scene = new Scene();
  scene.meet(PEER, OTHER);
  scene.advance(timing.probeIntervalMs + timing.probeDeadlineMs);
  assert.equal(scene.membership.view().health, 1);
});

Deno.test("Membership takes an indirect ack for life, and only from those it asked", () => {
  const scene = new Scene();
  scene.meet(PEER);
  scene.advance(timing.probeIntervalMs);
  const [ping] = scene.sent(PEER);
  assert.ok(ping?.body.kind === "ping");
  const { sequence } = ping.body;
  scene.hear(OTHER, { kind: "ack", sequence });
  scene.advance(timing.probeDeadlineMs);
  assert.equal(scene.standing(PEER), "suspect");
});

Deno.test("Membership relays a probe and its answer, or says that there was none", () => {
  const scene = new Scene();
  scene.meet(PEER, OTHER);
  scene.hear(OTHER, { kind: "ping_request", sequence: 40, target: PEER });
  const [ping] = scene.sent(PEER);
  assert.ok(ping?.body.kind === "ping");
  scene.hear(PEER, { kind: "ack", sequence: ping.body.sequence });
  assert.deepEqual(scene.sent(OTHER).map((message) => message.body), [{
    kind: "ack",
    sequence: 40,
  }]);
  scene.hear(OTHER, { kind: "ping_request", sequence: 41, target: PEER });
  scene.effects = [];
  scene.advance(timing.probeTimeoutMs);
  assert.ok(scene.sent(OTHER).some(({ body }) => body.kind === "nack" && body.sequence === 41));
  // Asked for itself, it answers for itself (foca 34).
  scene.hear(OTHER, { kind: "ping_request", sequence: 42, target: SELF });
  assert.deepEqual(scene.sent(OTHER)[0]?.body, { kind: "ack", sequence: 42 });
});

Deno.test("Membership counts a failed send as silence at once (memberlist 242)", () => {
  const scene = new Scene();
  scene.meet(PEER, OTHER);
  scene.tell({ kind: "connection_lost", to: PEER });
  scene.effects = [];
  scene.tell({ kind: "send_failed", to: PEER });
  assert.ok(scene.sent().some((message) => message.body.kind === "ping_request"));
});

Deno.test("Membership passes on an accusation of a node it has not met", () => {
  const scene = new Scene();
  scene.meet(OTHER);
  scene.hear(OTHER, { kind: "gossip" }, { claims: [claim(PEER, "down", { incarnation: 100 })] });
  scene.advance(timing.gossipIntervalMs);
  const said = scene.sent().flatMap((message) => message.piggyback.claims);
  assert.ok(said.some((found) => found.nodeId === PEER && found.standing === "down"));
  // It is asked when it starts again below that, and its own word counts (memberlist 311).
  scene.hear(PEER, { kind: "ping", sequence: 1 });
  const accusation = scene.sent(PEER)[0]?.piggyback.accusation;
  assert.deepEqual(accusation, { standing: "unknown", bootEpoch: 1, incarnation: 0 });
  scene.hear(PEER, { kind: "gossip" }, { claims: [claim(PEER, "alive")] });
  assert.deepEqual([scene.standing(PEER), scene.membership.find(PEER)?.incarnation], ["alive", 0]);
});

Deno.test("Membership believes a later life of a member by its own word, or by that of two others", () => {
  const scene = new Scene();
  const third = "00000000000000dd" as NodeId;
  scene.meet(PEER, OTHER, third);
  const epochOf = () => scene.membership.find(PEER)?.bootEpoch;
  const later = (epoch: number) => ({ claims: [claim(PEER, "alive", { epoch })] });
  scene.hear(OTHER, { kind: "gossip" }, later(9));
  assert.equal(epochOf(), 1);
  const asked = scene.sent(PEER)[0]?.piggyback.accusation;
  assert.deepEqual(asked, { standing: "unknown", bootEpoch: 1, incarnation: 0 });
  // The liar may go on; what counts of the others is what they agree about.
  scene.hear(OTHER, { kind: "gossip" }, later(99));
  scene.hear(third, { kind: "gossip" }, later(7));
  assert.equal(epochOf(), 7);
  scene.hear(PEER, { kind: "gossip" }, later(8));
  assert.equal(epochOf(), 8);
});

Deno.test("Membership believes no boot of the future and no incarnation that nobody can have", () => {
  const scene = new Scene();
  const nowMs = 1_800_000_000_000;
  scene.tell({ kind: "clock_read", wallMs: nowMs });
  scene.meet(PEER, OTHER);
  const before = scene.membership.view();
  for (
    const stamp of [
      { epoch: Number.MAX_SAFE_INTEGER },
      { epoch: nowMs + EPOCH_AHEAD_MS_MAX + 60_000 },
      { incarnation: Number.MAX_SAFE_INTEGER },
      { incarnation: 1_000_000 },
    ]
  ) {
    // By two, so that it is not for want of a voice.
    for (const by of [OTHER, PEER]) {
      scene.hear(by, { kind: "gossip" }, {
        claims: [claim(SELF, "suspect", { epoch: 5, ...stamp }), claim(OTHER, "down", stamp)],
      });
    }
  }
  const lies = scene.effects.filter((effect) =>
    effect.kind === "note" && effect.event === "lie_refused"
  );
  assert.equal(lies.length, 14, "all but what a member says of its own incarnation");
  const after = scene.membership.view();
  assert.deepEqual(after.self, before.self);
  assert.equal(scene.standing(PEER), "alive");
});

Deno.test("Membership tells a member that it holds it for down on any message, at a bounded rate", () => {
  const scene = new Scene();
  scene.meet(PEER, OTHER);
  scene.hear(OTHER, { kind: "gossip" }, { claims: [claim(PEER, "down")] });
  scene.effects = [];
  for (let message = 0; message < 10; message++) scene.hear(PEER, { kind: "gossip" });
  const accusations = scene.sent(PEER).map((message) => message.piggyback.accusation?.standing);
  assert.deepEqual(accusations, ["down"]);
});

Deno.test("Membership starts a suspicion anew after a refutation (memberlist 2016)", () => {
  const scene = new Scene();
  scene.meet(PEER, OTHER);
  const doubt = (incarnation: number) =>
    scene.hear(OTHER, { kind: "gossip" }, { claims: [claim(PEER, "suspect", { incarnation })] });
  doubt(0);
  scene.advance(1_000);
  scene.hear(PEER, { kind: "gossip" }, { claims: [claim(PEER, "alive", { incarnation: 1 })] });
  assert.equal(scene.standing(PEER), "alive");
  doubt(1);
  scene.advance(timing.suspicionFactor * timing.probeIntervalMs - 200);
  assert.equal(scene.standing(PEER), "suspect");
});

Deno.test("Membership doubts what push-pull calls down, and believes what gossip does", () => {
  const scene = new Scene();
  scene.meet(PEER, OTHER);
  const row = { goneSeconds: 5, valueVersion: 0, collectedVersion: 0 };
  scene.hearSync(OTHER, {
    kind: "sync_update",
    rows: [{ claim: claim(PEER, "down"), ...row }],
    deltas: [],
    wants: [],
  });
  assert.equal(scene.standing(PEER), "suspect");
  scene.hear(OTHER, { kind: "gossip" }, { claims: [claim(PEER, "down")] });
  assert.equal(scene.standing(PEER), "down");
});

Deno.test("Membership ignores an expelled member until it is admitted again", () => {
  const scene = new Scene();
  scene.meet(PEER);
  scene.tell({ kind: "member_expelled", nodeId: PEER });
  scene.effects = [];
  scene.hear(PEER, { kind: "ping", sequence: 1 });
  scene.hear(OTHER, { kind: "gossip" }, { claims: [claim(PEER, "alive")] });
  assert.deepEqual(scene.sent(PEER), []);
  assert.equal(scene.standing(PEER), undefined);
  scene.tell({ kind: "member_admitted", nodeId: PEER });
  scene.meet(PEER);
  assert.equal(scene.standing(PEER), "alive");
});

Deno.test("Membership announces a new address under a new incarnation", () => {
  const scene = new Scene();
  scene.meet(PEER);
  scene.tell({ kind: "address_changed", address: "self:2" });
  scene.advance(timing.gossipIntervalMs);
  const [said] = scene.sent(PEER).flatMap((message) => message.piggyback.claims)
    .filter((found) => found.nodeId === SELF).slice(-1);
  assert.deepEqual([said?.address, said?.incarnation], ["self:2", 1]);
});

Deno.test("Membership probes out of turn when a connection is lost, and judges only by that", () => {
  const scene = new Scene();
  scene.meet(PEER, OTHER);
  scene.tell({ kind: "connection_lost", to: PEER });
  const [ping] = scene.sent(PEER);
  assert.ok(ping?.body.kind === "ping");
  assert.equal(scene.standing(PEER), "alive");
  scene.hear(PEER, { kind: "ack", sequence: ping.body.sequence });
  scene.advance(timing.probeTimeoutMs);
  assert.equal(scene.standing(PEER), "alive");
});

Deno.test("Membership dates its life anew once its clock is right, keeps that, and tells it with all its values", () => {
  const wallMs = 1_800_000_000_000;
  const scene = new Scene({ bootEpoch: wallMs + EPOCH_AHEAD_MS_MAX + 60_000 });
  scene.meet(PEER);
  scene.tell({ kind: "value_published", key: "load", value: new Uint8Array([1]) });
  scene.advance(timing.gossipIntervalMs * 4);
  scene.effects = [];
  scene.tell({ kind: "clock_read", wallMs });
  const kept = scene.effects.filter((effect) => effect.kind === "persist_identity");
  assert.deepEqual(kept.map(({ bootEpoch }) => bootEpoch), [wallMs]);
  scene.advance(timing.gossipIntervalMs * 4);
  const told = scene.effects.filter((effect) =>
    effect.kind === "send_stream" && effect.nodeId === PEER
  );
  assert.equal(told.length, 1, "as to one who never heard of it");
  const claims = scene.sent(PEER).flatMap(({ piggyback }) => piggyback.claims);
  assert.ok(claims.some(({ nodeId, bootEpoch }) => nodeId === SELF && bootEpoch === wallMs));
  scene.tell({ kind: "clock_read", wallMs });
  assert.ok(scene.effects.every(({ kind }) => kind !== "persist_identity"), "once");
});

Deno.test("Membership says goodbye several times and is done, and refutes nothing meanwhile", () => {
  const scene = new Scene();
  scene.meet(PEER);
  scene.tell({ kind: "leave_requested" });
  scene.hear(PEER, { kind: "gossip" }, { claims: [claim(SELF, "suspect", { epoch: 5 })] });
  scene.advance(timing.gossipIntervalMs * 3);
  assert.ok(scene.effects.some((effect) => effect.kind === "leave_completed"));
  const said = scene.sent(PEER).flatMap((message) => message.piggyback.claims)
    .filter((found) => found.nodeId === SELF);
  assert.ok(said.length >= 3);
  assert.ok(said.every((found) => found.standing === "left" && found.incarnation === 0));
  // A later join is a new incarnation.
  scene.tell({ kind: "join_requested", seeds: [{ nodeId: PEER, address: "peer:1" }] });
  assert.equal(scene.membership.view().self.incarnation, 1);
});

Deno.test("Membership leaves at once when no one is there", () => {
  const scene = new Scene();
  scene.tell({ kind: "leave_requested" });
  assert.ok(scene.effects.some((effect) => effect.kind === "leave_completed"));
});

Deno.test("Membership refuses a value that is too long and says why", () => {
  const scene = new Scene();
  scene.tell({ kind: "value_published", key: "big", value: new Uint8Array(9_000) });
  assert.deepEqual(scene.effects, [{
    kind: "value_refused",
    key: "big",
    reason: "value_too_long",
  }]);
  scene.tell({ kind: "value_published", key: "load", value: Uint8Array.of(1) });
  assert.deepEqual([...scene.membership.values(SELF).keys()], ["load"]);
  assert.equal(scene.membership.values(PEER).size, 0);
});

Deno.test("Membership ignores a wake-up that was replaced and time that runs backwards", () => {
  const scene = new Scene();
  scene.meet(PEER);
  scene.tell({ kind: "woke", token: -5 });
  scene.nowMs -= 10_000;
  scene.hear(PEER, { kind: "ping", sequence: 1 });
  assert.equal(scene.sent(PEER).length, 1);
});

Deno.test("Membership survives any messages, and says so when they are malformed", () => {
  const random = new Random(9);
  const scene = new Scene();
  scene.meet(PEER, OTHER);
  const heard: Uint8Array[] = [];
  for (let turn = 0; turn < 5_000; turn++) {
    const bytes = Uint8Array.from(random.pick(heard) ?? [1, 0]);
    for (let change = random.below(4); change > 0; change--) {
      bytes[random.below(bytes.length)] = random.below(256);
    }
    const kind = random.pick(["datagram_received", "stream_received"] as const) ??
      "datagram_received";
    scene.tell({ kind, from: random.chance(1, 2) ? PEER : OTHER, bytes });
    scene.advance(random.below(50));
    for (const effect of scene.effects) {
      if (effect.kind !== "send_datagram" && effect.kind !== "send_stream") continue;
      if (heard.length < 200) heard.push(effect.bytes);
      const decode = effect.kind === "send_datagram" ? decodeDatagram : decodeSync;
      assert.equal(decode(effect.bytes).kind, "decoded");
    }
    scene.effects = scene.effects.filter((effect) => effect.kind === "note").slice(-5);
  }
  assert.ok(scene.effects.some((effect) => effect.kind === "note"));
});

Deno.test("Membership does not hold its own stall against others", () => {
  const scene = new Scene();
  scene.meet(PEER);
  scene.tell({ kind: "connection_lost", to: PEER });
  const [ping] = scene.sent(PEER);
  assert.ok(ping?.body.kind === "ping");
  // The process stops for a minute; its timers come before the ack that has been waiting all the time.
  scene.nowMs += 60_000;
  scene.advance(0);
  assert.ok(scene.effects.some((effect) => effect.kind === "note" && effect.event === "stalled"));
  scene.hear(PEER, { kind: "ack", sequence: ping.body.sequence });
  scene.advance(20);
  assert.equal(scene.standing(PEER), "alive");
  // A node that is always late still acts.
  for (let wake = 0; wake < 60; wake++) {
    scene.nowMs += 200;
    scene.advance(0);
  }
  assert.notEqual(scene.standing(PEER), "alive");
});

Deno.test("Membership neither takes nor keeps a row that is gone too long (foca 32)", () => {
  const scene = new Scene();
  scene.meet(OTHER);
  const rowOf = (nodeId: NodeId, goneSeconds: number) => ({
    claim: claim(nodeId, "down"),
    goneSeconds,
    valueVersion: 0,
    collectedVersion: 0,
  });
  const keptSeconds = timing.downKeptMs / 1000;
  const fresh = "00000000000000dd" as NodeId;
  const rows = [rowOf(PEER, keptSeconds), rowOf(fresh, keptSeconds - 5)];
  scene.hearSync(OTHER, { kind: "sync_update", rows, deltas: [], wants: [] });
  assert.equal(scene.standing(PEER), undefined);
  assert.equal(scene.standing(fresh), "down");
  scene.advance(5_000 + 2 * timing.announceIntervalMs);
  assert.equal(scene.standing(fresh), undefined);
});

Deno.test("Membership tells a node that speaks with an older life than is known (nodedb 165)", () => {
  const scene = new Scene();
  scene.hear(PEER, { kind: "gossip" }, { claims: [claim(PEER, "alive", { epoch: 4 })] });
  scene.effects = [];
  scene.hear(PEER, { kind: "ping", sequence: 1 }, { epoch: 1 });
  const accusation = { standing: "unknown", bootEpoch: 4, incarnation: 0 };
  assert.deepEqual(scene.sent(PEER)[0]?.piggyback.accusation, accusation);
});

Deno.test("Membership asks a suspect directly, twice, before it counts as down", () => {
  const scene = new Scene();
  scene.meet(PEER);
  scene.hear(OTHER, { kind: "gossip" }, { claims: [claim(PEER, "suspect")] });
  const gapMs = 2 * timing.probeTimeoutMs;
  // Alone with it, the shortest suspicion counts. Probes have their turns too, so calls are told by their moments.
  const endMs = timing.suspicionFactor * timing.probeIntervalMs;
  const pingedAtMs: number[] = [];
  for (let waited = 0; waited < endMs; waited++) {
    scene.advance(1);
    if (scene.sent(PEER).some((message) => message.body.kind === "ping")) {
      pingedAtMs.push(scene.nowMs);
    }
  }
  assert.ok(pingedAtMs.includes(endMs - 2 * gapMs), `pinged at ${pingedAtMs}`);
  assert.ok(pingedAtMs.includes(endMs - gapMs), `pinged at ${pingedAtMs}`);
  assert.equal(scene.standing(PEER), "down");
});

Deno.test("Membership compares lists with a random member at every interval, and with one that returned", () => {
  const scene = new Scene();
  scene.meet(PEER);
  let requests = 0;
  for (let waited = 0; waited < 2 * timing.syncIntervalMs; waited += 10) {
    scene.advance(10);
    requests += scene.effects.filter((effect) => effect.kind === "send_stream").length;
    for (const { body } of scene.sent(PEER)) {
      if (body.kind === "ping") scene.hear(PEER, { kind: "ack", sequence: body.sequence });
    }
  }
  assert.equal(requests, 2);
  scene.hear(OTHER, { kind: "gossip" }, { claims: [claim(PEER, "down")] });
  scene.effects = [];
  scene.hear(PEER, { kind: "gossip" }, { claims: [claim(PEER, "alive", { incarnation: 1 })] });
  const asked = scene.effects.filter((effect) => effect.kind === "send_stream");
  assert.deepEqual(asked.map((effect) => effect.nodeId), [PEER]);
});

Deno.test("A datagram fits its packet, however much there is to tell, and what is left follows", () => {
  const scene = new Scene();
  const ids = Array.from({ length: 100 }, (_, index) => `aa${index}`.padStart(16, "0") as NodeId);
  const isNamed = new Set<NodeId>();
  scene.meet(PEER, ...ids);
  for (let sequence = 1; sequence <= 20; sequence++) {
    // With its own claim in front, whose room is missing then.
    const accusation = {
      standing: "unknown",
      bootEpoch: 5,
      incarnation: 0 as Incarnation,
    } as const;
    scene.hear(PEER, { kind: "ping", sequence }, sequence % 2 === 0 ? { accusation } : {});
    const [ack] = scene.sent(PEER);
    for (const { nodeId } of ack?.piggyback.claims ?? []) isNamed.add(nodeId);
    if (sequence === 1) assert.ok(isNamed.size > 10 && isNamed.size < ids.length);
  }
  for (const id of ids) assert.ok(isNamed.has(id), id);
});
