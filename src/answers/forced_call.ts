import { callGrammar } from "../core/grammar/mod.ts";
import type { CallsText } from "../core/generation/mod.ts";
import { invalidRequest, RequestError } from "../base/mod.ts";
import type { ToolChoice } from "../ports/mod.ts";
import type { Tool } from "../protocol/mod.ts";

/** Calls as JSON and nothing else. */
export const JSON_CALLS: CallsText = {
  before: "",
  call: {
    before: '{"name": ',
    name: "json",
    between: ', "arguments": ',
    arguments: "json",
    after: "}",
  },
  after: "",
};

/** What an answer that must be a call is held to. */
export interface ForcedCall {
  readonly grammar: string;
  /** Whether it is written as its family writes calls; else it is JSON, which is to be read alone. */
  readonly isOwn: boolean;
  /** What of the tools' parameters is not enforced, fit to be shown. */
  readonly warnings: readonly string[];
}

/** Tools that may be called, by the request's choice. @throws RequestError `invalid_request` when it names none of them. */
export function offeredTools(
  tools: readonly Tool[],
  choice: ToolChoice | undefined,
): readonly Tool[] {
  if (choice === undefined) return tools;
  if (choice === "none") return [];
  if (choice === "required") {
    if (tools.length > 0) return tools;
    throw invalidRequest("tool_choice wants a tool call, but tools is empty");
  }
  const named = tools.filter((tool) => tool.function.name === choice.name);
  if (named.length > 0) return tools;
  const names = tools.map((tool) => tool.function.name).join(", ") || "none";
  throw invalidRequest(
    `tool_choice wants a call of "${choice.name}", which is not among the tools: ${names}`,
  );
}

/** How the model writes calls, and what of it the prompt has already. */
export interface CallWriting {
  readonly calls: CallsText;
  /** What else ends a value in its answers. */
  readonly literals: readonly string[];
  readonly begun: string;
  /** Whether thinking may come first. */
  readonly thinks: boolean;
}

/**
 * A grammar for one call, in the model's own way of writing calls. Where that can't hold what a tool's schema asks for, it is
 * JSON, which is read whatever the model's own way is: `{"name": …, "arguments": …}`. Parameters that no grammar can be made
 * of allow any object. Undefined where the answer may be text.
 *
 * @throws RequestError `invalid_format` when the tools together are too much for a grammar.
 */
export function forcedCall(
  tools: readonly Tool[],
  choice: ToolChoice | undefined,
  writing: CallWriting,
): ForcedCall | undefined {
  if (choice === undefined || choice === "none") return undefined;
  const callable = choice === "required"
    ? tools
    : tools.filter((tool) => tool.function.name === choice.name).slice(0, 1);
  const forced = callable.map((tool) => tool.function);
  const own = callGrammar(forced, writing);
  const plain = { calls: JSON_CALLS, literals: [], begun: "", thinks: false };
  const result = own ?? callGrammar(forced, plain);
  if (result === undefined || result.kind === "refused") {
    const reason = result?.reason ?? "no call can be written";
    throw new RequestError("invalid_format", `tool_choice: ${reason}`, { status: 400 });
  }
  return {
    grammar: result.gbnf,
    isOwn: own !== undefined,
    warnings: result.ignored.map((what) => `tool_choice: ${what}`),
  };
}
