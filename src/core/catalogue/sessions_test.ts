import assert from "node:assert/strict";
import type { NodeId } from "../../base/mod.ts";
import { encodeCommand } from "../../protocol/mod.ts";
import { judgeForwarded, ownedNonce } from "./sessions.ts";

const OWNER = "00000000000000aa" as NodeId;
const OTHER = "00000000000000bb" as NodeId;

const nonceOf = (drawn: number) => ownedNonce(OWNER, new Uint8Array(16).fill(drawn));

/** A catalogue that has applied ten entries, the fifth of which opened a session of the owner. */
const catalogue = {
  appliedIndex: 10,
  findSession: (session: number) =>
    session === 5
      ? {
        session,
        nonce: nonceOf(1),
        lastUsedIndex: 5,
        firstUnanswered: 1,
        outcomes: [],
      }
      : undefined,
};

function under(session: number | undefined) {
  const request = session === undefined ? undefined : { session, sequence: 1, firstUnanswered: 1 };
  const command = { kind: "put_setting", key: "a", value: "1", expected: undefined } as const;
  return { kind: "command", data: encodeCommand({ command, request }) } as const;
}

Deno.test("A forwarded proposal is taken under its own session, and under one that is gone or none", () => {
  const proposals = [under(5), under(7), under(undefined)];
  assert.equal(judgeForwarded({ from: OWNER, proposals }, catalogue), "taken");
});

Deno.test("One proposal under another's session makes a batch forged", () => {
  const proposals = [under(7), under(5)];
  const verdict = judgeForwarded({ from: OTHER, proposals }, catalogue);
  assert.deepEqual(verdict, { forged: `proposes under a session of ${OWNER}` });
});

Deno.test("A proposal under a session that may yet be opened waits until it is known whose that is", () => {
  for (const from of [OWNER, OTHER]) {
    assert.equal(judgeForwarded({ from, proposals: [under(11)] }, catalogue), "early");
  }
});

Deno.test("What can't be read is left to the catalogue, which refuses it everywhere alike", () => {
  const proposals = [{ kind: "command", data: Uint8Array.of(255, 255) }] as const;
  assert.equal(judgeForwarded({ from: OTHER, proposals }, catalogue), "taken");
});

Deno.test("Nonces of one node differ", () => {
  assert.notDeepEqual(nonceOf(1), nonceOf(2));
});
