import type { CallText } from "../../core/generation/mod.ts";
import { callTemplate, literal } from "./call_texts.ts";

/** What stands before and behind something. */
export type Around = readonly [before: string, after: string];

/** A family's prompts, as data. */
export interface Turns {
  /** Before everything else. */
  readonly start?: string;
  /** Absent = there is no such turn, and its text leads the first user turn. */
  readonly system?: Around;
  /** System text where the caller gives none. */
  readonly systemDefault?: string;
  readonly user: Around;
  readonly assistant: Around;
  /** One result of a tool. */
  readonly result: Around;
  /** Puts the tool's name before its result; with three texts twice. */
  readonly resultName?: Around | readonly [before: string, between: string, after: string];
  /** Around the list of tools in the system text. */
  readonly tools: Around;
  /** Between two tools. Default a line break. */
  readonly toolsBetween?: string;
  /** A turn of its own for the list of tools, instead of the system text. */
  readonly toolsTurn?: boolean;
  readonly call: CallText;
  readonly calls: Around;
  readonly callsBetween?: string;
  /** Around the thinking of an earlier answer. */
  readonly thinking?: Around;
  /** Put before the answer's text, as it has parts. */
  readonly contentStart?: string;
  /** An answer has its text and calls in turns of their own. */
  readonly callsTurn?: Around;
  /** Behind the opening of an answer: with thinking, and without it. */
  readonly prompt?: { readonly think: string; readonly plain: string };
  /** What an answer begins with, where it is not {@link assistant}'s opening. */
  readonly generation?: string;
}

/** Writes the chat template of a family from its data. */
export function chatTemplate(turns: Turns): string {
  return literal(turns.start ?? "") + systemText(turns) + (turns.system ? systemTurn(turns) : "") +
    "{%- for m in messages -%}" +
    '{%- if m.role == "user" -%}' + userTurn(turns) +
    '{%- elif m.role == "assistant" -%}' + assistantTurn(turns) +
    '{%- elif m.role == "tool" -%}' + resultTurn(turns) +
    "{%- endif -%}{%- endfor -%}" + generation(turns);
}

/** All system texts, wherever they stand, and the tools behind them. */
function systemText(turns: Turns): string {
  return '{%- set ns = namespace(system="", begun=false) -%}' +
    '{%- for m in messages if m.role == "system" or m.role == "developer" -%}' +
    '{%- if ns.system -%}{%- set ns.system = ns.system + "\\n\\n" + m.content -%}' +
    "{%- else -%}{%- set ns.system = m.content -%}{%- endif -%}{%- endfor -%}" +
    (turns.systemDefault === undefined
      ? ""
      : `{%- if not ns.system -%}{%- set ns.system = ${JSON.stringify(turns.systemDefault)} -%}` +
        "{%- endif -%}");
}

function toolList({ tools, toolsBetween = "\n" }: Turns): string {
  return "{%- if tools -%}" + literal(tools[0]) +
    "{%- for tool in tools -%}{{- tool | tojson -}}{%- if not loop.last -%}" +
    literal(toolsBetween) + "{%- endif -%}{%- endfor -%}" + literal(tools[1]) + "{%- endif -%}";
}

function systemTurn(turns: Turns): string {
  const [open, close] = turns.system ?? ["", ""];
  const text = literal(open) + "{{- ns.system -}}";
  if (turns.toolsTurn === true) {
    return toolList(turns) + "{%- if ns.system -%}" + text + literal(close) + "{%- endif -%}";
  }
  return "{%- if ns.system or tools -%}" + text + toolList(turns) + literal(close) +
    "{%- endif -%}";
}

function userTurn(turns: Turns): string {
  const leading = turns.system !== undefined ? "" : "{%- if not ns.begun -%}" +
    "{%- set ns.begun = true -%}{{- ns.system -}}" + toolList(turns) +
    '{%- if ns.system or tools -%}{{- "\\n\\n" -}}{%- endif -%}{%- endif -%}';
  return literal(turns.user[0]) + leading + "{{- m.content -}}" + literal(turns.user[1]);
}

function assistantTurn(turns: Turns): string {
  const { assistant, thinking, calls, callsTurn, contentStart = "" } = turns;
  const thought = thinking === undefined
    ? ""
    : "{%- if m.reasoning_content -%}" + literal(thinking[0]) + "{{- m.reasoning_content -}}" +
      literal(thinking[1]) + "{%- endif -%}";
  const list = literal(calls[0]) + "{%- for c in m.tool_calls -%}" + callTemplate(turns.call) +
    "{%- if not loop.last -%}" + literal(turns.callsBetween ?? "") + "{%- endif -%}{%- endfor -%}" +
    literal(calls[1]);
  const text = literal(contentStart) + "{{- m.content -}}";
  if (callsTurn !== undefined) {
    return thought + "{%- if m.content -%}" + literal(assistant[0]) + text + literal(assistant[1]) +
      "{%- endif -%}{%- if m.tool_calls -%}" + literal(callsTurn[0]) + list +
      literal(callsTurn[1]) + "{%- endif -%}";
  }
  return literal(assistant[0]) + thought +
    (contentStart === "" ? text : "{%- if m.content -%}" + text + "{%- endif -%}") +
    "{%- if m.tool_calls -%}" + list + "{%- endif -%}" + literal(assistant[1]);
}

function resultTurn({ result, resultName }: Turns): string {
  const name = resultName === undefined
    ? ""
    : resultName.map(literal).join('{{- m.name or "tool" -}}');
  return literal(result[0]) + name + "{{- m.content -}}" + literal(result[1]);
}

function generation({ assistant, prompt, generation: begun = assistant[0] }: Turns): string {
  const { think, plain } = prompt ?? { think: "", plain: "" };
  return "{%- if add_generation_prompt -%}" + literal(begun) +
    "{%- if enable_thinking is defined and not enable_thinking -%}" + literal(plain) +
    "{%- else -%}" + literal(think) + "{%- endif -%}{%- endif -%}";
}
