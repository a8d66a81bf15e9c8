import { InvariantError } from "./errors.ts";

/**
 * Ends the part that a broken invariant belongs to: our bug, never the caller's nor a peer's.
 *
 * @throws {InvariantError} when `condition` is false; `values` end up in the message.
 */
export function assert(
  condition: boolean,
  message: string,
  values: Readonly<Record<string, unknown>> = {},
): asserts condition {
  if (!condition) throw new InvariantError(message, values);
}

/** Closes an exhaustive switch: a new union member fails to compile here instead of slipping through. */
export function assertNever(value: never): never {
  throw new InvariantError("Unhandled variant", { value });
}
