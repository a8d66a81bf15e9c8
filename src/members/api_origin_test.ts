import assert from "node:assert/strict";
import { apiOrigin } from "./api_origin.ts";

const origin = (hostname: string, address: string, port = 11434) =>
  apiOrigin({ hostname, port }, address);

Deno.test("a member's API is where the member has proved to be, if it is served there", () => {
  assert.equal(origin("0.0.0.0", "192.168.1.10:11435"), "http://192.168.1.10:11434");
  assert.equal(origin("::", "[fd00::10]:11435"), "http://[fd00::10]:11434");
  assert.equal(origin("10.8.0.2", "192.168.1.10:1,10.8.0.2:1"), "http://10.8.0.2:11434");
  assert.equal(origin("attic.lan", "Attic.lan:11435"), "http://Attic.lan:11434");
  assert.equal(origin("localhost", "127.0.0.1:4711"), "http://127.0.0.1:11434");
});

Deno.test("no member has pages sent to a machine that is not its own", () => {
  assert.equal(origin("127.0.0.1", "192.168.1.10:11435"), undefined, "its own machine alone");
  assert.equal(origin("203.0.113.9", "192.168.1.10:11435"), undefined, "another machine");
  assert.equal(origin("0.0.0.0", "x;script-src:11435"), undefined, "more than a host");
  assert.equal(origin("0.0.0.0", "x'y:11435"), undefined);
  assert.equal(origin("0.0.0.0", ""), undefined);
  assert.equal(origin("0.0.0.0", "192.168.1.10:11435", 0), undefined);
});
