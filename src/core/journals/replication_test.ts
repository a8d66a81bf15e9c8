import assert from "node:assert/strict";
import { type NodeId, Random } from "../../base/mod.ts";
import { ACK_WAIT_MS, BENCH_MS, DOUBTED_ACK_WAIT_MS, TRIAL_GAP_MS } from "./limits.ts";
import { JournalReplication, type ReplicationOrder } from "./replication.ts";

const [B, C] = ["b", "c"].map((letter) => letter.repeat(64) as NodeId) as [NodeId, NodeId];

type Orders = readonly ReplicationOrder<string>[];
const kinds = (orders: Orders) => orders.map(({ kind }) => kind).join(" ");

function linked(): JournalReplication<string> {
  const replication = new JournalReplication<string>();
  assert.equal(
    kinds(replication.step({ kind: "candidates", peers: [B, C], doubted: [] }, 0)),
    "link",
  );
  assert.equal(kinds(replication.step({ kind: "linked", peer: B }, 0)), "send_all");
  replication.step({ kind: "acked", batch: 1 }, 0);
  return replication;
}

Deno.test("JournalReplication releases a word once the second node knows it, and what came meanwhile in one batch", () => {
  const replication = linked();
  const first = replication.step({ kind: "wrote", word: "1" }, 5);
  assert.deepEqual(first, [{ kind: "send", batch: 2, words: ["1"] }]);
  assert.deepEqual(replication.step({ kind: "wrote", word: "2" }, 5), []);
  assert.deepEqual(replication.step({ kind: "wrote", word: "3" }, 5), []);
  assert.deepEqual(replication.step({ kind: "acked", batch: 2 }, 6), [
    { kind: "release", upTo: 1 },
    { kind: "send", batch: 3, words: ["2", "3"] },
  ]);
  assert.deepEqual(replication.step({ kind: "acked", batch: 3 }, 7), [{
    kind: "release",
    upTo: 3,
  }]);
});

Deno.test("JournalReplication releases at once where there is nobody else", () => {
  const replication = new JournalReplication<string>();
  assert.deepEqual(replication.step({ kind: "wrote", word: "1" }, 0), [{
    kind: "release",
    upTo: 1,
  }]);
});

Deno.test("JournalReplication goes to the next node when the second one is lost, and releases once that knows all", () => {
  const replication = linked();
  replication.step({ kind: "wrote", word: "1" }, 5);
  assert.deepEqual(replication.step({ kind: "lost", peer: B }, 6), [{ kind: "link", peer: C }]);
  assert.deepEqual(replication.step({ kind: "wrote", word: "2" }, 6), []);
  const [all] = replication.step({ kind: "linked", peer: C }, 7);
  assert.equal(all?.kind, "send_all");
  const batch = all?.kind === "send_all" ? all.batch : 0;
  assert.deepEqual(replication.step({ kind: "acked", batch }, 8), [{ kind: "release", upTo: 2 }]);
  assert.equal(replication.partner, C);
});

Deno.test("JournalReplication lets nobody wait for longer than 2 s, and leaves a late node alone for a while", () => {
  const replication = linked();
  replication.step({ kind: "candidates", peers: [B], doubted: [] }, 5);
  replication.step({ kind: "wrote", word: "1" }, 5);
  assert.deepEqual(replication.step({ kind: "looked" }, 4 + ACK_WAIT_MS), []);
  replication.step({ kind: "candidates", peers: [B, C], doubted: [] }, 5);
  const late = replication.step({ kind: "looked" }, 5 + ACK_WAIT_MS);
  assert.deepEqual(late, [{ kind: "unlink", peer: B }, { kind: "link", peer: C }, {
    kind: "release",
    upTo: 1,
  }]);
  const soonMs = 4 + ACK_WAIT_MS + BENCH_MS;
  assert.deepEqual(replication.step({ kind: "lost", peer: C }, soonMs), [{
    kind: "link",
    peer: B,
  }]);
});

