import assert from "node:assert/strict";
import { LOCAL_TEMPLATES } from "../../tests/harness/local_templates.ts";
import { ScriptedModels } from "../../tests/harness/scripted_models.ts";
import type { RequestError } from "../base/mod.ts";
import { Templates } from "./prompts.ts";
import type { Answer, ChatRequest, GenerateRequest, ToolChoice } from "../ports/mod.ts";
import {
  IMAGE_TOKENS_ESTIMATED,
  IMAGES_BYTES_MAX,
  IMAGES_MAX,
  type SequenceRequest,
} from "../protocol/mod.ts";

const never = new AbortController().signal;

const FIELDS = {
  model: "m",
  options: {},
  truncate: true,
  shift: true,
  topLogprobs: -1,
  debugRenderOnly: false,
} as const;

function generate(changes: Partial<GenerateRequest> = {}): GenerateRequest {
  return { ...FIELDS, prompt: "hi", suffix: "", raw: false, images: [], ...changes };
}

function chat(changes: Partial<ChatRequest> = {}): ChatRequest {
  return { ...FIELDS, messages: [{ role: "user", content: "hi" }], tools: [], ...changes };
}

async function read(answer: Answer) {
  assert.equal(answer.kind, "stream");
  const seen = { content: "", thinking: "", calls: [] as string[] };
  for await (const chunk of answer.kind === "stream" ? answer.chunks : []) {
    if (chunk.kind === "done") continue;
    seen.content += chunk.content;
    seen.thinking += chunk.thinking ?? "";
    for (const call of chunk.toolCalls ?? []) seen.calls.push(`${call.id} ${call.name}`);
  }
  return seen;
}

function promptOf(request: SequenceRequest | undefined): string {
  return request?.prompt.kind === "text" ? request.prompt.text : "";
}

Deno.test("Inference renders a prompt with the model's system text and messages", async () => {
  const models = new ScriptedModels({
    system: "be kind",
    messages: [{ role: "user", content: "a" }, { role: "assistant", content: "b" }],
  });
  const seen = await read(await models.inference().generate(generate(), never));
  assert.equal(seen.content, "ok");
  assert.equal(promptOf(models.asked[0]), "<system>be kind<user>a<assistant>b<user>hi");
});

Deno.test("Inference has lines of the system text where the model wants them, or the request in its stead, and tells of it", async () => {
  const models = new ScriptedModels({
    system: "time: noon\nbe kind",
    parameters: { volatileLines: ["last:time:"] },
  });
  models.texts = ["ok", "ok", "ok"];
  const asks = async (request: GenerateRequest) => {
    const answer = await models.inference().generate(request, never);
    assert.equal(answer.kind, "stream");
    const told = answer.promptUsage?.().volatileLines;
    let last: unknown;
    for await (const chunk of answer.chunks) {
      if (chunk.kind === "done") last = chunk.metrics.volatileLines;
    }
    assert.deepEqual(last, told);
    return { prompt: promptOf(models.asked.at(-1)), told };
  };
  assert.deepEqual(await asks(generate()), {
    prompt: "<system>be kind<user>hi\n\ntime: noon",
    told: { dropped: 0, moved: 1 },
  });
  assert.deepEqual(await asks(generate({ options: { volatileLines: ["drop:time:"] } })), {
    prompt: "<system>be kind<user>hi",
    told: { dropped: 1, moved: 0 },
  });
  assert.deepEqual(await asks(generate({ options: { volatileLines: [] } })), {
    prompt: "<system>time: noon\nbe kind<user>hi",
    told: undefined,
  });
  const bad = models.inference().generate(
    generate({ options: { volatileLines: ["drop:"] } }),
    never,
  );
  await assert.rejects(bad, (error: RequestError) => error.code === "invalid_option");
});

Deno.test("Inference leaves a raw prompt as it is", async () => {
  const models = new ScriptedModels({ system: "be kind" });
  await read(await models.inference().generate(generate({ raw: true }), never));
  assert.equal(promptOf(models.asked[0]), "hi");
});

Deno.test("Inference asks for tokens as they are, without a template", async () => {
  const models = new ScriptedModels({ system: "be kind" });
  const seen = await read(
    await models.inference().generate(generate({ prompt: "", promptTokens: [4, 5] }), never),
  );
  assert.equal(seen.content, "ok");
  assert.deepEqual(models.asked[0]?.prompt, { kind: "tokens", tokens: [4, 5] });
});

