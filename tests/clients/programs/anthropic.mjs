import Anthropic from "@anthropic-ai/sdk";
import { AGE_SCHEMA, AGE_TEXT, call, expect, ORIGIN, QUESTION, RESULT, WEATHER } from "./calls.mjs";

const anthropic = new Anthropic({ baseURL: ORIGIN, apiKey: "none", maxRetries: 0 });
const hello = { model: "tiny", max_tokens: 200, temperature: 0, messages: [{ role: "user", content: "Hello!" }] };
const { parameters: input_schema, ...named } = WEATHER;
const tools = [{ ...named, input_schema }];

await call("lists", "models.list", async () => expect((await anthropic.models.list()).data.length > 0));
await call("chat", "messages", async () => {
  const { content, stop_reason } = await anthropic.messages.create(hello);
  expect(content[0].text !== "" && stop_reason === "end_turn", content);
});
await call("stream", "messages, streamed", async () => {
  const message = await anthropic.messages.stream(hello).finalMessage();
  expect(message.usage.output_tokens > 0, message);
});
await call("tools", "messages, tools", async () => {
  const question = { role: "user", content: QUESTION };
  const asked = await anthropic.messages.create({ ...hello, messages: [question], tools });
  const use = asked.content.find((block) => block.type === "tool_use");
  expect(use?.input.city === "Paris", asked);
  const result = { type: "tool_result", tool_use_id: use.id, content: RESULT };
  const messages = [question, { role: "assistant", content: asked.content }, { role: "user", content: [result] }];
  const answered = await anthropic.messages.create({ ...hello, messages, tools });
  expect(/21/.test(answered.content[0].text), answered);
});
await call("tools", "messages, tool_choice", async () => {
  const { content } = await anthropic.messages.create({ ...hello, tools, tool_choice: { type: "any" } });
  expect(content[0].type === "tool_use", content);
});
await call("tools", "messages, streamed tool call", async () => {
  const messages = [{ role: "user", content: QUESTION }];
  const { content, stop_reason } = await anthropic.messages.stream({ ...hello, messages, tools }).finalMessage();
  expect(stop_reason === "tool_use" && content.at(-1).input.city === "Paris", content);
});
await call("schema", "messages, output_config", async () => {
  const messages = [{ role: "user", content: AGE_TEXT }];
  const output_config = { format: { type: "json_schema", schema: AGE_SCHEMA } };
  const { content } = await anthropic.messages.create({ ...hello, messages, output_config });
  expect(Number.isInteger(JSON.parse(content[0].text).age), content);
});
await call("more", "messages.countTokens", async () => {
  const { input_tokens } = await anthropic.messages.countTokens({ model: "tiny", messages: hello.messages });
  expect(input_tokens > 0, input_tokens);
});
await call("errors", "an error", async () => {
  const error = await anthropic.messages.create({ ...hello, model: "nope" }).catch((it) => it);
  expect(error instanceof Anthropic.NotFoundError, String(error));
});
await call("errors", "an error, streamed", async () => {
  const error = await anthropic.messages.stream({ ...hello, model: "nope" }).finalMessage().catch((it) => it);
  expect(error instanceof Anthropic.NotFoundError, String(error));
});
