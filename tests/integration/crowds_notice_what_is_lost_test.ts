/**
 * The crowd by which acceptance judges a cluster, before nodes that lose, cut and refuse.
 *
 * @module
 */
import assert from "node:assert/strict";
import {
  ask,
  type AskedCluster,
  askToTheEnd,
  crowd,
  crowdDuring,
  tally,
} from "../harness/crowd.ts";

const WHOLE = '{"response":"Once"}\n{"response":" upon","done":true}\n';

/** A node that answers the n-th request as told, and the cluster of it alone. */
function nodeThatSays(answer: (number: number) => Response) {
  let asked = 0;
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async (it) => {
    await it.body?.cancel();
    return answer(asked++);
  });
  const origin = `http://127.0.0.1:${server.addr.port}`;
  const node = { origin, fetch: (path: string, init?: RequestInit) => fetch(origin + path, init) };
  const cluster: AskedCluster = { running: ["n1"], client: () => node };
  return { cluster, asked: () => asked, [Symbol.asyncDispose]: () => server.shutdown() };
}

Deno.test("A crowd counts whole answers, by the node that computed them", async () => {
  await using node = nodeThatSays((number) =>
    new Response(WHOLE, { headers: { "x-odist-node": `n${number % 2}` } })
  );
  const got = tally(await crowd(10, 3, () => ask(node.cluster, "n1")));
  assert.deepEqual([got.count, got.failures, got.putOff], [10, [], 0]);
  assert.deepEqual(got.byNode, { n0: 5, n1: 5 });
  assert.ok(got.p95Ms >= got.p50Ms && got.perSecond > 0);
});

Deno.test("A crowd takes an answer that is cut short, empty, an error or none for lost", async () => {
  const broken = [
    () => new Response('{"response":"Once"}\n'),
    () => new Response(""),
    () => new Response('{"error":"the runner is gone"}\n'),
    () => new Response("no", { status: 500 }),
    () => new Response('{"error":"busy"}', { status: 503 }),
  ];
  await using node = nodeThatSays((number) => broken[number]?.() ?? new Response(WHOLE));
  const got = tally(await crowd(broken.length + 1, 1, () => ask(node.cluster, "n1")));
  assert.equal(got.failures.length, broken.length);
  const nobody: AskedCluster = {
    running: ["n1"],
    client: () => ({
      origin: "http://127.0.0.1:1",
      fetch: (path, init) => fetch(`http://127.0.0.1:1${path}`, init),
    }),
  };
  assert.equal(tally([await ask(nobody, "n1")]).failures.length, 1);
});

Deno.test("A crowd tells who is put off, with a time to come again, from who is lost", async () => {
  await using node = nodeThatSays((number) =>
    number === 0
      ? new Response("{}", { status: 503, headers: { "retry-after": "1" } })
      : new Response(WHOLE)
  );
  const got = tally(await crowd(3, 1, () => ask(node.cluster, "n1")));
  assert.deepEqual([got.count, got.failures, got.putOff], [3, [], 1]);
});

Deno.test("A client that comes back for its answer is lost all the same when its node refuses it for good", async () => {
  await using node = nodeThatSays(() => new Response("gone", { status: 410 }));
  const outcome = await askToTheEnd(node.cluster);
  assert.match(outcome.failure ?? "", /gone/);
  await using whole = nodeThatSays(() => new Response(WHOLE));
  assert.deepEqual((await askToTheEnd(whole.cluster)).text, "Once upon");
});

Deno.test("A crowd asks while something goes on, and reads to the end what is under way then", async () => {
  await using node = nodeThatSays(() => new Response(WHOLE));
  const enough = Promise.withResolvers<void>();
  let asked = 0;
  const outcomes = await crowdDuring(4, (number) => {
    if (++asked === 20) enough.resolve();
    return ask(node.cluster, `n${number}`);
  }, () => enough.promise);
  assert.equal(outcomes.length, node.asked());
  assert.ok(outcomes.length >= 20);
  assert.deepEqual(tally(outcomes).failures, []);
});
