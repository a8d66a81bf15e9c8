import assert from "node:assert/strict";
import type { CallFormat, CallSyntax, SegmentFormat } from "./call_format.ts";
import { CallChain } from "./call_chain.ts";
import { SegmentParser } from "./segment_parser.ts";

const TOOLS = [
  {
    name: "get_weather",
    parameters: {
      type: "object",
      properties: {
        city: { type: "string" },
        days: { type: "integer" },
        zip: { anyOf: [{ type: "string" }, { type: "null" }] },
        tags: { type: "array" },
      },
    },
  },
  { name: "list_models", parameters: {} },
];
const CALL = '«get_weather {"city":"Paris","days":2}»';
const JSON_CALL = '{"name": "get_weather", "arguments": {"city": "Paris", "days": 2}}';

function format(open: string, close: string, ...syntaxes: readonly CallSyntax[]): CallFormat {
  return { open, close, syntaxes };
}

type Piece = ReturnType<CallChain["push"]>[number] | ReturnType<SegmentParser["push"]>[number];

function shown(pieces: readonly Piece[]): string {
  return pieces.map((piece) =>
    piece.kind === "tool_call"
      ? `«${piece.call.name} ${JSON.stringify(piece.call.arguments)}»`
      : piece.kind === "thinking"
      ? `(${piece.text})`
      : piece.text
  ).join("").replaceAll(")(", "");
}

/** What comes out, the text cut in two at each place, and once at all of them. */
function assertAtEveryCut(
  make: () => Pick<CallChain, "push" | "flush">,
  text: string,
  expected: string,
): void {
  const read = (parts: readonly string[]) => {
    const parser = make();
    return shown([...parts.flatMap((part) => parser.push(part)), ...parser.flush()]);
  };
  assert.equal(read([text]), expected);
  for (let at = 1; at < text.length; at++) {
    assert.equal(read([text.slice(0, at), text.slice(at)]), expected, `cut at ${at}`);
  }
  assert.equal(read(text.split("")), expected, "every character alone");
}

const XML = "<function=get_weather>\n<parameter=city>\nParis\n</parameter>\n<parameter=days>\n2\n" +
  "</parameter>\n</function>";
