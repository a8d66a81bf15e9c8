import type { CallFormat, CallsText, CallSyntax } from "../../core/generation/mod.ts";
import type { Family } from "./family.ts";
import { chatTemplate, type Turns } from "./turns.ts";

export const THINK = { open: "<think>", close: "</think>" } as const;

/** Around earlier thinking, and in prompts that switch it off. */
export const THINK_TURN = ["<think>\n", "\n</think>\n\n"] as const;
export const NO_THINKING = { think: "", plain: "<think>\n\n</think>\n\n" } as const;
/** Prompts that open the thinking themselves. */
export const OPENED_THINKING = { think: "<think>\n", plain: "<think>\n\n</think>\n\n" } as const;

/** One way of writing calls. */
export function calls(open: string, close: string, ...syntaxes: readonly CallSyntax[]): CallFormat {
  return { open, close, syntaxes: syntaxes.length === 0 ? ["json"] : syntaxes };
}

/** A family from the parts that differ. */
export function family(
  parts:
    & Partial<Omit<Family, "id" | "answer" | "template" | "toolWords" | "calls">>
    & Pick<Family, "id" | "answer">
    & {
      readonly turns: Turns;
    },
): Family {
  const { turns, ...rest } = parts;
  return {
    names: [],
    marks: [],
    architectures: [],
    callIds: "any",
    stops: [],
    ...rest,
    template: chatTemplate(turns),
    toolWords: turns.tools,
    calls: callsText(turns, rest.answer.segments !== undefined),
  };
}

/** Where an answer has parts, its thinking is one of them; elsewhere it ends before the calls begin. */
function callsText({ calls, call, thinking }: Turns, hasParts: boolean): CallsText {
  const [before, after] = calls;
  return {
    before: before.trimStart(),
    call,
    after,
    ...(hasParts && thinking !== undefined ? { thinking } : {}),
  };
}

/** Turns between `<|im_start|>` and `<|im_end|>`. */
export const CHATML = {
  system: ["<|im_start|>system\n", "<|im_end|>\n"],
  user: ["<|im_start|>user\n", "<|im_end|>\n"],
  assistant: ["<|im_start|>assistant\n", "<|im_end|>\n"],
  result: ["<|im_start|>user\n<tool_response>\n", "\n</tool_response><|im_end|>\n"],
} as const;

/** How tools are told where the family has no words of its own. */
export function toolWords(example: string): readonly [string, string] {
  return [
    "\n\n# Tools\n\nYou may call one or more functions to assist with the user query.\n\n" +
    "You are provided with function signatures within <tools></tools> XML tags:\n<tools>\n",
    `\n</tools>\n\nFor each function call, answer in this form:\n${example}`,
  ];
}