Deno.test("Inference puts the tokens of `context` in front of the prompt", async () => {
  const models = new ScriptedModels();
  await read(await models.inference().generate(generate({ context: [4, 5] }), never));
  assert.deepEqual(models.asked[0]?.prompt, {
    kind: "text",
    text: "<user>hi",
    addSpecial: false,
    tokensBefore: [4, 5],
  });
});

Deno.test("Inference lets a request's own system message replace the model's", async () => {
  const models = new ScriptedModels({ system: "be kind" });
  const messages = [{ role: "system", content: "be short" }, { role: "user", content: "hi" }];
  await read(await models.inference().chat(chat({ messages }), never));
  assert.equal(promptOf(models.asked[0]), "<system>be short<user>hi");
});

Deno.test("Inference only loads for an empty prompt, and only unloads with keep_alive 0", async () => {
  const models = new ScriptedModels();
  assert.deepEqual(await models.inference().generate(generate({ prompt: "" }), never), {
    kind: "load",
  });
  assert.equal(models.released, 1);
  const unload = await models.inference().chat(chat({ messages: [], keepAliveMs: 0 }), never);
  assert.deepEqual(unload, { kind: "unload" });
  assert.deepEqual(models.unloaded, ["generate:/m.gguf", "embed:/m.gguf"]);
  assert.equal(models.asked.length, 0);
});

Deno.test("Inference renders without running for debug requests", async () => {
  const models = new ScriptedModels();
  const request = generate({ template: "X{{ .Prompt }}Y", debugRenderOnly: true });
  const answer = await models.inference().generate(request, never);
  assert.deepEqual(answer, { kind: "rendered", text: "XhiY", imageCount: 0 });
  assert.equal(models.leases.length, 0);
});

Deno.test("Inference refuses what the model can't do in the contract's words", async () => {
  const inference = new ScriptedModels().inference();
  const tool = { type: "function", function: { name: "f", parameters: {} } };
  const cases: readonly [Promise<Answer>, RegExp][] = [
    [inference.generate(generate({ suffix: "x" }), never), /does not support insert$/],
    [inference.chat(chat({ tools: [tool] }), never), /does not support tools$/],
    [inference.chat(chat({ think: true }), never), /^"m" does not support thinking$/],
    [
      inference.generate(generate({ images: [new Uint8Array(1)] }), never),
      /does not support images$/,
    ],
  ];
  for (const [answer, words] of cases) {
    await assert.rejects(
      answer,
      (error: RequestError) => error.status === 400 && words.test(error.message),
    );
  }
  const embedder = new ScriptedModels({ capabilities: ["embedding"] }).inference();
  await assert.rejects(embedder.chat(chat(), never), /^RequestError: "m" does not support chat$/);
  await assert.rejects(embedder.generate(generate(), never), /"m" does not support generate/);
});

Deno.test("Inference drops an unsupported `think` for the relaxed endpoints", async () => {
  const models = new ScriptedModels();
  await read(await models.inference().chat(chat({ think: true, relaxedThinking: true }), never));
  assert.equal(models.asked.length, 1);
});

Deno.test("Inference splits tool calls off and gives them ids", async () => {
  const models = new ScriptedModels({ capabilities: ["completion", "tools"] });
  models.texts = ['<call>{"name": "f", "arguments": {"a": 1}}'];
  const tool = { type: "function", function: { name: "f", parameters: {} } };
  const seen = await read(await models.inference().chat(chat({ tools: [tool] }), never));
  assert.deepEqual(seen, { content: "", thinking: "", calls: ["call_id f"] });
});

Deno.test("Inference holds an answer to a call that the request wants", async () => {
  const models = new ScriptedModels({ capabilities: ["completion", "tools"] });
  models.texts = ['<call>{"name": "g", "arguments": {"a": 1}}'];
  const tools = ["f", "g"].map((name) => ({
    type: "function",
    function: { name, parameters: { type: "object", properties: { a: { type: "integer" } } } },
  }));
  const request = chat({ tools, toolChoice: { name: "g" } });
  const seen = await read(await models.inference().chat(request, never));
  assert.deepEqual(seen, { content: "", thinking: "", calls: ["call_id g"] });
  assert.match(models.asked[0]?.grammar ?? "", /\\"g\\"/);
  assert.doesNotMatch(models.asked[0]?.grammar ?? "", /\\"f\\"/);
  assert.match(promptOf(models.asked[0]), /\[tools\]$/);
});

