import assert from "node:assert/strict";
import { SYSTEM_NETWORK } from "./mod.ts";

Deno.test("SYSTEM_NETWORK goes through the environment's proxy, but not to this machine", () => {
  const before = ["HTTP_PROXY", "http_proxy", "NO_PROXY", "no_proxy"]
    .map((name) => [name, Deno.env.get(name)] as const);
  try {
    for (const [name] of before) Deno.env.delete(name);
    const isProxied = (url: string) => SYSTEM_NETWORK.isProxied(new URL(url));
    assert.equal(isProxied("http://registry.example/"), false);
    Deno.env.set("HTTP_PROXY", "http://proxy.example:3128");
    assert.equal(isProxied("http://registry.example/"), true);
    assert.equal(isProxied("http://192.168.1.1/"), true);
    for (const host of ["localhost", "localhost.", "a.localhost", "127.0.0.1", "127.1", "[::1]"]) {
      assert.equal(isProxied(`http://${host}:5000/`), false, host);
    }
    Deno.env.set("NO_PROXY", ".example");
    assert.equal(isProxied("http://registry.example/"), false);
  } finally {
    for (const [name, value] of before) {
      if (value === undefined) Deno.env.delete(name);
      else Deno.env.set(name, value);
    }
  }
});
