import assert from "node:assert/strict";
import { sendRequest } from "./send_request.ts";

const MEBIBYTE = 2 ** 20;

Deno.test("hosts that nobody answers at cost no memory, however often they are asked", async () => {
  // A port that was free a moment ago.
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  const ask = async (times: number) => {
    for (let count = 0; count < times; count++) {
      const target = { url: new URL(`https://localhost:${port}/v2/`), addresses: ["127.0.0.1"] };
      const { signal } = new AbortController();
      await assert.rejects(sendRequest(target, { method: "GET", headers: {}, signal }), {
        code: "registry_failed",
      });
    }
  };
  await ask(20);
  const before = Deno.memoryUsage().rss;
  await ask(120);
  const grown = (Deno.memoryUsage().rss - before) / MEBIBYTE;
  assert.ok(grown < 30, `${grown.toFixed(0)} MiB for 120 attempts`);
});
