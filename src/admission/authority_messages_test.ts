import assert from "node:assert/strict";
import { isEdgeError, type NodeId } from "../base/mod.ts";
import type { MemberRow } from "../core/catalogue/mod.ts";
import { nodeIdOf } from "../protocol/mod.ts";
import { decodeValue } from "../transport/mod.ts";
import { HandClock } from "../../tests/harness/hand_clock.ts";
import { streamPair } from "../../tests/harness/peer_streams.ts";
import {
  askForKey,
  askWhetherHeld,
  authorityKeyServer,
  checkAdmitted,
} from "./authority_messages.ts";

const HOLDER = "00000000000000aa" as NodeId;
const VOTER = "00000000000000bb" as NodeId;
const LEARNER = "00000000000000cc" as NodeId;
const REVOKED = "00000000000000dd" as NodeId;
const KEY = new Uint8Array(91).fill(1);
const OTHER_KEY = new Uint8Array(91).fill(2);
const NOBODY = { voters: [], votersOutgoing: [], learners: [], learnersNext: [], autoLeave: false };

function row(nodeId: NodeId, standing: MemberRow["standing"] = "admitted"): MemberRow {
  return { nodeId, publicKey: KEY, label: "x", standing, changedAtMs: 1, revision: 1 };
}

/** Somebody's way to ask the node that holds the key. */
function asking(asker: NodeId) {
  const rows = [row(HOLDER), row(VOTER), row(LEARNER), row(REVOKED, "revoked")];
  const server = authorityKeyServer({
    signer: () => ({ publicKey: KEY, privateKeyPem: "secret" }),
    catalogue: () => ({ findMember: (id: NodeId) => rows.find(({ nodeId }) => nodeId === id) }),
    view: () => ({
      configuration: { ...NOBODY, voters: [HOLDER, VOTER, REVOKED], learners: [LEARNER] },
    }),
  });
  const openStream = async () => {
    const pair = streamPair(asker, HOLDER);
    void pair.far.read().then((frame) =>
      server.serve(pair.far, decodeValue(frame ?? assert.fail()))
    );
    return await Promise.resolve(pair.near);
  };
  return { transport: { openStream }, clock: new HandClock() };
}

const AT = { nodeId: HOLDER, address: "x:1" };

Deno.test("The authority's key is handed to a member that votes, and to nobody else", async () => {
  assert.equal(await askForKey(asking(VOTER), AT, KEY), "secret");
  for (const asker of [LEARNER, REVOKED, "00000000000000ee" as NodeId]) {
    await assert.rejects(
      askForKey(asking(asker), AT, KEY),
      (error) => isEdgeError(error) && /for members that vote/.test(error.message),
    );
  }
});

Deno.test("A voter says whether it holds the key of that very authority", async () => {
  assert.equal(await askWhetherHeld(asking(LEARNER), AT, KEY), true);
  assert.equal(await askWhetherHeld(asking(LEARNER), AT, OTHER_KEY), false);
  await assert.rejects(askForKey(asking(VOTER), AT, OTHER_KEY), /is not held here/);
});

Deno.test("Only a member's own key is certified", () => {
  const nodeId = nodeIdOf(KEY);
  const catalogueOf = (one: MemberRow | undefined) => ({ findMember: () => one });
  checkAdmitted(catalogueOf(row(nodeId)), KEY);
  for (const one of [undefined, row(nodeId, "revoked"), { ...row(nodeId), publicKey: OTHER_KEY }]) {
    assert.throws(() => checkAdmitted(catalogueOf(one), KEY), /is no member with that key/);
  }
});
