import { jsonCall } from "./call_texts.ts";
import { calls, CHATML, family, THINK, toolWords } from "./common.ts";
import { CHATML_FAMILIES } from "./chatml_families.ts";
import type { Family } from "./family.ts";
import { HEADER_FAMILIES } from "./header_families.ts";
import { TURN_FAMILIES } from "./turn_families.ts";

/** What models without any template are asked in, and those whose template has nothing but its turns. */
const PLAIN_CHATML = family({
  id: "chatml",
  names: ["chatml"],
  marks: [["<|im_start|>"]],
  answer: { thinking: THINK, calls: [calls("<tool_call>", "</tool_call>")] },
  turns: {
    ...CHATML,
    tools: toolWords('<tool_call>\n{"name": <name>, "arguments": <object>}\n</tool_call>'),
    call: jsonCall(),
    calls: ["<tool_call>\n", "\n</tool_call>"],
    callsBetween: "\n</tool_call>\n<tool_call>\n",
  },
  stops: ["<|im_start|>", "<|im_end|>"],
});

/** All families; the first whose marks a template has is its family, so that the plainest stand last. */
export const FAMILIES: readonly Family[] = [
  ...HEADER_FAMILIES,
  ...TURN_FAMILIES,
  ...CHATML_FAMILIES,
  PLAIN_CHATML,
];
