import { clusterTest } from "../harness/cluster.ts";

clusterTest("a member that was away follows a leader that it has never heard of", {
  nodes: 3,
  environment: { ODIST_REPLACE_VOTERS_AFTER: "1s" },
}, async (cluster) => {
  await cluster.stop("n3");
  const fourth = await cluster.join();
  await cluster.until("the new one votes", async () => {
    const { members } = await cluster.status("n1");
    return members.some(({ name, role }) => name === fourth && role === "voter");
  });
  // Until it leads: a leader that stops hands over to whoever is not further behind.
  for (let leader = await cluster.leader(); leader !== fourth; leader = await cluster.leader()) {
    await cluster.stop(leader);
    await cluster.restart(leader);
    const back = leader;
    await cluster.until("it follows", async () => (await cluster.status(back)).leader);
  }
  await cluster.restart("n3");
  await cluster.healthy(4);
});
