import {
  arrayShape,
  choiceShape,
  integerShape,
  maybeShape,
  objectShape,
  type ShapeOf,
  textOfShape,
  textShape,
  unionShape,
} from "../value_shape.ts";
import { CREDENTIAL_CHARACTERS_MAX } from "./credential.ts";

/**
 * What a client from afar and a node say to each other on the port between nodes. Heads are JSON, because browsers speak it,
 * and bodies are bytes. The first stream of a session carries the key and the node's word on it; each further one carries a
 * request and its answer.
 */

/** Bytes of one frame, both ways. Longer bodies are cut. */
export const CLIENT_FRAME_BYTES_MAX = 64 * 1024;
/** Where WebTransport is spoken; the number is the version of all this. */
export const CLIENT_PATH = "/odist/1";

/** Members whose keys a client is told. */
export const CLIENT_MEMBERS_MAX = 128;
const MEMBER_KEY_CHARACTERS_MAX = 256;
const HEADERS_MAX = 64;

const headersShape = arrayShape(
  objectShape({ name: textShape(128), value: textShape(8 * 1024) }),
  HEADERS_MAX,
);

/** A client's first frame. */
export const clientHelloShape = objectShape({ key: textShape(CREDENTIAL_CHARACTERS_MAX * 2) });

/** The node's answer to it; after a refusal the session ends. */
export const clientVerdictShape = unionShape({
  welcome: objectShape({
    node: textShape(64),
    version: textShape(64),
    /** Keys (SPKI, base64) of all members, by which a client knows them from now on; absent when there are too many. */
    members: maybeShape(arrayShape(textShape(MEMBER_KEY_CHARACTERS_MAX), CLIENT_MEMBERS_MAX)),
  }),
  refused: objectShape({ reason: textShape(1024) }),
});
export type ClientVerdict = ShapeOf<typeof clientVerdictShape>;

/** What opens a request's stream. `path` is of the HTTP API, with its query. */
export const requestHeadShape = objectShape({
  method: choiceShape(["GET", "HEAD", "POST", "PUT", "DELETE"]),
  path: textOfShape(8 * 1024, (text) => text.startsWith("/")),
  headers: headersShape,
});
export type RequestHead = ShapeOf<typeof requestHeadShape>;

/** What opens its answer. */
export const answerHeadShape = objectShape({
  status: integerShape(200, 599),
  headers: headersShape,
});
export type AnswerHead = ShapeOf<typeof answerHeadShape>;
