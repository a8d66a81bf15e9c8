import assert from "node:assert/strict";
import { join } from "node:path";
import { findFreePort, Machine } from "../harness/built_odist.ts";

const ignore = Deno.build.os === "windows";

Deno.test(
  { name: "A second node on one data folder is refused, and the first serves on", ignore },
  async () => {
    await using machine = await Machine.make();
    await using node = await machine.serve();
    const host = `127.0.0.1:${findFreePort()}`;
    const { code, stderr } = await machine.run(["serve"], { ODIST_HOST: host });
    assert.equal(code, 1, stderr);
    assert.match(stderr, /\.odist/);
    assert.equal(
      (await fetch(`${node.origin}/ready`).then((response) => response.text())) !== "",
      true,
    );
  },
);

Deno.test(
  { name: "A node on a port in use exits with 1 and names the address", ignore },
  async () => {
    await using machine = await Machine.make();
    using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const host = `127.0.0.1:${listener.addr.port}`;
    const { code, stderr } = await machine.run(["serve"], {
      ODIST_HOST: host,
      ODIST_DATA: join(machine.home, "elsewhere"),
    });
    assert.equal(code, 1, stderr);
    assert.match(stderr, new RegExp(`${listener.addr.port}`));
  },
);

Deno.test(
  { name: "A node that was killed leaves a data folder that the next one can use", ignore },
  async () => {
    await using machine = await Machine.make();
    {
      await using node = await machine.serve();
      node.kill("SIGKILL");
      await node.ended;
    }
    await using next = await machine.serve();
    const response = await fetch(`${next.origin}/api/tags`);
    assert.match(await response.text(), /tiny/);
  },
);