const DSML = "｜DSML｜";
const FORMATS: readonly [
  name: string,
  calls: readonly CallFormat[],
  text: string,
  expected: string,
  noise?: readonly string[],
][] = [
  [
    "JSON between tags",
    [format("<tool_call>", "</tool_call>", "json")],
    `<tool_call>\n${JSON_CALL}\n</tool_call>`,
    CALL,
  ],
  [
    "JSON between tags, twice in one block",
    [format("<tool_call>", "</tool_call>", "json")],
    `Hm. <tool_call>${JSON_CALL}\n${JSON_CALL}</tool_call>`,
    `Hm. ${CALL}${CALL}`,
  ],
  ["JSON alone", [format("", "", "json")], JSON_CALL, CALL],
  [
    "JSON alone with parameters, separated by semicolons",
    [format("<|python_tag|>", "", "json"), format("", "", "json")],
    `${JSON_CALL.replace("arguments", "parameters")}; ${JSON_CALL}`,
    CALL + CALL,
  ],
  [
    "a python tag before JSON",
    [format("<|python_tag|>", "", "json")],
    `<|python_tag|>${JSON_CALL}`,
    CALL,
  ],
  [
    "a list of JSON behind a tag",
    [format("[TOOL_CALLS]", "", "json")],
    `[TOOL_CALLS] [${JSON_CALL}]`,
    CALL,
  ],
  [
    "names before arguments, several",
    [format("[TOOL_CALLS]", "", "json")],
    'Ok.[TOOL_CALLS]get_weather[ARGS]{"city": "Paris", "days": 2}[TOOL_CALLS]list_models[ARGS]{}',
    `Ok.${CALL}«list_models {}»`,
  ],
  [
    "names and ids before arguments",
    [format("[TOOL_CALLS]", "", "json")],
    '[TOOL_CALLS]get_weather[CALL_ID]a1B2c3D4e[ARGS]{"city": "Paris", "days": 2}',
    CALL,
  ],
  [
    "functions and parameters",
    [format("<tool_call>", "</tool_call>", "xml")],
    `<tool_call>\n${XML}\n</tool_call>`,
    CALL,
  ],
  [
    "functions and parameters without the outer tag",
    [format("<function=", "</function>", "xml")],
    XML,
    CALL,
  ],
  [
    "functions and parameters, several and text around them",
    [format("<tool_call>", "</tool_call>", "xml"), format("<function=", "</function>", "xml")],
    `First.\n<tool_call>${XML}</tool_call>\n<tool_call>${XML}</tool_call>`,
    `First.\n${CALL}${CALL}`,
  ],
  [
    "functions and parameters whose end never comes",
    [format("<tool_call>", "</tool_call>", "xml")],
    `<tool_call>${XML}`,
    CALL,
  ],
  [
    "an end that stands in an argument",
    [format("<tool_call>", "</tool_call>", "xml")],
    "<tool_call><function=get_weather><parameter=city></tool_call> is a tag</parameter></function></tool_call>",
    '«get_weather {"city":"</tool_call> is a tag"}»',
  ],
  [
    "text that looks like a number, where text is wanted",
    [format("<function=", "</function>", "xml")],
    "<function=get_weather><parameter=city>75001</parameter><parameter=zip>01234</parameter></function>",
    '«get_weather {"city":"75001","zip":"01234"}»',
  ],
  [
    "a function tag around JSON",
    [format("<function=", "</function>", "json")],
    '<function=get_weather>{"city": "Paris", "days": 2}</function>',
    CALL,
  ],
  [
    "keys and values in pairs",
    [format("<tool_call>", "</tool_call>", "pairs")],
    "<tool_call>get_weather\n<arg_key>city</arg_key>\n<arg_value>Paris</arg_value>\n<arg_key>days</arg_key>\n" +
    "<arg_value>2</arg_value>\n</tool_call>",
    CALL,
  ],
  [
    "Python between tags",
    [format("<|tool_call_start|>", "<|tool_call_end|>", "python")],
    "<|tool_call_start|>[get_weather(city='Paris', days=2), list_models()]<|tool_call_end|>Done.",
    `${CALL}«list_models {}»Done.`,
  ],
  [
    "Python in a fence",
    [format("```tool_code", "```", "python")],
    '```tool_code\nprint(default_api.get_weather(city="Paris", days=2))\n```',
    CALL,
  ],
  ["Python alone", [format("", "", "python")], '[get_weather(city="Paris", days=2)]', CALL],
  [
    "Python arguments by their place",
    [format("", "", "python")],
    '[get_weather("Paris", 2)]',
    CALL,
  ],
  [
    "Python values of every kind",
    [format("", "", "python")],
    "[get_weather(city='it\\'s', tags=[True, None, {'a': 1.5}, (1, 2)])]",
    '«get_weather {"city":"it\'s","tags":[true,null,{"a":1.5},[1,2]]}»',
  ],
  [
    "braces with marks for text",
    [format("<|tool_call>", "<tool_call|>", "braces")],
    '<|tool_call>call:get_weather{city:<|"|>Paris<|"|>,days:2}<tool_call|>',
    CALL,
  ],
  [
    "braces with escapes",
    [format("<start_function_call>", "<end_function_call>", "braces")],
    "<start_function_call>call:get_weather{city:<escape>Paris<escape>,days:2}<end_function_call>",
    CALL,
  ],
  [
    "an id for a name",
    [format("<|tool_call_begin|>", "<|tool_call_end|>", "json")],
    '<|tool_calls_section_begin|><|tool_call_begin|>functions.get_weather:0<|tool_call_argument_begin|>{"city": ' +
    '"Paris", "days": 2}<|tool_call_end|><|tool_calls_section_end|>',
    CALL,
    ["<|tool_calls_section_begin|>", "<|tool_calls_section_end|>"],
  ],
  [
    "a fence in tags in tags",
    [format("<｜tool▁call▁begin｜>", "<｜tool▁call▁end｜>", "json")],
    "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>get_weather\n```json\n" +
    '{"city": "Paris", "days": 2}\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜>',
    CALL,
    ["<｜tool▁calls▁begin｜>", "<｜tool▁calls▁end｜>"],
  ],
  [
    "invocations with marked tags",
    [format(`<${DSML}function_calls>`, `</${DSML}function_calls>`, "xml")],
    `<${DSML}function_calls>\n<${DSML}invoke name="get_weather">\n<${DSML}parameter name="city" string="true">Paris` +
    `</${DSML}parameter>\n<${DSML}parameter name="days" string="false">2</${DSML}parameter>\n</${DSML}invoke>\n` +
    `</${DSML}function_calls>`,
    CALL,
  ],
  [
    "invocations",
    [format("<minimax:tool_call>", "</minimax:tool_call>", "xml")],
    '<minimax:tool_call>\n<invoke name="get_weather">\n<parameter name="city">Paris</parameter>\n' +
    '<parameter name="days">2</parameter>\n</invoke>\n</minimax:tool_call>',
    CALL,
  ],
  [
    "functions with names as attributes",
    [format("<function name=", "</function>", "xml")],
    '<function name="get_weather"><param name="city">Paris</param><param name="days">2</param></function>',
    CALL,
  ],
  [
    "a list with ids and other keys",
    [format("<|START_ACTION|>", "<|END_ACTION|>", "json")],
    '<|START_ACTION|>[\n  {"tool_call_id": "0", "tool_name": "get_weather", "parameters": {"city": "Paris", "days": 2}}' +
    "\n]<|END_ACTION|>",
    CALL,
  ],
  [
    "a fence behind a word",
    [format("Action:", "", "json")],
    'Action: ```json\n[\n {"tool_name": "get_weather", "parameters": {"city": "Paris", "days": 2}}\n]\n```',
    CALL,
  ],
  [
    "a word before a list",
    [format("functools", "", "json")],
    ` functools[${JSON_CALL}]`,
    ` ${CALL}`,
  ],
  [
    "the tool's name as the key",
    [format("<|tools_prefix|>", "<|tools_suffix|>", "json")],
    '<|tools_prefix|>[{"get_weather": {"city": "Paris", "days": 2}}]<|tools_suffix|>',
    CALL,
  ],
  [
    "markup around the answer",
    [format("<|tool_call|>", "", "json")],
    "<response>It is warm. </response>",
    "It is warm. ",
    ["<response>", "</response>"],
  ],
];

