import assert from "node:assert/strict";
import { generateRequest, Machine, readLines } from "../harness/built_odist.ts";

const ignore = Deno.build.os === "windows";

Deno.test({ name: "The built file serves, generates and stops on SIGTERM", ignore }, async (t) => {
  await using machine = await Machine.make();
  await using node = await machine.serve();
  await t.step("POST /api/generate streams to done=true", async () => {
    const response = await node.post("/api/generate", generateRequest("hello", 24));
    assert.equal(response.status, 200);
    const lines = await Array.fromAsync(readLines(response));
    assert.ok(lines.length > 1);
    assert.equal(lines.at(-1)?.done, true);
    assert.notEqual(lines.map((line) => line.response).join("").trim(), "");
  });
  await t.step("GET /metrics counts it", async () => {
    const response = await fetch(`${node.origin}/metrics`);
    assert.equal(response.status, 200);
    assert.match(await response.text(), /^odist_\w+/m);
  });
  await t.step("run answers on standard output", async () => {
    const { code, stdout, stderr } = await machine.run(["run", "tiny", "hello"], {
      ODIST_HOST: node.host,
    });
    assert.equal(code, 0, stderr);
    assert.notEqual(stdout.trim(), "");
  });
  await t.step("doctor finds nothing to mend", async () => {
    const { code, stdout, stderr } = await machine.run(["doctor"], { ODIST_HOST: node.host });
    assert.equal(code, 0, stdout + stderr);
  });
  await t.step("SIGTERM ends an idle node with 0", async () => {
    node.kill("SIGTERM");
    const { code, stderr } = await node.ended;
    assert.equal(code, 0, stderr);
  });
});
