import { invalidRequest, RequestError } from "../base/mod.ts";
import type { Refusal } from "../core/catalogue/mod.ts";

const REFUSAL_TEXTS: Partial<Record<Refusal, string>> = {
  malformed_command: "a value is not allowed",
  not_found: "it is not there",
  already_exists: "it is there already",
  table_full: "the catalogue has no room for more",
  member_revoked: "it was revoked",
  schema_not_active:
    "not all members know how to yet: update those that are older, bring back those that are away, or remove them",
};

const REFUSAL_CODES: Partial<Record<Refusal, "invalid_request" | "not_found">> = {
  malformed_command: "invalid_request",
  not_found: "not_found",
};

/** What the replicated state said to a change, for people. */
export function refusal(reason: Refusal, action: string): RequestError {
  const code = REFUSAL_CODES[reason] ?? "conflict";
  return new RequestError(code, `cannot ${action}: ${REFUSAL_TEXTS[reason] ?? reason}`);
}

/** @throws RequestError `invalid_request` unless `value` is an integer in the range, its ends included. */
export function checkRange(
  name: string,
  value: number,
  range: { readonly low: number; readonly high: number },
): void {
  if (Number.isInteger(value) && value >= range.low && value <= range.high) return;
  throw invalidRequest(
    `${name} must be between ${range.low} and ${range.high}: current value is ${value}`,
  );
}