for (const [name, calls, text, expected, noise = []] of FORMATS) {
  Deno.test(`Calls are read at every cut: ${name}`, () => {
    assertAtEveryCut(() => new CallChain({ calls, noise }, TOOLS), text, expected);
  });
}

const CHANNELS: SegmentFormat = {
  startsInHeader: true,
  opens: ["<|start|>assistant", "<|channel|>"],
  headerEnd: "<|message|>",
  ends: ["<|end|>", "<|call|>"],
  headers: "channels",
};
const RECIPIENTS: SegmentFormat = {
  startsInHeader: true,
  opens: [">>>"],
  headerEnd: "\n",
  ends: [],
  headers: "recipients",
};
const ADDRESSEES: SegmentFormat = {
  startsInHeader: true,
  opens: ["<|start|>assistant"],
  headerEnd: "<|message|>",
  ends: ["<|eom|>", "<|eot|>"],
  headers: "addressees",
};
const ARGUMENTS = '{"city": "Paris", "days": 2}';
for (
  const [name, segments, text, expected] of [
    [
      "channels",
      CHANNELS,
      "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>commentary to=functions.get_weather " +
      `<|constrain|>json<|message|>${ARGUMENTS}<|call|>`,
      `(Hm.)${CALL}`,
    ],
    [
      "channels with the recipient first",
      CHANNELS,
      ` to=functions.get_weather<|channel|>commentary json<|message|>${ARGUMENTS}`,
      CALL,
    ],
    [
      "channels with a preamble and an answer",
      CHANNELS,
      "<|channel|>commentary<|message|>I look. <|end|><|start|>assistant<|channel|>final<|message|>Warm.<|end|>",
      "I look. Warm.",
    ],
    ["an answer without headers", CHANNELS, "It is 1 <| 2.", "It is 1 <| 2."],
    [
      "recipients",
      RECIPIENTS,
      `all\nLet me see.>>>get_weather\n${ARGUMENTS}>>>list_models\n{}`,
      `Let me see.${CALL}«list_models {}»`,
    ],
    ["text that looks like a header", RECIPIENTS, "all\nType >>> help\n", "Type >>> help\n"],
    [
      "arguments with a header in them",
      RECIPIENTS,
      'get_weather\n{"city": ">>>all\\n"}',
      '«get_weather {"city":">>>all\\n"}»',
    ],
    ["arguments that are none", RECIPIENTS, "get_weather\nwarm", "warm"],
    [
      "addressees",
      ADDRESSEES,
      " to=self<|message|>Hm.<|eom|><|start|>assistant to=get_weather<|message|><a:b/><|eom|>" +
      "<|start|>assistant to=user<|message|>Warm.<|eot|>",
      "(Hm.)<a:b/>Warm.",
    ],
    ["nobody addressed", ADDRESSEES, "<|message|>Warm.<|eot|>", "Warm."],
    ["what addresses nobody", ADDRESSEES, " to whom<|message|>", " to whom<|message|>"],
  ] as const
) {
  Deno.test(`Parts of an answer are read at every cut: ${name}`, () => {
    assertAtEveryCut(() => new SegmentParser(segments, TOOLS) as never, text, expected);
  });
}

