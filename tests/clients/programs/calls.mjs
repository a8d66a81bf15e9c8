/** Where the node listens: `http://127.0.0.1:<port>`. */
export const ORIGIN = process.env.CLIENTS_ORIGIN;

export const WEATHER = {
  name: "get_weather",
  description: "Get the current weather in a city",
  parameters: {
    type: "object",
    properties: { city: { type: "string", description: "The name of the city" } },
    required: ["city"],
  },
};
export const QUESTION = "What is the weather in Paris?";
export const RESULT = '{"temperature": 21, "condition": "sunny"}';
export const AGE_SCHEMA = {
  type: "object",
  properties: { age: { type: "integer" } },
  required: ["age"],
  additionalProperties: false,
};
export const AGE_TEXT = "Mia is 12 years old.";

/** Makes one call and tells how it went; the next one is made in any case. Kinds are the columns of `../table.ts`. */
export async function call(kind, name, body) {
  try {
    await body();
    console.log(JSON.stringify({ call: name, kind, ok: true }));
  } catch (error) {
    const detail = String(error?.stack ?? error).slice(0, 600);
    console.log(JSON.stringify({ call: name, kind, ok: false, detail }));
  }
}

export function expect(condition, seen) {
  if (!condition) throw new Error(`unexpected: ${JSON.stringify(seen)?.slice(0, 400)}`);
}
