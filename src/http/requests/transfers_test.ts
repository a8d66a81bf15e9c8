import assert from "node:assert/strict";
import { appUnderTest, httpRequest } from "../../../tests/harness/http_app.ts";
import { linkedWork } from "../../../tests/harness/kept_responses.ts";
import { scriptedAdmin } from "../../../tests/harness/scripted_admin.ts";
import type { ArrivingModel } from "../../ports/mod.ts";
import type { HttpApp } from "../app.ts";

async function transfersOf(app: HttpApp): Promise<readonly Record<string, unknown>[]> {
  const sender = { kind: "machine", address: "127.0.0.1", isOwn: true } as const;
  const response = await app.fetch(httpRequest("GET", "/api/cluster/transfers"), { sender });
  assert.equal(response.status, 200);
  return (await response.json()).transfers;
}

Deno.test("models on their way are told of all nodes, with how much of each is there", async () => {
  const [here, there] = linkedWork();
  const arriving = (...models: readonly ArrivingModel[]) => ({ arrivingModels: () => models });
  const one = appUnderTest({
    elsewhere: here,
    config: { nodeName: "ada" },
    script: arriving({ model: "big:latest", total: 100, completed: 7 }),
  });
  appUnderTest({
    elsewhere: there,
    admin: scriptedAdmin().admin,
    config: { nodeName: "bob" },
    script: arriving(
      { model: "big:latest", total: 100, completed: 30 },
      { model: "a:latest", total: 5, completed: 0 },
    ),
  });
  assert.deepEqual(await transfersOf(one.app), [
    { model: "a:latest", total: 5, completed: 0, node: "bob" },
    { model: "big:latest", total: 100, completed: 7, node: "ada" },
    { model: "big:latest", total: 100, completed: 30, node: "bob" },
  ]);
});

Deno.test("other nodes are asked once for many pages, and what makes no sense of what they say is left out", async () => {
  const [here] = linkedWork();
  let asked = 0;
  const elsewhere = Object.assign(here, {
    report: () => {
      asked++;
      const good = { node: "bob", model: "m", total: 4, completed: 4 };
      return Promise.resolve([[
        good,
        { ...good, completed: 5 },
        { ...good, total: "4" },
        { ...good, completed: -1 },
        { node: "bob" },
      ]]);
    },
  });
  const { app } = appUnderTest({ elsewhere });
  const [first] = await Promise.all([transfersOf(app), transfersOf(app), transfersOf(app)]);
  assert.deepEqual(first, [{ node: "bob", model: "m", total: 4, completed: 4 }]);
  assert.equal(asked, 1);
});
