import { Ollama } from "ollama";
import { AGE_SCHEMA, AGE_TEXT, call, expect, ORIGIN, QUESTION, RESULT, WEATHER } from "./calls.mjs";

const ollama = new Ollama({ host: ORIGIN });
const options = { temperature: 0, seed: 1 };
const hello = { model: "tiny", messages: [{ role: "user", content: "Hello!" }], options };
const tools = [{ type: "function", function: WEATHER }];

await call("list", async () => expect((await ollama.list()).models.length > 0));
await call("show", async () => expect((await ollama.show({ model: "tiny" })).details.format === "gguf"));
await call("chat", async () => expect((await ollama.chat(hello)).message.content !== ""));
await call("chat, streamed", async () => {
  let text = "";
  for await (const part of await ollama.chat({ ...hello, stream: true })) text += part.message.content;
  expect(text === (await ollama.chat(hello)).message.content, text);
});
await call("chat, tools", async () => {
  const messages = [{ role: "user", content: QUESTION }];
  const { message } = await ollama.chat({ ...hello, messages, tools });
  expect(message.tool_calls?.[0]?.function.arguments.city === "Paris", message);
  messages.push(message, { role: "tool", tool_name: "get_weather", content: RESULT });
  const answer = await ollama.chat({ ...hello, messages, tools });
  expect(/21/.test(answer.message.content), answer.message);
});
await call("chat, schema", async () => {
  const messages = [{ role: "user", content: AGE_TEXT }];
  const { message } = await ollama.chat({ ...hello, messages, format: AGE_SCHEMA });
  expect(Number.isInteger(JSON.parse(message.content).age), message);
});
await call("generate", async () => {
  const answer = await ollama.generate({ model: "tiny", prompt: "Hello!", options });
  expect(answer.response !== "" && answer.context.length > 0, answer);
});
await call("embed", async () => {
  const { embeddings } = await ollama.embed({ model: "vectors", input: ["one", "two"] });
  expect(embeddings.length === 2);
});
await call("ps", async () => expect((await ollama.ps()).models.length > 0));
await call("copy, delete", async () => {
  await ollama.copy({ source: "tiny", destination: "copied" });
  await ollama.delete({ model: "copied" });
});
await call("an error", async () => {
  const status = await ollama.chat({ ...hello, model: "nope" }).catch((error) => error.status_code);
  expect(status === 404, status);
});
