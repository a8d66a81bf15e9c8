import assert from "node:assert/strict";
import type { Digest, NodeId } from "../../base/mod.ts";
import { type CatalogueCommand, encodeCommand } from "../../protocol/mod.ts";
import {
  judgeForwarded,
  ownedNonce,
  REPORT_EVERY_MS,
  ReportLimits,
  REPORTS_AT_ONCE_MAX,
} from "./sessions.ts";

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

/** A member's report, or another change of it. */
function proposalOf(kind: "quarantine_blob" | "put_setting", number = 0) {
  const digest = `sha256:${number.toString(16).padStart(64, "0")}` as Digest;
  const command: CatalogueCommand = kind === "quarantine_blob"
    ? { kind, digest, nodeId: OTHER, reason: "rot", atMs: 1 }
    : { kind, key: `a${number}`, value: "1", expected: undefined };
  return { kind: "command", data: encodeCommand({ command, request: undefined }) } as const;
}

const reports = (count: number) =>
  Array.from({ length: count }, (_, number) => proposalOf("quarantine_blob", number));

Deno.test("A member's thousand reports are sixteen, and one more each minute; its other changes are all taken", () => {
  const limits = new ReportLimits();
  const setting = proposalOf("put_setting");
  const first = limits.take({ from: OWNER, proposals: [setting, ...reports(1_000), setting] }, 0);
  assert.equal(first.dropped, 1_000 - REPORTS_AT_ONCE_MAX);
  assert.deepEqual(first.taken, [setting, ...reports(REPORTS_AT_ONCE_MAX), setting]);
  let taken = 0;
  for (let atMs = 1; atMs <= 10 * REPORT_EVERY_MS; atMs += 500) {
    taken += limits.take({ from: OWNER, proposals: reports(3) }, atMs).taken.length;
  }
  assert.ok(taken >= 9 && taken <= 10, `${taken} reports in ten minutes`);
  const quiet = limits.take({ from: OWNER, proposals: [setting] }, 10 * REPORT_EVERY_MS);
  assert.deepEqual(quiet, { taken: [setting], dropped: 0 });
});

Deno.test("One member's reports are no other's, and a quiet hour saves up no more than sixteen", () => {
  const limits = new ReportLimits();
  limits.take({ from: OWNER, proposals: reports(100) }, 0);
  assert.equal(limits.take({ from: OTHER, proposals: reports(3) }, 0).dropped, 0);
  const later = limits.take({ from: OWNER, proposals: reports(100) }, 60 * REPORT_EVERY_MS);
  assert.equal(later.taken.length, REPORTS_AT_ONCE_MAX);
});
