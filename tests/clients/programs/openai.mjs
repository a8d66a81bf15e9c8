import OpenAI from "openai";
import { AGE_SCHEMA, AGE_TEXT, call, expect, ORIGIN, QUESTION, RESULT, WEATHER } from "./calls.mjs";

const openai = new OpenAI({ baseURL: `${ORIGIN}/v1`, apiKey: "none", maxRetries: 0 });
const hello = { model: "tiny", messages: [{ role: "user", content: "Hello!" }], temperature: 0, seed: 1 };
const tools = [{ type: "function", function: WEATHER }];
const json_schema = { name: "age", schema: AGE_SCHEMA, strict: true };

await call("lists", "models.list", async () => expect((await openai.models.list()).data.length > 0));
await call("chat", "chat.completions", async () => {
  const { choices } = await openai.chat.completions.create(hello);
  expect(choices[0].finish_reason === "stop", choices);
});
await call("stream", "chat.completions, streamed", async () => {
  const stream = openai.chat.completions.stream({ ...hello, stream_options: { include_usage: true } });
  const { usage } = await stream.finalChatCompletion();
  expect(usage.total_tokens > 0, usage);
});
await call("tools", "chat.completions, runTools", async () => {
  const run = async () => RESULT;
  const tool = { type: "function", function: { ...WEATHER, parse: JSON.parse, function: run } };
  const messages = [{ role: "user", content: QUESTION }];
  const runner = openai.chat.completions.runTools({ ...hello, messages, tools: [tool] });
  expect(/21/.test(await runner.finalContent()));
});
await call("tools", "chat.completions, tool_choice", async () => {
  const { choices } = await openai.chat.completions.create({ ...hello, tools, tool_choice: "required" });
  expect(choices[0].message.tool_calls.length === 1, choices);
});
await call("more", "chat.completions, n", async () => {
  const { choices } = await openai.chat.completions.create({ ...hello, n: 2 });
  expect(choices.length === 2);
});
await call("more", "chat.completions, logprobs", async () => {
  const { choices } = await openai.chat.completions.create({ ...hello, logprobs: true, top_logprobs: 2 });
  expect(choices[0].logprobs.content[0].top_logprobs.length === 2, choices[0].logprobs);
});
await call("schema", "chat.completions, parse", async () => {
  const { choices } = await openai.chat.completions.parse({
    ...hello,
    messages: [{ role: "user", content: AGE_TEXT }],
    response_format: { type: "json_schema", json_schema },
  });
  expect(Number.isInteger(JSON.parse(choices[0].message.content).age), choices);
});
await call("more", "completions, prompts", async () => {
  const { choices } = await openai.completions.create({ model: "tiny", prompt: ["a", "b"], max_tokens: 4 });
  expect(choices.length === 2);
});
await call("chat", "responses", async () => {
  const first = await openai.responses.create({ model: "tiny", input: "Hello!", temperature: 0 });
  const next = await openai.responses.create({ model: "tiny", input: "And?", previous_response_id: first.id });
  expect(next.status === "completed", next.status);
});
await call("tools", "responses, streamed tool call", async () => {
  const stream = openai.responses.stream({
    model: "tiny",
    input: QUESTION,
    temperature: 0,
    tools: [{ type: "function", ...WEATHER, strict: false }],
  });
  const { output } = await stream.finalResponse();
  expect(output.some((item) => item.type === "function_call"), output);
});
await call("embed", "embeddings", async () => {
  const { data } = await openai.embeddings.create({ model: "vectors", input: ["one", "two"] });
  expect(data.length === 2);
});
await call("errors", "an error", async () => {
  const error = await openai.chat.completions.create({ ...hello, model: "nope" }).catch((it) => it);
  expect(error instanceof OpenAI.NotFoundError, String(error));
});
