import {
  type EdgeError,
  ERROR_CODES,
  type ErrorCode,
  isEdgeError,
  PeerError,
  RequestError,
  StorageError,
  UnavailableError,
} from "../base/mod.ts";
import {
  integerShape,
  maybeShape,
  numberShape,
  objectShape,
  type ShapeOf,
  textShape,
} from "./value_shape.ts";

/** Characters of an error's text; the rest is cut. */
const MESSAGE_CHARS_MAX = 8 * 1024;

/** An error on its way to another node. */
export const wireErrorShape = objectShape({
  code: textShape(64),
  message: textShape(MESSAGE_CHARS_MAX),
  status: integerShape(400, 599),
  retryAfterMs: maybeShape(numberShape(0, 24 * 3600 * 1000)),
});

/** As {@link wireErrorShape} reads it. */
export type WireError = ShapeOf<typeof wireErrorShape>;

/** What a peer is told of a failure. Of one that nobody foresaw, only that there was one: its text may not be fit to show. */
export function toWireError(error: unknown): WireError {
  if (!isEdgeError(error)) {
    return { code: "peer_refused", message: "The node failed unexpectedly", status: 500 };
  }
  const retryAfterMs = error instanceof UnavailableError ? error.retryAfterMs : undefined;
  return {
    code: error.code,
    message: error.message.slice(0, MESSAGE_CHARS_MAX),
    status: error.status,
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  };
}

/** The error that a peer meant, of the same family; a code that this build doesn't know becomes `peer_refused`. */
export function fromWireError(wire: WireError): EdgeError {
  const { message, status, retryAfterMs } = wire;
  if (!Object.hasOwn(ERROR_CODES, wire.code)) {
    return new PeerError("peer_refused", `${wire.code}: ${message}`);
  }
  const code = wire.code as ErrorCode; // Decoding: it is a key of the table.
  const retry = retryAfterMs === undefined ? {} : { retryAfterMs };
  switch (ERROR_CODES[code].family) {
    // Decoding: a code belongs to the class of its family, which the type can't follow through a table.
    case "request":
      return new RequestError(code as ConstructorParameters<typeof RequestError>[0], message, {
        status,
      });
    case "unavailable":
      return new UnavailableError(
        code as ConstructorParameters<typeof UnavailableError>[0],
        message,
        { status, ...retry },
      );
    case "storage":
      return new StorageError(code as ConstructorParameters<typeof StorageError>[0], message, {
        status,
      });
    case "peer":
      return new PeerError(code as ConstructorParameters<typeof PeerError>[0], message, { status });
  }
}
