import assert from "node:assert/strict";
import type { NodeId } from "../base/mod.ts";
import type { MemberRow } from "../core/catalogue/mod.ts";
import { HandClock } from "../../tests/harness/hand_clock.ts";
import { type StreamPair, streamPair } from "../../tests/harness/peer_streams.ts";
import { decodeValue } from "../transport/mod.ts";
import { askForVoucher, vouchServer } from "./vouching.ts";

const A = "00000000000000aa" as NodeId;
const B = "00000000000000bb" as NodeId;
const ASKER = "00000000000000cc" as NodeId;
const KEY = new Uint8Array(91).fill(1);

function row(nodeId: NodeId, standing: MemberRow["standing"] = "admitted"): MemberRow {
  return { nodeId, publicKey: KEY, label: "x", standing, changedAtMs: 1, revision: 1 };
}

/** Members by id, each with the rows it has. */
function membersWith(rowsOf: ReadonlyMap<NodeId, readonly MemberRow[]>) {
  const asked: NodeId[] = [];
  const openStream = async ({ nodeId }: { nodeId: NodeId }) => {
    asked.push(nodeId);
    const pair: StreamPair = streamPair(ASKER, nodeId);
    const rows = rowsOf.get(nodeId) ?? [];
    const server = vouchServer(() => ({
      findMember: (id) => rows.find((one) => one.nodeId === id),
      members: () => rows,
    }));
    void pair.far.read().then((frame) =>
      server.serve(pair.far, decodeValue(frame ?? assert.fail()))
    );
    return await Promise.resolve(pair.near);
  };
  const members = [...rowsOf.keys()].map((nodeId) => ({ nodeId, address: "x:1" }));
  return {
    asked,
    parts: { transport: { openStream }, clock: new HandClock(), members: () => members },
  };
}

Deno.test("A member vouches for whom its catalogue admits, and the next one is asked where one knows nothing", async () => {
  const { asked, parts } = membersWith(new Map([[A, [row(ASKER)]], [ASKER, [row(ASKER), row(B)]]]));
  assert.deepEqual(await askForVoucher(B, parts), KEY);
  assert.deepEqual(asked, [A, ASKER]);
});

Deno.test("Nobody vouches for a revoked node, for itself, or to a node without a row", async () => {
  for (
    const rows of [[row(ASKER), row(B, "revoked")], [row(B)], [row(ASKER, "revoked"), row(B)]]
  ) {
    const { parts } = membersWith(new Map([[A, rows]]));
    assert.equal(await askForVoucher(B, parts), undefined);
  }
  const { asked, parts } = membersWith(new Map([[B, [row(ASKER), row(B)]]]));
  assert.equal(await askForVoucher(B, parts), undefined);
  assert.deepEqual(asked, []);
});
