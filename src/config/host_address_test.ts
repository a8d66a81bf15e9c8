import assert from "node:assert/strict";
import { formatHost, readHost } from "./host_address.ts";

Deno.test("readHost reads every form of OLLAMA_HOST", () => {
  const rows: readonly (readonly [string, string])[] = [
    ["", "127.0.0.1:11434"],
    ["0.0.0.0", "0.0.0.0:11434"],
    [":8080", "127.0.0.1:8080"],
    ["box:1", "box:1"],
    ["box:0", "box:0"],
    ["::1", "[::1]:11434"],
    ["[::1]", "[::1]:11434"],
    ["[::1]:99", "[::1]:99"],
    ["http://box", "box:80"],
    ["https://box", "https://box:443"],
    ["https://box:8443/ollama/", "https://box:8443/ollama"],
    ["http://[fe80::1]:5/x", "http://[fe80::1]:5/x"],
    ["HTTP://Box:5", "Box:5"],
    ["odist://box", "odist://box:11435"],
    ["odist://[::1]:5", "odist://[::1]:5"],
  ];
  for (const [text, wanted] of rows) {
    const read = readHost(text);
    assert(read !== undefined && read.badPort === undefined, text);
    assert.equal(formatHost(read.address), wanted, text);
    assert.deepEqual(readHost(formatHost(read.address))?.address, read.address, text);
  }
});

Deno.test("readHost tells a bad port from no address at all", () => {
  assert.equal(readHost("box:66000")?.badPort, "66000");
  assert.equal(readHost("box:x")?.badPort, "x");
  for (const text of ["ftp://box", "a b", "user@box", "[box", "a:1:2:zz"]) {
    assert.equal(readHost(text), undefined, text);
  }
});
