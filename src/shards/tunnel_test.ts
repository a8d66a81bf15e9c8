import assert from "node:assert/strict";
import type { NodeId } from "../base/mod.ts";
import { streamPair } from "../../tests/harness/peer_streams.ts";
import { carryIn, carryOut } from "./tunnel.ts";
import { WeightCutter } from "./weight_references.ts";

const [SELF, PEER] = ["aa", "bb"] as unknown as [NodeId, NodeId];

/** A connection that says these bytes and keeps what is written to it. */
function connection(said: Uint8Array) {
  const heard: number[] = [];
  let at = 0;
  return {
    heard,
    end: {
      read(into: Uint8Array) {
        const part = said.subarray(at, at + into.length);
        into.set(part);
        at += part.length;
        return Promise.resolve(part.length === 0 ? null : part.length);
      },
      write(bytes: Uint8Array) {
        heard.push(...bytes);
        return Promise.resolve(bytes.length);
      },
    } as unknown as Deno.Conn, // Nothing else of it is used.
  };
}

Deno.test("a graph costs a link a tenth where the other end unpacks, and arrives as it is", async () => {
  // A command whose body is mostly zeros, as tensors' descriptions are.
  const graph = new Uint8Array(9 + 100_000);
  graph[0] = 10;
  new DataView(graph.buffer).setBigUint64(1, 100_000n, true);
  for (let at = 9; at < graph.length; at += 40) graph[at] = at;
  for (const packs of [true, false]) {
    const { near, far } = streamPair(SELF, PEER);
    let sentBytes = 0;
    const cutter = new WeightCutter(new Map(), () => {});
    const leader = connection(graph);
    const worker = connection(new Uint8Array(0));
    const arriving = carryIn(far, worker.end, { count: () => {} });
    await carryOut(leader.end, near, {
      count: (bytes) => sentBytes += bytes,
      cut: (bytes) => cutter.push(bytes),
      packs,
    });
    await arriving;
    assert.deepEqual(Uint8Array.from(worker.heard), graph);
    assert.equal(sentBytes < graph.length / 10, packs, `${sentBytes} bytes`);
  }
});
