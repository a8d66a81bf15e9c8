import assert from "node:assert/strict";
import { clusterTest, type TestCluster } from "../harness/cluster.ts";
import { lackingOwnNatives } from "../harness/own_natives.ts";
import { runnersOf } from "../harness/runners.ts";
import {
  isWhole,
  lending,
  noticedAfterMs,
  signalRunner,
  SPLIT_ENVIRONMENT,
  splitRoles,
  STORY_MOMENTS,
  tellStory,
} from "../harness/split_story.ts";

const lacking = lackingOwnNatives();
if (lacking !== undefined) console.log(`deaths under split models are not tested: ${lacking}`);
/** Each moment so often; `deno task bench:deaths` has twenty. */
const TIMES = 2;
const MOMENTS = ["first", "middle", "last"] as const;

/** Figures of all turns, in milliseconds. */
function tell(what: string, values: readonly (number | undefined)[]): void {
  console.log(`${what}: ${values.map((ms) => ms ?? "over").join(", ")} ms`);
}

for (const who of ["worker", "leader"] as const) {
  for (const signal of ["SIGKILL", "SIGSTOP"] as const) {
    clusterTest(
      `An answer of a split model outlives the ${signal} of its ${who}, whenever it comes`,
      { nodes: 2, environment: SPLIT_ENVIRONMENT, ignore: lacking !== undefined },
      async (cluster) => {
        await isWhole(cluster, await tellStory(cluster));
        const [pauses, noticed]: [number[], (number | undefined)[]] = [[], []];
        for (let turn = 0; turn < TIMES * MOMENTS.length; turn++) {
          const at = STORY_MOMENTS[MOMENTS[turn % MOMENTS.length] ?? "first"];
          let [struck, struckMs] = [0, 0];
          const told = await tellStory(cluster, async (line) => {
            if (line !== at) return;
            const { [who]: node } = await splitRoles(cluster);
            await signalRunner(cluster, node, signal);
            struckMs = Date.now();
            struck++;
          });
          assert.equal(struck, 1);
          await isWhole(cluster, told);
          pauses.push(Math.round(told.pauseMs));
          noticed.push(noticedAfterMs(cluster, struckMs));
        }
        tell(`${who} ${signal}: noticed after`, noticed);
        tell(`${who} ${signal}: pauses of`, pauses);
      },
    );
  }
}

for (const signal of ["SIGKILL", "SIGSTOP"] as const) {
  clusterTest(
    `A split model is loaded by another plan, by the same node, when a worker gets a ${signal} while it loads`,
    { nodes: 2, environment: SPLIT_ENVIRONMENT, ignore: lacking !== undefined },
    async (cluster) => {
      const askedMs = Date.now();
      const asked = tellStory(cluster);
      const { workerPid } = await lending(cluster, askedMs);
      Deno.kill(workerPid, signal);
      await isWhole(cluster, await asked);
      tell(`worker ${signal} at load: answer after`, [Date.now() - askedMs]);
      assert.match(cluster.client("n1").printed, /worker_lost/);
      assert.doesNotMatch(cluster.client("n1").printed, /model_load_failed/);
    },
  );
}

/** A runner's process, from its first moment on. */
async function startedRunner(cluster: TestCluster, node: string): Promise<number> {
  return await cluster.until("a runner is started", async () => {
    return (await runnersOf(cluster.client(node).pid))[0];
  });
}

for (const [who, node] of [["worker", "n2"], ["leader", "n1"]] as const) {
  for (const signal of ["SIGKILL", "SIGSTOP"] as const) {
    clusterTest(
      `A split model is loaded all the same when its ${who}'s process gets a ${signal} as it starts`,
      { nodes: 2, environment: SPLIT_ENVIRONMENT, ignore: lacking !== undefined },
      async (cluster) => {
        const { length } = cluster.client(node).printed;
        const askedMs = Date.now();
        const asked = tellStory(cluster);
        Deno.kill(await startedRunner(cluster, node), signal);
        const spoken = cluster.client(node).printed.slice(length);
        assert.doesNotMatch(spoken, /worker_lent|runner_loaded/, "it had started already");
        await isWhole(cluster, await asked);
        tell(`${who} ${signal} at start: answer after`, [Date.now() - askedMs]);
        assert.doesNotMatch(cluster.client("n1").printed, /model_load_failed/);
      },
    );
  }
}

for (const who of ["worker", "leader"] as const) {
  clusterTest(
    `An answer of a split model goes on elsewhere when its ${who}'s machine is cut off, whenever it is`,
    { nodes: 4, environment: SPLIT_ENVIRONMENT, ignore: lacking !== undefined },
    async (cluster) => {
      // n1 talks with the client, and computes nothing.
      await cluster.client("n1").ask("POST", "/api/cluster/members/n1/drain");
      await isWhole(cluster, await tellStory(cluster));
      const [pauses, noticed]: [number[], (number | undefined)[]] = [[], []];
      for (let turn = 0; turn < MOMENTS.length; turn++) {
        const at = STORY_MOMENTS[MOMENTS[turn % MOMENTS.length] ?? "first"];
        let [cut, cutMs] = ["", 0];
        const told = await tellStory(cluster, async (line) => {
          if (line !== at) return;
          cut = (await splitRoles(cluster))[who];
          cluster.isolate(cut);
          cutMs = Date.now();
        });
        assert.notEqual(cut, "");
        await isWhole(cluster, told);
        noticed.push(noticedAfterMs(cluster, cutMs));
        pauses.push(Math.round(told.pauseMs));
        cluster.heal();
        await cluster.healthy(4);
      }
      tell(`${who} cut: noticed after`, noticed);
      tell(`${who} cut: pauses of`, pauses);
    },
  );
}

for (const who of ["worker", "leader"] as const) {
  clusterTest(
    `A split model is loaded elsewhere when its ${who}'s machine is cut off while it loads`,
    { nodes: 4, environment: SPLIT_ENVIRONMENT, ignore: lacking !== undefined },
    async (cluster) => {
      await cluster.client("n1").ask("POST", "/api/cluster/members/n1/drain");
      const askedMs = Date.now();
      const asked = tellStory(cluster);
      const { [who]: cut } = await lending(cluster, askedMs);
      cluster.isolate(cut);
      await isWhole(cluster, await asked);
      tell(`${who} cut at load: answer after`, [Date.now() - askedMs]);
    },
  );
}
