import assert from "node:assert/strict";
import { FAMILIES } from "../../src/models/families/table.ts";
import { compileTemplate } from "../../src/models/template/mod.ts";
import type { ChatRequest } from "../../src/ports/mod.ts";
import { appUnderTest } from "../harness/http_app.ts";

const DATE = new Date(2026, 2, 1);
const SYSTEM = "You are kind and brief, and you count stones.";
const PARAMETERS = {
  type: "object",
  required: ["city"],
  properties: { city: { type: "string", description: "Where." } },
};
const TOOLS = ["get_weather", "get_tide"].map((name) => ({
  name,
  description: `Tells what ${name} says.`,
}));

/** What was said after the system text: a question, or a question, its answer and the next question. */
type Said = readonly string[];

/** One conversation as the clients of each API send it. */
const BODIES: Readonly<Record<string, (said: Said) => object>> = {
  "/api/chat": (said) => ({
    messages: [{ role: "system", content: SYSTEM }, ...turnsOf(said)],
    tools: TOOLS.map((tool) => ({
      type: "function",
      function: { ...tool, parameters: PARAMETERS },
    })),
    stream: false,
  }),
  "/v1/chat/completions": (said) => ({
    messages: [{ role: "system", content: SYSTEM }, ...turnsOf(said)],
    tools: TOOLS.map((tool) => ({
      type: "function",
      function: { ...tool, parameters: PARAMETERS },
    })),
  }),
  "/v1/responses": (said) => ({
    instructions: SYSTEM,
    input: turnsOf(said),
    tools: TOOLS.map((tool) => ({ type: "function", ...tool, parameters: PARAMETERS })),
  }),
  "/v1/messages": (said) => ({
    max_tokens: 8,
    system: [{ type: "text", text: SYSTEM }],
    messages: turnsOf(said),
    tools: TOOLS.map((tool) => ({ ...tool, input_schema: PARAMETERS })),
  }),
};

function turnsOf(said: Said) {
  return said.map((content, at) => ({ role: at % 2 === 0 ? "user" : "assistant", content }));
}

async function asked(path: string, said: Said): Promise<ChatRequest> {
  const { send, client } = appUnderTest();
  const response = await send("POST", path, { model: "m", ...BODIES[path]?.(said) });
  assert.equal(response.status, 200, await response.text());
  return client.lastRequest as ChatRequest;
}

function commonLength(one: string, other: string): number {
  let at = 0;
  while (at < one.length && one[at] === other[at]) at++;
  return at;
}

/** The prompt of each family of models, by its id. */
async function promptsOf(path: string, said: Said): Promise<ReadonlyMap<string, string>> {
  const { messages, tools } = await asked(path, said);
  const input = { messages, tools, isChat: true, date: DATE };
  return new Map(
    FAMILIES.map(({ id }) => [id, compileTemplate({ renderer: id }).render(input).text]),
  );
}

for (const path of Object.keys(BODIES)) {
  Deno.test(`conversations over ${path} share their prompts' beginning: tools and system text come first, in every family`, async () => {
    const [first, other] = [
      await promptsOf(path, ["Why is the sky blue?"]),
      await promptsOf(path, ["How deep is the sea?"]),
    ];
    for (const [family, prompt] of first) {
      const shared = prompt.slice(0, commonLength(prompt, other.get(family) ?? ""));
      for (const text of [SYSTEM, ...TOOLS.map(({ description }) => description)]) {
        assert.ok(shared.includes(text), `${family} does not begin with ${text}\n${prompt}`);
      }
    }
  });

  Deno.test(`branches of a conversation over ${path} share all that was said before they part, in every family`, async () => {
    const trunk = ["Why is the sky blue?", "Air scatters light."];
    const branches = [
      await promptsOf(path, [...trunk, "And the sea?"]),
      await promptsOf(path, [...trunk, "How deep is it?", "Very.", "And the moon?"]),
    ];
    for (const [family, prompt] of branches[0] ?? []) {
      const shared = prompt.slice(0, commonLength(prompt, branches[1]?.get(family) ?? ""));
      for (const text of trunk) assert.ok(shared.includes(text), `${family}: ${text}\n${prompt}`);
    }
  });
}

Deno.test("the same conversation is the same prompt over every API, in every family", async () => {
  const [first = new Map(), ...others] = await Promise.all(
    Object.keys(BODIES).map((path) => promptsOf(path, ["Hi?", "Hello.", "Why?"])),
  );
  assert.equal(first.size, FAMILIES.length);
  for (const other of others) assert.deepEqual(other, first);
});
