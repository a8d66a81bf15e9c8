import { invokeCall, jsonCall, pythonCall, xmlCall } from "./call_texts.ts";
import {
  calls,
  CHATML,
  family,
  NO_THINKING,
  OPENED_THINKING,
  THINK,
  THINK_TURN,
  toolWords,
} from "./common.ts";
import type { Family } from "./family.ts";

const STOPS = ["<|im_start|>", "<|im_end|>"];
const JSON_WORDS = toolWords(
  '<tool_call>\n{"name": <function-name>, "arguments": <args-json-object>}\n</tool_call>',
);
const XML_WORDS = toolWords(
  "<tool_call>\n<function=name>\n<parameter=key>\nvalue\n</parameter>\n</function>\n</tool_call>",
);
const JSON_TURNS = {
  ...CHATML,
  tools: JSON_WORDS,
  call: jsonCall(),
  calls: ["<tool_call>\n", "\n</tool_call>"],
  callsBetween: "\n</tool_call>\n<tool_call>\n",
} as const;
const XML_TURNS = {
  ...JSON_TURNS,
  tools: XML_WORDS,
  call: xmlCall(),
} as const;
/** Some answers leave the outer tag away. */
const XML_CALLS = [
  calls("<tool_call>", "</tool_call>", "xml", "json"),
  calls("<function=", "</function>", "xml"),
];

/** Families whose turns stand between `<|im_start|>` and `<|im_end|>`, the one without any marks of its own last. */
export const CHATML_FAMILIES: readonly Family[] = [
  family({
    id: "minicpm",
    marks: [["<|im_start|>", "<function name="]],
    answer: { thinking: THINK, calls: [calls("<function name=", "</function>", "xml")] },
    turns: {
      ...CHATML,
      tools: toolWords('<function name="name"><param name="key">value</param></function>'),
      call: invokeCall({ call: "function", parameter: "param" }),
      calls: ["", ""],
      callsBetween: "\n",
      thinking: THINK_TURN,
      prompt: NO_THINKING,
    },
    stops: STOPS,
  }),
  family({
    id: "minicpm3",
    marks: [["<|tool_call_start|>", "```python"]],
    architectures: ["minicpm3"],
    answer: {
      thinking: { open: "<|thought_start|>", close: "<|thought_end|>" },
      calls: [calls("<|tool_call_start|>", "<|tool_call_end|>", "python")],
    },
    turns: {
      ...CHATML,
      result: ["<|im_start|>tool\n", "<|im_end|>\n"],
      tools: toolWords("<|tool_call_start|>\n```python\nname(key=value)\n```\n<|tool_call_end|>"),
      call: pythonCall(),
      calls: ["<|tool_call_start|>\n```python\n", "\n```\n<|tool_call_end|>"],
      callsBetween: "\n",
      thinking: ["<|thought_start|>\n", "\n<|thought_end|>\n"],
    },
    stops: STOPS,
  }),
  family({
    id: "lfm2",
    names: ["lfm2", "lfm2-thinking"],
    marks: [["<|tool_list_start|>"], ["<|tool_call_start|>"]],
    architectures: ["lfm2", "lfm2moe"],
    answer: {
      thinking: THINK,
      calls: [calls("<|tool_call_start|>", "<|tool_call_end|>", "python", "json")],
    },
    turns: {
      ...CHATML,
      result: ["<|im_start|>tool\n", "<|im_end|>\n"],
      tools: ["\nList of tools: [", "]"],
      toolsBetween: ", ",
      call: pythonCall(),
      calls: ["<|tool_call_start|>[", "]<|tool_call_end|>"],
      callsBetween: ", ",
      thinking: THINK_TURN,
    },
    stops: STOPS,
  }),
  family({
    id: "qwen3-coder",
    names: ["qwen3-coder"],
    marks: [["<|im_start|>", "<function=", "<parameter=", "Qwen"]],
    answer: { thinking: THINK, calls: XML_CALLS },
    turns: XML_TURNS,
    stops: STOPS,
  }),
  family({
    id: "nemotron-3",
    names: ["nemotron-3-nano", "nemotron-3.5-nano"],
    marks: [["<|im_start|>", "<function=", "<parameter=", "truncate_history_thinking"]],
    architectures: ["nemotron_h_moe"],
    answer: { thinking: THINK, calls: XML_CALLS },
    turns: { ...XML_TURNS, thinking: THINK_TURN, prompt: OPENED_THINKING },
    stops: STOPS,
  }),
  family({
    id: "qwen3.5",
    names: ["qwen3.5", "ornith"],
    marks: [["<|im_start|>", "<function=", "<parameter="]],
    architectures: ["qwen35", "qwen35moe"],
    answer: { thinking: THINK, calls: XML_CALLS },
    turns: { ...XML_TURNS, thinking: THINK_TURN, prompt: OPENED_THINKING },
    stops: STOPS,
  }),
  family({
    id: "smollm3",
    marks: [["<|im_start|>", "xml_tools"]],
    architectures: ["smollm3"],
    answer: {
      thinking: THINK,
      calls: [calls("<tool_call>", "</tool_call>"), calls("<code>", "</code>", "python")],
    },
    turns: { ...JSON_TURNS, thinking: THINK_TURN, prompt: NO_THINKING },
    stops: STOPS,
  }),
  family({
    id: "olmo3",
    names: ["olmo3", "olmo3-think"],
    marks: [["<function_calls>"]],
    architectures: ["olmo3"],
    answer: {
      thinking: THINK,
      calls: [calls("<function_calls>", "</function_calls>", "python", "json")],
    },
    turns: {
      ...CHATML,
      result: ["<|im_start|>environment\n", "<|im_end|>\n"],
      tools: [" <functions>", "</functions>"],
      call: pythonCall(),
      calls: ["<function_calls>", "</function_calls>"],
      callsBetween: "\n",
      thinking: THINK_TURN,
      prompt: { think: "<think>", plain: "" },
    },
    stops: STOPS,
  }),
  family({
    id: "qwen3",
    names: ["qwen3", "qwen3-thinking", "qwen3-vl", "qwen3-vl-instruct", "qwen3-vl-thinking"],
    marks: [["<|im_start|>", "<tool_call>", "</think>"]],
    architectures: ["qwen3", "qwen3moe", "qwen3vl", "qwen3vlmoe"],
    answer: { thinking: THINK, calls: [calls("<tool_call>", "</tool_call>")] },
    turns: { ...JSON_TURNS, thinking: THINK_TURN, prompt: NO_THINKING },
    stops: STOPS,
  }),
  family({
    id: "hermes",
    names: ["hermes"],
    marks: [["<|im_start|>", "<tool_call>", "Hermes"], ["<tool_call>", "<|im_start|>tool"]],
    answer: { calls: [calls("<tool_call>", "</tool_call>")] },
    turns: {
      ...JSON_TURNS,
      result: ["<|im_start|>tool\n<tool_response>\n", "\n</tool_response><|im_end|>\n"],
    },
    stops: STOPS,
  }),
  family({
    id: "qwen2.5",
    names: ["qwen2.5"],
    marks: [["<|im_start|>", "<tool_call>"]],
    architectures: ["qwen2", "qwen2moe", "qwen2vl"],
    answer: { calls: [calls("<tool_call>", "</tool_call>")] },
    turns: JSON_TURNS,
    stops: STOPS,
  }),
];