Deno.test("Inference shows no tool to a model that may not call any, and leaves out calls too many", async () => {
  const call = '<call>{"name": "f", "arguments": {}}';
  const tools = [{ type: "function", function: { name: "f", parameters: {} } }];
  const ask = async (changes: Partial<ChatRequest>) => {
    const models = new ScriptedModels({ capabilities: ["completion", "tools"] });
    models.texts = [call + call];
    const seen = await read(await models.inference().chat(chat({ tools, ...changes }), never));
    return { ...seen, prompt: promptOf(models.asked[0]) };
  };
  const none = await ask({ toolChoice: "none" });
  assert.deepEqual([none.calls, none.content, none.prompt], [[], call + call, "<user>hi"]);
  assert.equal((await ask({})).calls.length, 2);
  assert.equal((await ask({ toolCallsMax: 1 })).calls.length, 1);
});

Deno.test("Inference refuses a choice of tools that aren't there", async () => {
  const inference = new ScriptedModels({ capabilities: ["completion", "tools"] }).inference();
  const wanted: readonly [ToolChoice, RegExp][] = [
    ["required", /tools is empty$/],
    [{ name: "x" }, /call of "x", which is not among the tools: none$/],
  ];
  for (const [toolChoice, words] of wanted) {
    await assert.rejects(inference.chat(chat({ toolChoice }), never), words);
  }
});

Deno.test("Inference counts the tokens of the prompt that a chat would send", async () => {
  const models = new ScriptedModels({ system: "be kind" });
  const count = await models.inference().countTokens(chat(), never);
  assert.equal(count, "<system>be kind<user>hi".length);
  assert.equal(models.asked.length, 0);
  assert.equal(models.released, models.leases.length);
});

Deno.test("Inference tells what stop string ended an answer and what its prompt came to", async () => {
  const models = new ScriptedModels();
  models.texts = ["one END two"];
  const answer = await models.inference().chat(chat({ options: { stop: ["END"] } }), never);
  assert.ok(answer.kind === "stream");
  assert.deepEqual(answer.promptUsage?.(), { promptEvalCount: 8, promptCachedCount: 0 });
  for await (const chunk of answer.chunks) {
    if (chunk.kind === "done") assert.equal(chunk.stopString, "END");
  }
});

Deno.test("Inference drops the oldest messages first when the history is too long", async () => {
  const models = new ScriptedModels();
  models.contextTokens = 60;
  const messages = [
    { role: "system", content: "keep me" },
    ...Array.from(
      { length: 20 },
      (_, index) => ({ role: "user", content: `old message ${index}` }),
    ),
    { role: "user", content: "the last" },
  ];
  await read(await models.inference().chat(chat({ messages }), never));
  const prompt = promptOf(models.asked[1]);
  assert.match(prompt, /^<system>keep me/);
  assert.match(prompt, /the last$/);
  assert.ok(prompt.length < 60 && prompt.includes("old message 19"), prompt);
});

Deno.test("Inference thinks unconstrained, then writes the content under the grammar", async () => {
  const models = new ScriptedModels({
    capabilities: ["completion", "thinking"],
    template: {
      goTemplate:
        "{{ range .Messages }}<{{ .Role }}>{{ if .Thinking }}<think>{{ .Thinking }}</think>{{ end }}" +
        "{{ .Content }}{{ end }}",
    },
  });
  models.texts = ["<think>hm</think>never shown", '{"a":1}'];
  const seen = await read(await models.inference().chat(chat({ format: "json" }), never));
  assert.deepEqual(seen, { content: '{"a":1}', thinking: "hm", calls: [] });
  assert.equal(models.asked[0]?.grammar, null);
  assert.match(models.asked[1]?.grammar ?? "", /root/);
  assert.equal(promptOf(models.asked[1]), "<user>hi<think>hm</think>");
});

Deno.test("Inference names the place of a schema that can't be a grammar", async () => {
  const format = { type: "object", properties: { a: { not: {} } }, required: ["a"] };
  const request = chat({ format });
  await assert.rejects(
    new ScriptedModels().inference().chat(request, never),
    (error: RequestError) => error.code === "invalid_format" && error.status === 400,
  );
});