Deno.test("JournalReplication leaves a second node in doubt for another once bytes have waited for it a little, and shows none for that", () => {
  const other = linked();
  other.step({ kind: "wrote", word: "1" }, 5);
  const doubt = { kind: "candidates", peers: [C], doubted: [B] } as const;
  assert.deepEqual(other.step(doubt, 6), [], "it may answer yet");
  assert.deepEqual(other.step({ kind: "looked" }, 4 + DOUBTED_ACK_WAIT_MS), []);
  const moved = other.step({ kind: "looked" }, 5 + DOUBTED_ACK_WAIT_MS);
  assert.deepEqual(moved, [{ kind: "unlink", peer: B }, { kind: "link", peer: C }]);
  assert.deepEqual(other.step({ kind: "looked" }, 4 + ACK_WAIT_MS), []);
  assert.equal(kinds(other.step({ kind: "looked" }, 5 + ACK_WAIT_MS)), "unlink link release");
  // Where nothing waits for it, it is asked for a sign of life.
  const calm = linked();
  assert.deepEqual(calm.step(doubt, 6), [{ kind: "send", batch: 2, words: [] }]);
  calm.step({ kind: "acked", batch: 2 }, 7);
  assert.deepEqual(calm.step({ kind: "looked" }, 5_000), [], "it lives");
  const dead = linked();
  dead.step(doubt, 6);
  assert.equal(kinds(dead.step({ kind: "looked" }, 6 + DOUBTED_ACK_WAIT_MS)), "unlink link");
});

Deno.test("JournalReplication waits a little for a second node in doubt where there is no other, and goes to one where all are in doubt", () => {
  const alone = linked();
  alone.step({ kind: "wrote", word: "1" }, 5);
  assert.deepEqual(alone.step({ kind: "candidates", peers: [], doubted: [B] }, 6), []);
  assert.deepEqual(alone.step({ kind: "looked" }, 4 + DOUBTED_ACK_WAIT_MS), []);
  assert.equal(kinds(alone.step({ kind: "looked" }, 5 + DOUBTED_ACK_WAIT_MS)), "unlink release");
  const begun = new JournalReplication<string>();
  const first = begun.step({ kind: "candidates", peers: [], doubted: [B, C] }, 0);
  assert.deepEqual(first, [{ kind: "link", peer: B }]);
  assert.deepEqual(begun.step({ kind: "wrote", word: "1" }, 1), [], "it waits for it");
  // Nobody doubts any more what is gone.
  const gone = linked();
  gone.step({ kind: "wrote", word: "1" }, 5);
  const none = gone.step({ kind: "candidates", peers: [], doubted: [] }, 6);
  assert.equal(kinds(none), "unlink release");
});

Deno.test("JournalReplication tries a late node again where there is no other, while nobody waits for it", () => {
  const replication = linked();
  replication.step({ kind: "candidates", peers: [B], doubted: [] }, 0);
  replication.step({ kind: "wrote", word: "1" }, 0);
  const late = replication.step({ kind: "looked" }, ACK_WAIT_MS);
  assert.equal(kinds(late), "unlink link release");
  const afterMs = ACK_WAIT_MS + 1;
  assert.equal(kinds(replication.step({ kind: "wrote", word: "2" }, afterMs)), "release");
  assert.equal(kinds(replication.step({ kind: "linked", peer: B }, afterMs)), "send_all");
  assert.equal(kinds(replication.step({ kind: "wrote", word: "3" }, afterMs)), "release");
  assert.equal(replication.partner, undefined);
  assert.equal(kinds(replication.step({ kind: "acked", batch: 3 }, afterMs)), "send");
  assert.equal(replication.partner, undefined, "3 was seen, and is not known there yet");
  // From here on what is new waits for it.
  assert.deepEqual(replication.step({ kind: "wrote", word: "4" }, afterMs), []);
  replication.step({ kind: "acked", batch: 4 }, afterMs);
  assert.equal(replication.partner, B);
});

Deno.test("JournalReplication tries nobody without a pause between", () => {
  const replication = linked();
  replication.step({ kind: "candidates", peers: [B], doubted: [] }, 0);
  assert.equal(kinds(replication.step({ kind: "lost", peer: B }, 0)), "link");
  for (let ms = 1; ms < TRIAL_GAP_MS; ms += 50) {
    assert.deepEqual(replication.step({ kind: "lost", peer: B }, ms), []);
    assert.deepEqual(replication.step({ kind: "looked" }, ms), []);
  }
  assert.equal(kinds(replication.step({ kind: "looked" }, TRIAL_GAP_MS)), "link");
  // One that says nothing is left for the next.
  replication.step({ kind: "candidates", peers: [B, C], doubted: [] }, TRIAL_GAP_MS);
  const left = replication.step({ kind: "looked" }, TRIAL_GAP_MS + ACK_WAIT_MS);
  assert.deepEqual(left, [{ kind: "unlink", peer: B }, { kind: "link", peer: C }]);
});

