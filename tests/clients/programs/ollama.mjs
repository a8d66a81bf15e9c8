import { Ollama } from "ollama";
import { AGE_SCHEMA, AGE_TEXT, call, expect, ORIGIN, QUESTION, RESULT, WEATHER } from "./calls.mjs";

const ollama = new Ollama({ host: ORIGIN });
const options = { temperature: 0, seed: 1 };
const hello = { model: "tiny", messages: [{ role: "user", content: "Hello!" }], options };
const tools = [{ type: "function", function: WEATHER }];

await call("lists", "list", async () => expect((await ollama.list()).models.length > 0));
await call("show", "show", async () => expect((await ollama.show({ model: "tiny" })).details.format === "gguf"));
await call("chat", "chat", async () => expect((await ollama.chat(hello)).message.content !== ""));
await call("stream", "chat, streamed", async () => {
  let text = "";
  for await (const part of await ollama.chat({ ...hello, stream: true })) text += part.message.content;
  expect(text === (await ollama.chat(hello)).message.content, text);
});
await call("tools", "chat, tools", async () => {
  const messages = [{ role: "user", content: QUESTION }];
  const { message } = await ollama.chat({ ...hello, messages, tools });
  expect(message.tool_calls?.[0]?.function.arguments.city === "Paris", message);
  messages.push(message, { role: "tool", tool_name: "get_weather", content: RESULT });
  const answer = await ollama.chat({ ...hello, messages, tools });
  expect(/21/.test(answer.message.content), answer.message);
});
await call("schema", "chat, schema", async () => {
  const messages = [{ role: "user", content: AGE_TEXT }];
  const { message } = await ollama.chat({ ...hello, messages, format: AGE_SCHEMA });
  expect(Number.isInteger(JSON.parse(message.content).age), message);
});
await call("chat", "generate", async () => {
  const answer = await ollama.generate({ model: "tiny", prompt: "Hello!", options });
  expect(answer.response !== "" && answer.context.length > 0, answer);
});
await call("embed", "embed", async () => {
  const { embeddings } = await ollama.embed({ model: "vectors", input: ["one", "two"] });
  expect(embeddings.length === 2);
});
await call("lists", "ps", async () => expect((await ollama.ps()).models.length > 0));
await call("more", "copy, delete", async () => {
  await ollama.copy({ source: "tiny", destination: "copied" });
  await ollama.delete({ model: "copied" });
});
await call("more", "create, streamed", async () => {
  const statuses = [];
  const asked = { model: "made", from: "tiny", system: "Be kind.", stream: true };
  for await (const { status } of await ollama.create(asked)) statuses.push(status);
  expect(statuses.at(-1) === "success", statuses);
  await ollama.delete({ model: "made" });
});
await call("stream", "abort", async () => {
  const own = new Ollama({ host: ORIGIN });
  const error = await (async () => {
    for await (const _ of await own.chat({ ...hello, stream: true })) own.abort();
  })().catch((it) => it);
  expect(error?.name === "AbortError", String(error));
});
await call("errors", "an error, streamed", async () => {
  const asked = { ...hello, model: "nope", stream: true };
  const status = await ollama.chat(asked).catch((error) => error.status_code);
  expect(status === 404, status);
});
await call("errors", "an error", async () => {
  const status = await ollama.chat({ ...hello, model: "nope" }).catch((error) => error.status_code);
  expect(status === 404, status);
});
