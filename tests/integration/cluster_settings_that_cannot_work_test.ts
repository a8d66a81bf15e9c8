import assert from "node:assert/strict";
import { startNode } from "../harness/node.ts";

Deno.test("odist serve says what to do about a cluster address that can't be used, and ends", async () => {
  const taken = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
  assert(taken.addr.transport === "udp");
  const rows: readonly (readonly [Record<string, string>, RegExp])[] = [
    [
      { ODIST_LISTEN: `127.0.0.1:${taken.addr.port}` },
      /Error: Cannot listen for members on UDP 127\.0\.0\.1:\d+: .*taken.* --listen HOST:PORT/,
    ],
    [{ ODIST_LISTEN: "203.0.113.7:0" }, /Error: Cannot listen .*not this machine's/],
    [{ ODIST_LISTEN: "nowhere.invalid:0" }, /Error: Cannot listen for members on UDP nowhere/],
    [{ ODIST_JOIN: "127.0.0.1:1" }, /Error: Cannot join without a token: run odist token create/],
    [
      { ODIST_JOIN: "127.0.0.1:1", ODIST_TOKEN: "odist-nonsense" },
      /Error: .*token/i,
    ],
  ];
  for (const [environment, wanted] of rows) {
    await assert.rejects(startNode({ environment }), wanted, JSON.stringify(environment));
  }
  taken.close();
});
