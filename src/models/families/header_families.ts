import { invokeCall, jsonCall, namedCall } from "./call_texts.ts";
import { calls, family, THINK, THINK_TURN, toolWords } from "./common.ts";
import type { Family } from "./family.ts";

const header = (role: string) => `<|start_header_id|>${role}<|end_header_id|>\n\n`;
const LLAMA = {
  start: "<|begin_of_text|>",
  system: [header("system"), "<|eot_id|>"],
  user: [header("user"), "<|eot_id|>"],
  assistant: [header("assistant"), "<|eot_id|>"],
  result: [header("ipython"), "<|eot_id|>"],
} as const;
const CUSTOM = calls("<function=", "</function>");

/** Families whose turns stand behind a header with the role. */
export const HEADER_FAMILIES: readonly Family[] = [
  family({
    id: "harmony",
    names: ["harmony", "gpt-oss"],
    marks: [["<|channel|>", "<|start|>"]],
    architectures: ["gptoss", "gpt-oss"],
    answer: {
      segments: {
        startsInHeader: true,
        opens: ["<|start|>assistant", "<|channel|>"],
        headerEnd: "<|message|>",
        ends: ["<|end|>", "<|call|>", "<|return|>"],
        headers: "channels",
      },
      calls: [],
    },
    thinks: true,
    turns: {
      start:
        "<|start|>system<|message|>You are a large language model.\n\n# Valid channels: analysis, " +
        "commentary, final. Channel must be included for every message.<|end|>",
      system: ["<|start|>developer<|message|># Instructions\n\n", "<|end|>"],
      user: ["<|start|>user<|message|>", "<|end|>"],
      assistant: ["<|start|>assistant<|channel|>final<|message|>", "<|end|>"],
      result: ["<|start|>functions.", "<|end|>"],
      resultName: ["", " to=assistant<|channel|>commentary<|message|>"],
      tools: ["\n\n# Tools\n\n## functions\n\n", "\n"],
      call: namedCall(
        "<|start|>assistant<|channel|>commentary to=functions.",
        " <|constrain|>json<|message|>",
        "<|call|>",
      ),
      calls: ["", ""],
      callsTurn: ["", ""],
      thinking: ["<|start|>assistant<|channel|>analysis<|message|>", "<|end|>"],
      generation: "<|start|>assistant",
    },
  }),
  family({
    id: "glimmer",
    names: ["glimmer"],
    marks: [["<atem:invoke"]],
    architectures: ["muse-glimmer"],
    answer: {
      segments: {
        startsInHeader: true,
        opens: ["<|start|>assistant"],
        headerEnd: "<|message|>",
        ends: ["<|eom|>", "<|eot|>"],
        headers: "addressees",
      },
      calls: [calls("<atem:function_calls>", "</atem:function_calls>", "xml")],
    },
    thinks: true,
    turns: {
      start: "<|begin_of_text|>",
      systemDefault: "You are a helpful AI assistant.",
      system: ["<|start|>system<|message|>", "\n\nReasoning strength: high.<|eot|>"],
      user: ["<|start|>user<|message|>", "<|eot|>"],
      assistant: ["<|start|>assistant to=user<|message|>", "<|eot|>"],
      result: ["<|start|>tool ", "\n</tool_output><|eot|>"],
      resultName: ["", '<|message|><tool_output name="', '">\n'],
      tools: toolWords(
        '<atem:function_calls>\n<atem:invoke name="name">\n<atem:parameter name="key">value' +
          "</atem:parameter>\n</atem:invoke>\n</atem:function_calls>",
      ),
      call: {
        ...invokeCall({ call: "invoke", parameter: "parameter", prefix: "atem:" }),
        before: "<|start|>assistant to=",
        again: '<|message|><atem:function_calls>\n<atem:invoke name="',
        after: "</atem:invoke>\n</atem:function_calls>",
      },
      calls: ["", ""],
      callsTurn: ["", "<|eot|>"],
      callsBetween: "<|eom|>",
      thinking: ["<|start|>assistant to=self<|message|>", "<|eom|>"],
      generation: "<|start|>assistant",
    },
  }),
  family({
    id: "functionary-v3.2",
    marks: [[">>>", "<|start_header_id|>"]],
    answer: {
      segments: {
        startsInHeader: true,
        opens: [">>>"],
        headerEnd: "\n",
        ends: ["<|eot_id|>"],
        headers: "recipients",
      },
      calls: [],
    },
    turns: {
      ...LLAMA,
      assistant: [header("assistant"), "<|eot_id|>"],
      contentStart: ">>>all\n",
      result: [header("tool"), "<|eot_id|>"],
      tools: toolWords(">>>name\n{arguments}"),
      call: namedCall(">>>", "\n", ""),
      calls: ["", ""],
      generation: header("assistant") + ">>>",
    },
  }),
  family({
    id: "functionary-v2",
    marks: [["<|recipient|>"]],
    answer: {
      segments: {
        startsInHeader: true,
        opens: ["<|from|>assistant\n<|recipient|>"],
        headerEnd: "\n<|content|>",
        ends: ["<|stop|>"],
        headers: "recipients",
      },
      calls: [],
    },
    turns: {
      system: ["<|from|>system\n<|recipient|>all\n<|content|>", "\n"],
      user: ["<|from|>user\n<|recipient|>all\n<|content|>", "\n"],
      assistant: ["", "<|stop|>\n"],
      contentStart: "<|from|>assistant\n<|recipient|>all\n<|content|>",
      result: ["<|from|>", "\n"],
      resultName: ["", "\n<|recipient|>all\n<|content|>"],
      tools: ["\n\nTools:\n", ""],
      call: namedCall("<|from|>assistant\n<|recipient|>", "\n<|content|>", ""),
      calls: ["", ""],
      callsBetween: "\n",
      generation: "<|from|>assistant\n<|recipient|>",
    },
  }),
  family({
    id: "firefunction",
    marks: [["functools"], ["<functioncall>"]],
    answer: { calls: [calls("functools", ""), calls("<functioncall>", "")] },
    turns: {
      ...LLAMA,
      result: [header("tool"), "<|eot_id|>"],
      tools: toolWords('functools[{"name": name, "arguments": {}}]'),
      call: jsonCall(),
      calls: [" functools[", "]"],
      callsBetween: ", ",
    },
  }),
  family({
    id: "nemotron-llama",
    marks: [["<|start_header_id|>", "<TOOLCALL>"]],
    answer: { thinking: THINK, calls: [calls("<TOOLCALL>", "</TOOLCALL>")] },
    turns: {
      ...LLAMA,
      result: [header("user") + "<TOOL_RESPONSE>[", "]</TOOL_RESPONSE><|eot_id|>"],
      tools: ["\n\n<AVAILABLE_TOOLS>[", "]</AVAILABLE_TOOLS>"],
      toolsBetween: ", ",
      call: jsonCall(),
      calls: ["<TOOLCALL>[", "]</TOOLCALL>"],
      callsBetween: ", ",
      thinking: THINK_TURN,
    },
  }),
  family({
    id: "functionary-v3.1",
    marks: [["<function=", "<|start_header_id|>"]],
    answer: { calls: [CUSTOM, calls("<|python_tag|>", "")] },
    turns: {
      ...LLAMA,
      tools: toolWords("<function=name>{arguments}</function>"),
      call: namedCall("<function=", ">", "</function>"),
      calls: ["", ""],
    },
  }),
  family({
    id: "llama3",
    names: ["llama3"],
    marks: [["<|start_header_id|>"]],
    answer: {
      calls: [calls("<|python_tag|>", ""), CUSTOM, calls("", ""), calls("", "", "python")],
    },
    turns: {
      ...LLAMA,
      tools: toolWords('{"name": name, "parameters": {}}'),
      call: jsonCall("name", "parameters"),
      calls: ["", ""],
      callsBetween: "; ",
    },
  }),
];
