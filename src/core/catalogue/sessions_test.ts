import assert from "node:assert/strict";
import { findOutcome, openSession, type Outcome, rememberOutcome } from "./sessions.ts";

Deno.test("A refusal without a number is never remembered as a change that was made", () => {
  const sessions = new Map();
  openSession(sessions, new Uint8Array(16), 1);
  const request = { session: 1, sequence: 1, firstUnanswered: 1 };
  const outcome = { kind: "refused", reason: "no_such_reason" } as unknown as Outcome;
  const remember = () => rememberOutcome(sessions, request, { outcome, index: 2 });
  assert.throws(remember, { name: "InvariantError", message: /no_such_reason/ });
  assert.equal(findOutcome(sessions, request), undefined);
});
