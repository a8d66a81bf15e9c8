import { ChatAnthropic } from "@langchain/anthropic";
import { ChatOllama, OllamaEmbeddings } from "@langchain/ollama";
import { ChatOpenAI } from "@langchain/openai";
import { AGE_SCHEMA, AGE_TEXT, call, expect, ORIGIN, QUESTION, WEATHER } from "./calls.mjs";

const tools = [{ type: "function", function: WEATHER }];
const configuration = { baseURL: `${ORIGIN}/v1` };
const shared = { model: "tiny", temperature: 0, maxRetries: 0 };
const models = {
  ollama: new ChatOllama({ ...shared, baseUrl: ORIGIN }),
  openai: new ChatOpenAI({ ...shared, apiKey: "none", configuration }),
  "openai, responses": new ChatOpenAI({ ...shared, apiKey: "none", configuration, useResponsesApi: true }),
  anthropic: new ChatAnthropic({ ...shared, maxTokens: 200, apiKey: "none", anthropicApiUrl: ORIGIN }),
};

for (const [name, model] of Object.entries(models)) {
  await call("chat", `${name}: invoke`, async () => expect((await model.invoke("Hello!")).text !== ""));
  await call("stream", `${name}: stream`, async () => {
    let text = "";
    for await (const chunk of await model.stream("Hello!")) text += chunk.text;
    expect(text !== "");
  });
  await call("tools", `${name}: bindTools`, async () => {
    const { tool_calls } = await model.bindTools(tools).invoke(QUESTION);
    expect(tool_calls[0]?.args.city === "Paris", tool_calls);
  });
  await call("schema", `${name}: withStructuredOutput`, async () => {
    const schema = { title: "age", description: "Somebody's age", ...AGE_SCHEMA };
    const value = await model.withStructuredOutput(schema, { name: "age" }).invoke(AGE_TEXT);
    expect(Number.isInteger(value.age), value);
  });
}
const missings = {
  ollama: new ChatOllama({ ...shared, model: "nope", baseUrl: ORIGIN }),
  openai: new ChatOpenAI({ ...shared, model: "nope", apiKey: "none", configuration }),
};
for (const [name, model] of Object.entries(missings)) {
  await call("errors", `${name}: a model that is not there`, async () => {
    const error = await model.invoke("Hello!").catch((it) => it);
    expect(/not found/.test(String(error)), String(error));
  });
}
await call("embed", "ollama: embeddings", async () => {
  const embeddings = new OllamaEmbeddings({ model: "vectors", baseUrl: ORIGIN });
  expect((await embeddings.embedDocuments(["one", "two"])).length === 2);
});