for (
  const [name, calls, text] of [
    [
      "an unknown tool",
      format("<tool_call>", "</tool_call>", "xml"),
      "<tool_call><function=rm></function></tool_call> ok",
    ],
    [
      "prose between tags",
      format("<tool_call>", "</tool_call>", "xml", "json", "pairs"),
      "<tool_call>hello</tool_call> there",
    ],
    ["a list of texts", format("", "", "python"), "['a', 'b'] is a list"],
    ["a call that is only talked about", format("", "", "python"), "[get_weather(city=] is broken"],
    ["half a tag", format("<tool_call>", "</tool_call>", "xml"), "1 <tool"],
    [
      "a broken call",
      format("<|tool_call>", "<tool_call|>", "braces"),
      "<|tool_call>call:get_weather{city:<tool_call|>!",
    ],
  ] as const
) {
  Deno.test(`What is no call is content, unchanged: ${name}`, () => {
    assertAtEveryCut(() => new CallChain({ calls: [calls] }, TOOLS), text, text);
  });
}

Deno.test("Only what may become a tag is held back", () => {
  const chain = new CallChain({ calls: [format("<tool_call>", "</tool_call>", "xml")] }, TOOLS);
  assert.equal(shown(chain.push("a < b, and <tool")), "a < b, and ");
  assert.equal(shown(chain.push("s> are")), "<tools> are");
});

Deno.test("A long block of blanks, tags or brackets takes no time by its square", () => {
  const fillers = [
    " ",
    "<function=",
    '<function name="',
    "<parameter=a>",
    "<arg_key>",
    "[",
    "{",
    '"',
    "call:",
  ];
  for (const filler of fillers) {
    const text = filler.repeat(Math.floor(200_000 / filler.length));
    for (
      const begin of [
        "<function=",
        "get_weather<arg_key>",
        "get_weather(",
        '{"name":',
        "call:get_weather{",
      ]
    ) {
      const chain = new CallChain({
        calls: [format("<t>", "</t>", "json", "xml", "pairs", "python", "braces")],
      }, TOOLS);
      const startedMs = performance.now();
      chain.push(`<t>${begin}${text}</t>`);
      chain.flush();
      const tookMs = performance.now() - startedMs;
      assert.ok(tookMs < 1_000, `${begin} ${filler}: ${tookMs.toFixed(0)} ms`);
    }
  }
});

Deno.test("Arguments full of what begins a header take no time by their square", () => {
  const parser = new SegmentParser(RECIPIENTS, TOOLS);
  const startedMs = performance.now();
  parser.push(`get_weather\n{"city": "${">>>".repeat(60_000)}`);
  parser.flush();
  assert.ok(performance.now() - startedMs < 1_000);
});
