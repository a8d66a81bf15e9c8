import assert from "node:assert/strict";
import { isTraceparent, parseTraceparent, requestIdsOf, TRACEPARENT_CHARS } from "./ids.ts";

const TRACE = "0af7651916cd43dd8448eb211c80319c";
const SPAN = "b7ad6b7169203331";
const TEXT = `00-${TRACE}-${SPAN}-01`;

Deno.test("a traceparent names its trace, its span and whether it is recorded", () => {
  assert.deepEqual(parseTraceparent(TEXT), { traceId: TRACE, spanId: SPAN, flags: 1 });
  assert.equal(TEXT.length, TRACEPARENT_CHARS);
});

Deno.test("what the standard calls invalid names no place in a trace", () => {
  const broken = [
    "",
    `01-${TRACE}-${SPAN}-01`,
    `00-${"0".repeat(32)}-${SPAN}-01`,
    `00-${TRACE}-${"0".repeat(16)}-01`,
    `00-${TRACE.toUpperCase()}-${SPAN}-01`,
    `${TEXT}-more`,
    `${TEXT}\n`,
    ` ${TEXT}`,
  ];
  for (const text of broken) {
    assert.equal(isTraceparent(text), false, JSON.stringify(text));
    assert.equal(parseTraceparent(text), undefined, JSON.stringify(text));
  }
  assert.equal(parseTraceparent(undefined), undefined);
});

Deno.test("a log line has the id that the client knows before the node's own", () => {
  assert.deepEqual(requestIdsOf({ requestId: "r", label: "theirs", traceparent: TEXT }), {
    requestId: "theirs",
    traceId: TRACE,
  });
  assert.deepEqual(requestIdsOf({ requestId: "r", traceparent: "nonsense" }), { requestId: "r" });
});