Deno.test("Inference tells what of a schema an answer does not follow", async () => {
  const format = { type: "string", pattern: "(?=a)" };
  const answer = await new ScriptedModels().inference().chat(chat({ format }), never);
  assert.ok(answer.kind === "stream");
  assert.equal(answer.warnings?.length, 1);
  assert.match(answer.warnings?.[0] ?? "", /^format #\/pattern: look-around/);
  for await (const _chunk of answer.chunks);
  const followed = chat({ format: { type: "string", pattern: "a" } });
  const other = await new ScriptedModels().inference().chat(followed, never);
  assert.ok(other.kind === "stream" && other.warnings === undefined);
  for await (const _chunk of other.chunks);
});

Deno.test("Inference says so with each answer where it does not know what renders or reads a model", async () => {
  const models = new ScriptedModels();
  const config = { ...models.definition.config, renderer: "nobody's", parser: "laguna" };
  models.definition = { ...models.definition, config };
  const answer = await models.inference().chat(chat({}), never);
  assert.ok(answer.kind === "stream");
  assert.deepEqual(answer.warnings, [
    "no renderer \"nobody's\" here, the model's template is used",
  ]);
  for await (const _chunk of answer.chunks);
});

Deno.test("Inference leaves an empty stop text out, and says so", async () => {
  const models = new ScriptedModels();
  const request = chat({ options: { stop: ["END", ""] } });
  const answer = await models.inference().chat(request, never);
  assert.ok(answer.kind === "stream");
  assert.deepEqual(answer.warnings, ['option "stop": the empty text was left out']);
  for await (const _chunk of answer.chunks);
});

Deno.test("Inference embeds in a runner of its own and cuts vectors to the dimensions asked", async () => {
  const models = new ScriptedModels();
  const request = { model: "m", inputs: ["a", "b"], truncate: true, dimensions: 1, options: {} };
  const answer = await models.inference().embed(request, never);
  assert.deepEqual(answer.vectors.map((vector) => [...vector]), [[1], [1]]);
  assert.equal(answer.promptEvalCount, 9);
  assert.equal(models.leases[0]?.need.modelKey, "embed:/m.gguf");
  assert.equal(models.leases[0]?.settings.slots, 1);
  const empty = await models.inference().embed({ ...request, inputs: [] }, never);
  assert.deepEqual(empty.vectors, []);
});

Deno.test("Inference has a runner embed many texts in several goes, in order", async () => {
  const models = new ScriptedModels();
  const inputs = Array.from({ length: 1_100 }, (_, index) => String(index));
  const request = { model: "m", inputs, truncate: true, options: {} };
  const answer = await models.inference().embed(request, never);
  assert.equal(answer.vectors.length, 1_100);
  assert.deepEqual(models.embedded.flat(), inputs);
  assert.deepEqual(models.embedded.map(({ length }) => length), [512, 512, 76]);
});

Deno.test("Inference answers a Go template that fails at work with 500, a chat template with 400", async () => {
  const failing = [
    [{ goTemplate: "{{ range .Messages }}{{ end }}{{ index .Messages 99 }}" }, 500],
    [{ jinjaTemplate: "{% for m in messages %}{{ raise_exception('no') }}{% endfor %}" }, 400],
  ] as const;
  for (const [template, status] of failing) {
    await assert.rejects(
      new ScriptedModels({ template }).inference().chat(chat(), never),
      (error: RequestError) => error.code === "invalid_template" && error.status === status,
    );
  }
});

/** A PNG of one pixel, as far as its header is looked at, and `more` bytes behind it. */
function pixel(more = 0, [high, low] = [0, 1]): Uint8Array {
  const header = [0x89, 0x50, 0x4e, 0x47, 13, 10, 26, 10, 0, 0, 0, 13, 0x49, 0x48, 0x44, 0x52];
  const size = [0, 0, high, low, 0, 0, high, low];
  return Uint8Array.from([...header, ...size, 8, 2, 0, 0, 0, ...Array(more + 4)]);
}

Deno.test("Inference hands on the images of a conversation in the order of their marks", async () => {
  const models = new ScriptedModels({ capabilities: ["completion", "vision"] });
  const [first, second, third] = [pixel(1), pixel(2), pixel(3)];
  const messages = [
    { role: "user", content: "see", images: [first] },
    { role: "assistant", content: "yes" },
    { role: "user", content: "a [img] b", images: [second, third] },
  ];
  await read(await models.inference().chat(chat({ messages }), never));
  const [asked] = models.asked;
  assert.equal(promptOf(asked), "<user>[img-0]see<assistant>yes<user>[img-2]a [img-1] b");
  assert.deepEqual(asked?.images, [first, second, third]);
  assert.equal(models.leases[0]?.hasImages, true);
  const estimated = Math.ceil(promptOf(asked).length / 4) + 3 * IMAGE_TOKENS_ESTIMATED;
  assert.equal(models.leases[0]?.promptTokens, estimated);
});

Deno.test("Inference drops images together with the messages they were shown in", async () => {
  const models = new ScriptedModels({ capabilities: ["completion", "vision"] });
  models.contextTokens = IMAGE_TOKENS_ESTIMATED + 100;
  const long = "x".repeat(models.contextTokens);
  const messages = [
    { role: "user", content: long, images: [pixel(1)] },
    { role: "user", content: "see", images: [pixel(2)] },
    { role: "user", content: "and", images: [pixel(3)] },
  ];
  await read(await models.inference().chat(chat({ messages }), never));
  const last = models.asked.at(-1);
  assert.equal(promptOf(last), "<user>[img-0]and");
  assert.deepEqual(last?.images, [pixel(3)]);
});

Deno.test("Inference puts images of a raw prompt where it says, else before it", async () => {
  const models = new ScriptedModels({ capabilities: ["completion", "vision"] });
  models.texts = ["ok", "ok"];
  const inference = models.inference();
  const images = [pixel(1), pixel(2)];
  await read(await inference.generate(generate({ raw: true, prompt: "hi", images }), never));
  assert.equal(promptOf(models.asked[0]), "[img-0][img-1]hi");
  const marked = await inference.generate(
    generate({ raw: true, prompt: "hi [img-1]", images }),
    never,
  );
  assert.equal(promptOf(models.asked[1]), "hi [img-1]");
  assert.deepEqual(marked.kind === "stream" && marked.warnings, [
    "images[0]: the prompt has no place for it, so it was left out",
  ]);
});

Deno.test("Inference refuses images that can't be seen, each with its reason", async () => {
  const seeing = new ScriptedModels({ capabilities: ["completion", "vision", "insert"] });
  const { facts } = seeing.definition;
  const tower = new ScriptedModels({ facts: { ...facts, hasVision: true } });
  const ask = (models: ScriptedModels, changes: Partial<GenerateRequest>) =>
    models.inference().generate(generate(changes), never);
  const cases: readonly [Promise<Answer>, RegExp][] = [
    [ask(tower, { images: [pixel()] }), /vision tower is part of its weights/],
    [ask(seeing, { images: [pixel(), new Uint8Array(9)] }), /^images\[1\]: it is no PNG/],
    [ask(seeing, { images: [pixel(IMAGES_BYTES_MAX)] }), /bytes: at most \d+ are taken/],
    [ask(seeing, { images: Array(IMAGES_MAX + 1).fill(pixel()) }), /at most 256 images/],
    [ask(seeing, { images: Array(17).fill(pixel(0, [16, 0])) }), /pixels: at most \d+ are taken/],
    [ask(seeing, { images: [pixel()], suffix: "x" }), /can't be combined with a suffix/],
  ];
  for (const [answer, words] of cases) {
    await assert.rejects(
      answer,
      (error: RequestError) => error.status === 400 && words.test(error.message),
    );
  }
  assert.deepEqual(seeing.leases, []);
});

Deno.test("Inference asks a loaded model once for the special texts that its template prints", async () => {
  const models = new ScriptedModels({
    template: { jinjaTemplate: "{{ bos_token }}{{ messages[0].content }}" },
  });
  models.texts = ["ok", "ok", "ok"];
  const inference = models.inference();
  const leasesOf = async () => {
    const before = models.leases.length;
    await read(await inference.chat(chat(), never));
    return models.leases.length - before;
  };
  assert.deepEqual([await leasesOf(), await leasesOf(), await leasesOf()], [2, 1, 1]);
});

Deno.test("Templates finds out once what the template of a definition can do", async () => {
  const asked: string[] = [];
  const templates = new Templates({
    run: (sources, input, origin) => {
      asked.push(input === null ? "what it can do" : "a prompt");
      return LOCAL_TEMPLATES.run(sources, input, origin);
    },
  });
  const template = { goTemplate: "{{ .Prompt }}" };
  const texts = () => Promise.resolve({ bosText: "", eosText: "" });
  const [one, two] = [
    await templates.ofModel(template, texts),
    await templates.ofModel(template, texts),
  ];
  assert.deepEqual(one.traits, two.traits);
  assert.deepEqual(asked, ["what it can do"]);
});
