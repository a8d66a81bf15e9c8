import assert from "node:assert/strict";
import { establishedPeers, PeerWatch } from "./peer_watch.ts";

// Ports 11434 (2CAA) and 40000 (9C40); the second client has closed its end (08), the third speaks with another server.
const TABLE = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid
   0: 0100007F:2CAA 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0
   1: 0100007F:2CAA 0100007F:9C40 01 00000000:00000000 00:00000000 00000000     0
   2: 0100007F:2CAA 0100007F:9C41 08 00000000:00000000 00:00000000 00000000     0
   3: 0100007F:1F90 0100007F:9C42 01 00000000:00000000 00:00000000 00000000     0
`;

/** A watch over a table that stays as it is, whose timer is called by hand. */
function watchOver(table: string | undefined) {
  const timers: (() => void)[] = [];
  const watch = new PeerWatch(() => 11434, {
    clock: {
      after: (_delayMs, callback) => {
        timers.push(callback);
        return { cancel() {} };
      },
    },
    log: { log() {} },
    readText: async (path) => {
      if (table === undefined || path.endsWith("6")) throw new Error(`no ${path}`);
      return table;
    },
  });
  // The first look only notes who waits; the reads of the second settle in microtasks.
  const look = async () => {
    for (let count = 0; count < 2; count++) {
      timers.shift()?.();
      await new Promise((resolve) => setTimeout(resolve, 0));
    }
  };
  return { watch, timers, look };
}

Deno.test("establishedPeers() finds the open connections of one server", () => {
  assert.deepEqual(establishedPeers(TABLE, 11434), new Set([40000]));
});

Deno.test("PeerWatch aborts requests whose client has closed or is unknown, and no others", async () => {
  const { watch, look } = watchOver(TABLE);
  const [open, closed, unknown] = [40000, 40001, 50000].map((port) => watch.watch(port));
  await look();
  assert.deepEqual([open, closed, unknown].map((peer) => peer?.gone.aborted), [false, true, true]);
});

Deno.test("PeerWatch forgets requests that were answered, and stops looking when none waits", async () => {
  const { watch, look, timers } = watchOver(TABLE);
  const peer = watch.watch(40001);
  peer.end();
  await look();
  assert.deepEqual([peer.gone.aborted, timers.length], [false, 0]);
  watch.watch(40000);
  await look();
  assert.equal(timers.length, 1);
});

for (const [why, table] of [["has no table", undefined], ["hides connections", ""]] as const) {
  Deno.test(`PeerWatch aborts nothing where the kernel ${why}`, async () => {
    const { watch, look } = watchOver(table);
    const peer = watch.watch(40001);
    await look();
    assert.equal(peer.gone.aborted, false);
  });
}
