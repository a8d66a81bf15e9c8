// Requests made at random from what the node says of itself; `deno task fuzz:api` sends many more.
import assert from "node:assert/strict";
import { fuzzApi } from "../harness/api_fuzz.ts";
import { nodeForFile, nodeTest } from "../harness/node.ts";

const node = nodeForFile();

nodeTest(
  "no request, valid or broken, gets an unforeseen 500, a wrong form or no answer",
  async () => {
    const { findings, statuses } = await fuzzApi(node().origin, { seed: 7, count: 800 });
    assert.deepEqual(findings, []);
    for (const status of [200, 400, 404]) assert.ok((statuses.get(status) ?? 0) > 20, `${status}`);
  },
);