Deno.test("JournalReplication gives a node that takes long for all that is kept more time with each trial", () => {
  const replication = linked();
  replication.step({ kind: "candidates", peers: [B], doubted: [] }, 0);
  replication.step({ kind: "lost", peer: B }, 0);
  replication.step({ kind: "linked", peer: B }, 0);
  let nowMs = 0;
  for (const patienceMs of [1, 2, 4, 8, 8, 8].map((times) => times * ACK_WAIT_MS)) {
    assert.deepEqual(replication.step({ kind: "looked" }, nowMs + patienceMs - 1), []);
    nowMs += patienceMs;
    assert.equal(kinds(replication.step({ kind: "looked" }, nowMs)), "unlink link");
    replication.step({ kind: "linked", peer: B }, nowMs);
  }
  replication.step({ kind: "acked", batch: 8 }, nowMs);
  assert.equal(replication.partner, B, "it took its time");
  replication.step({ kind: "lost", peer: B }, nowMs);
  replication.step({ kind: "looked" }, nowMs + TRIAL_GAP_MS);
  const again = replication.step({ kind: "looked" }, nowMs + TRIAL_GAP_MS + ACK_WAIT_MS);
  assert.equal(kinds(again), "unlink link", "the next one begins anew");
});

Deno.test("JournalReplication takes no late word of a node that it left", () => {
  const replication = linked();
  replication.step({ kind: "wrote", word: "1" }, 5);
  assert.equal(
    kinds(replication.step({ kind: "candidates", peers: [C], doubted: [] }, 6)),
    "unlink link",
  );
  assert.deepEqual(replication.step({ kind: "acked", batch: 2 }, 7), []);
  assert.deepEqual(replication.step({ kind: "lost", peer: B }, 7), []);
});

Deno.test("whatever was released is known to the second node, at every step of a thousand random runs", () => {
  let killed = 0;
  for (let seed = 0; seed < 1_000; seed++) killed += randomRun(seed);
  assert.ok(killed > 20_000, `${killed} steps were looked at`);
});

/** Between two steps of a random run: some of what waits is late, and both nodes may be passed over. */
const STEP_MS = 200;

/** Words, acknowledgements and losses in any order; after each step the node that writes could die. Returns the steps. */
function randomRun(seed: number): number {
  const random = new Random(seed);
  const replication = new JournalReplication<number>();
  const book: number[] = [];
  const known = new Map<NodeId, Set<number>>([[B, new Set()], [C, new Set()]]);
  /** On their way to the second node, and its answers on their way back. */
  let wire: { peer: NodeId; batch: number; words: readonly number[] }[] = [];
  let acks: { peer: NodeId; batch: number }[] = [];
  let linking: NodeId | undefined;
  let released = 0;
  let steps = 0;
  const carryOut = (orders: readonly ReplicationOrder<number>[]) => {
    for (const order of orders) {
      if (order.kind === "link") [linking, wire, acks] = [order.peer, [], []];
      else if (order.kind === "unlink") [linking, wire, acks] = [undefined, [], []];
      else if (order.kind === "release") released = order.upTo;
      else {
        const words = order.kind === "send_all" ? [...book] : order.words;
        wire.push({ peer: linking ?? B, batch: order.batch, words });
      }
    }
  };
  carryOut(replication.step({ kind: "candidates", peers: [B, C], doubted: [] }, 0));
  for (; steps < 60; steps++) {
    const [sent, ack] = [wire[0], acks[0]];
    const nowMs = steps * STEP_MS;
    switch (random.below(7)) {
      case 0:
      case 1:
        book.push(book.length + 1);
        carryOut(replication.step({ kind: "wrote", word: book.length }, nowMs));
        break;
      case 2:
        if (linking !== undefined) {
          carryOut(replication.step({ kind: "linked", peer: linking }, nowMs));
        }
        break;
      case 3:
        if (sent === undefined) break;
        wire.shift();
        for (const word of sent.words) known.get(sent.peer)?.add(word);
        acks.push(sent);
        break;
      case 4:
        if (ack === undefined) break;
        acks.shift();
        carryOut(replication.step({ kind: "acked", batch: ack.batch }, nowMs));
        break;
      case 5:
        if (linking === undefined || random.below(4) > 0) break;
        carryOut(replication.step({ kind: "lost", peer: linking }, nowMs));
        carryOut(replication.step({ kind: "candidates", peers: [B, C], doubted: [] }, nowMs));
        break;
      case 6:
        carryOut(replication.step({ kind: "looked" }, nowMs));
    }
    const holder = [...known.values()].some((words) =>
      Array.from({ length: released }, (_, index) => index + 1).every((word) => words.has(word))
    );
    assert.ok(
      holder || replication.partner === undefined,
      `seed ${seed}, step ${steps}: ${released} words were seen`,
    );
  }
  return steps;
}
