import assert from "node:assert/strict";
import { type NodeId, Random } from "../../src/base/mod.ts";
import { clusterTest, type TestCluster } from "../harness/cluster.ts";
import { FORGED_VERSION } from "../harness/lies.ts";
import { Turncoat } from "../harness/turncoat.ts";

const LIES = 1_000;
/** How long a group may be without a leader after all of it. */
const LEADER_MS_MAX = 2_000;

/** Of a counter with the label `peer`, summed over its other labels. */
async function counted(cluster: TestCluster, name: string, of: { metric: string; peer: string }) {
  const text = await (await cluster.client(name).fetch("/metrics")).text();
  const line = new RegExp(`^${of.metric}\\{[^}]*peer="${of.peer}"[^}]*\\} (\\d+)`, "gm");
  return [...text.matchAll(line)].reduce((sum, [, count]) => sum + Number(count), 0);
}

/**
 * A term that began meanwhile was a voter's own idea: it asked the others first whether they would vote, as only its own
 * patience makes it do, and then stood for that term. A term that was believed, or an order that was obeyed, has no such
 * line. On a machine with too much to do elections happen.
 */
function assertCalledByVoters(
  cluster: TestCluster,
  names: readonly string[],
  terms: { readonly before: number; readonly after: number },
): void {
  const said = names.map((name) => cluster.client(name).printed);
  for (let term = terms.before + 1; term <= terms.after; term++) {
    const called = new RegExp(
      `raft_role role=pre_candidate.* term=${
        term - 1
      }$[^]*raft_role role=candidate.* term=${term}$`,
      "m",
    );
    const callers = names.filter((_, index) => called.test(said[index] ?? ""));
    assert.ok(callers.length > 0, `nobody called the election of term ${term}`);
    console.log(`${callers.join()} called the election of term ${term}`);
  }
}

async function assertWrites(cluster: TestCluster, names: readonly string[], value: string) {
  for (const name of names) {
    await cluster.client(name).ask("PUT", `/api/cluster/settings/test.${name}`, { value });
  }
}

clusterTest(
  "an admitted member without a vote lies a thousand times to each, and changes nothing",
  { nodes: 4 },
  async (cluster) => {
    const { members } = await cluster.status("n1");
    const turned = members.find(({ role }) => role === "learner")?.name ?? "";
    const others = members.filter(({ name }) => name !== turned);
    const names = others.map(({ name }) => name);
    await assertWrites(cluster, names, "before");
    const before = await cluster.status(names[0] ?? "");
    await using liar = await Turncoat.take(cluster, turned);
    const random = new Random(11);
    const about = others.map(({ node_id }) => node_id as NodeId);
    for (const { name, node_id } of others) {
      await liar.meet({ nodeId: node_id as NodeId, port: cluster.client(name).listenPort });
    }
    await Promise.all(about.map((to) => liar.lie(to, { count: LIES, random, about })));
    const peer = liar.nodeId;
    for (const name of names) {
      await cluster.until(
        "most were heard and refused",
        async () =>
          await counted(cluster, name, { metric: "odist_raft_refused_total", peer }) > LIES / 4 &&
          await counted(cluster, name, { metric: "odist_membership_lies_total", peer }) > LIES,
      );
      const { printed, isAlive } = cluster.client(name);
      assert.ok(isAlive, printed);
      assert.match(printed, new RegExp(`raft_message_refused.*${peer}`));
      assert.match(printed, new RegExp(`membership_lie_refused.*${peer}`));
      const seen = await (await cluster.client(name).fetch("/api/cluster/status")).text();
      // As a text: as a pattern its dots would find it in any hash.
      assert.ok(!seen.includes(`"${FORGED_VERSION}"`), "a forged value was believed");
    }
    for (const name of names) {
      const raft = await counted(cluster, name, { metric: "odist_raft_refused_total", peer });
      const gossip = await counted(cluster, name, { metric: "odist_membership_lies_total", peer });
      console.log(`${name} refused ${raft} messages of the group and ${gossip} of gossip`);
    }
    const startMs = performance.now();
    await cluster.leader();
    assert.ok(performance.now() - startMs < LEADER_MS_MAX);
    await assertWrites(cluster, names, "after");
    for (const name of names) {
      const after = await cluster.status(name);
      assertCalledByVoters(cluster, names, { before: before.term, after: after.term });
      assert.ok(about.includes(after.leader as NodeId), `${after.leader} leads`);
      if (after.term === before.term) assert.equal(after.leader, before.leader);
      // The liar's own process is gone, and nothing else is wrong.
      assert.equal(after.health, "degraded");
      const voters = after.members.filter(({ role }) => role === "leader" || role === "voter");
      assert.deepEqual(voters.map((voter) => voter.name).sort(), [...names].sort());
    }
    // Nothing that was said made anything on a disk unreadable.
    for (const name of names) {
      await cluster.stop(name);
      await cluster.restart(name);
      await cluster.leader();
    }
    await assertWrites(cluster, names, "restarted");
  },
);
