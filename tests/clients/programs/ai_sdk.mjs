import { createAnthropic } from "@ai-sdk/anthropic";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { embed, generateText, jsonSchema, stepCountIs, streamText, tool } from "ai";
import { createOllama } from "ollama-ai-provider-v2";
import { AGE_SCHEMA, AGE_TEXT, call, expect, ORIGIN, QUESTION, RESULT, WEATHER } from "./calls.mjs";
import * as ai from "ai";

const baseURL = `${ORIGIN}/v1`;
const compatible = createOpenAICompatible({ name: "odist", baseURL, supportsStructuredOutputs: true });
const openai = createOpenAI({ baseURL, apiKey: "none" });
const anthropic = createAnthropic({ baseURL, apiKey: "none" });
const ollama = createOllama({ baseURL: `${ORIGIN}/api` });
const models = {
  "openai-compatible": compatible("tiny"),
  "openai, responses": openai.responses("tiny"),
  "anthropic": anthropic("tiny"),
  "ollama": ollama("tiny"),
};
const missings = {
  "openai-compatible": compatible("nope"),
  "openai, responses": openai.responses("nope"),
  "anthropic": anthropic("nope"),
  "ollama": ollama("nope"),
};
const tools = {
  get_weather: tool({
    description: WEATHER.description,
    inputSchema: jsonSchema(WEATHER.parameters),
    // As text, with the spaces that tiny was trained on: an object would be written without.
    execute: async () => RESULT,
  }),
};

for (const [name, model] of Object.entries(models)) {
  const shared = { model, temperature: 0, maxRetries: 0, maxOutputTokens: 200 };
  await call("chat", `${name}: generateText`, async () => {
    expect((await generateText({ ...shared, prompt: "Hello!" })).text !== "");
  });
  await call("stream", `${name}: streamText`, async () => {
    const result = streamText({ ...shared, prompt: "Hello!", onError: () => {} });
    let text = "";
    for await (const part of result.textStream) text += part;
    expect(text !== "" && (await result.finishReason) === "stop", await result.finishReason);
  });
  await call("tools", `${name}: a tool and its answer`, async () => {
    const { text, steps } = await generateText({
      ...shared,
      prompt: QUESTION,
      tools,
      stopWhen: stepCountIs(3),
    });
    expect(/21/.test(text), { text, steps: steps.length });
  });
  await call("schema", `${name}: an object`, async () => {
    const { output } = await generateText({
      ...shared,
      prompt: AGE_TEXT,
      output: ai.Output.object({ schema: jsonSchema(AGE_SCHEMA) }),
    });
    expect(Number.isInteger(output.age), output);
  });
  await call("errors", `${name}: a model that is not there`, async () => {
    const missing = { ...shared, model: missings[name], prompt: "Hello!" };
    const error = await generateText(missing).catch((it) => it);
    expect(error?.statusCode === 404, String(error));
  });
}
const embedders = { "openai-compatible": compatible, openai, ollama };
for (const [name, provider] of Object.entries(embedders)) {
  await call("embed", `${name}: embed`, async () => {
    const model = provider.embeddingModel?.("vectors") ?? provider.textEmbeddingModel("vectors");
    expect((await embed({ model, value: "one", maxRetries: 0 })).embedding.length > 0);
  });
}
