import assert from "node:assert/strict";
import { GbnfMatcher } from "../core/grammar/gbnf_matcher_test.ts";
import type { Tool } from "../protocol/mod.ts";
import { forcedCall as forcedCallOf, JSON_CALLS } from "./forced_call.ts";
import type { ToolChoice } from "../ports/mod.ts";

function tool(name: string, parameters: Readonly<Record<string, unknown>>): Tool {
  return { type: "function", function: { name, parameters } };
}

/** By a model that writes calls as JSON. */
function forcedCall(tools: readonly Tool[], choice: ToolChoice | undefined) {
  return forcedCallOf(tools, choice, { calls: JSON_CALLS, literals: [], begun: "", thinks: false });
}

const TREE = {
  $ref: "#/$defs/Node",
  $defs: {
    Node: {
      type: "object",
      properties: { next: { $ref: "#/$defs/Node" }, value: { type: "integer" } },
      required: ["value"],
    },
  },
};
const TOOLS = [
  tool("plain", { type: "object", properties: { a: { type: "integer" } }, required: ["a"] }),
  tool("tree", TREE),
  tool("bare", { type: "object", properties: {} }),
  tool("odd", { type: "object", properties: { a: { not: {} } }, required: ["a"] }),
];

Deno.test("forcedCall() allows one call of any tool with its own parameters, references included", () => {
  const forced = forcedCall(TOOLS, "required");
  const matcher = new GbnfMatcher(forced?.grammar ?? "");
  for (
    const call of [
      '{"name": "plain", "arguments": {"a": 1}}',
      '{"name": "tree", "arguments": {"next": {"value": 2}, "value": 1}}',
      '{"name": "bare", "arguments": {}}',
      '{"name": "odd", "arguments": {"b": "anything"}}',
    ]
  ) {
    assert.ok(matcher.accepts(call), call);
  }
  for (
    const text of [
      "Hello",
      "{}",
      '{"name": "plain", "arguments": {}}',
      '{"name": "plain", "arguments": {"a": "x"}}',
      '{"name": "tree", "arguments": {"next": {}, "value": 1}}',
      '{"name": "bare", "arguments": {"made": "up"}}',
      '{"name": "other", "arguments": {}}',
    ]
  ) {
    assert.ok(!matcher.accepts(text), text);
  }
  assert.equal(forced?.warnings.length, 1);
  assert.match(forced?.warnings[0] ?? "", /^tool_choice: parameters of odd /);
});

Deno.test("forcedCall() allows only the named tool", () => {
  const matcher = new GbnfMatcher(forcedCall(TOOLS, { name: "tree" })?.grammar ?? "");
  assert.ok(matcher.accepts('{"name": "tree", "arguments": {"value": 1}}'));
  assert.ok(!matcher.accepts('{"name": "plain", "arguments": {"a": 1}}'));
});

Deno.test("forcedCall() leaves an answer free that need not be a call", () => {
  assert.equal(forcedCall(TOOLS, undefined), undefined);
  assert.equal(forcedCall(TOOLS, "none"), undefined);
});
