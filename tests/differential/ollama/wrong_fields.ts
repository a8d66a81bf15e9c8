import { type Case, CHATTED, GENERATED, HI, JSON_TYPE, post, refused, SHORT } from "./recorded.ts";

/** The fields of contract 1.4 to 1.12 by endpoint, each with its JSON type. */
const FIELD_TYPES: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  "/api/generate": {
    ...{
      model: "string",
      prompt: "string",
      suffix: "string",
      system: "string",
      template: "string",
    },
    ...{ context: "array", stream: "boolean", raw: "boolean", images: "array", options: "object" },
    ...{ truncate: "boolean", shift: "boolean", logprobs: "boolean", top_logprobs: "number" },
  },
  "/api/chat": {
    ...{ model: "string", messages: "array", tools: "array", stream: "boolean", options: "object" },
    ...{ truncate: "boolean", shift: "boolean", logprobs: "boolean", top_logprobs: "number" },
  },
  "/api/embed": { model: "string", truncate: "boolean", dimensions: "number", options: "object" },
  "/api/embeddings": { model: "string", prompt: "string", options: "object" },
  "/api/show": {
    model: "string",
    name: "string",
    verbose: "boolean",
    system: "string",
    options: "object",
  },
  "/api/copy": { source: "string", destination: "string" },
  "/api/pull": { model: "string", name: "string", insecure: "boolean", stream: "boolean" },
  "/api/push": { model: "string", name: "string", insecure: "boolean", stream: "boolean" },
  "/api/create": {
    ...{ model: "string", from: "string", files: "object", adapters: "object", template: "string" },
    ...{ system: "string", parameters: "object", messages: "array", quantize: "string" },
    ...{ renderer: "string", parser: "string", requires: "string", stream: "boolean" },
  },
};

const SAMPLES: Readonly<Record<string, readonly unknown[]>> = {
  string: ["x"],
  number: [1, 1.5],
  boolean: [true],
  array: [[1]],
  object: [{ a: 1 }],
};

/** A field of another type is refused before anything is looked up. */
export function wrongTypes(model: string): readonly Case[] {
  return Object.entries(FIELD_TYPES).flatMap(([path, fields]) =>
    Object.entries(fields).flatMap(([field, type]) =>
      Object.entries(SAMPLES).filter(([other]) => other !== type).flatMap(([, values]) =>
        values.map((value) => post(path, { ...baseOf(path, model), [field]: value }, refused(400)))
      )
    )
  );
}

/** What would be taken, were it not for one field. */
function baseOf(path: string, model: string): Readonly<Record<string, unknown>> {
  if (path === "/api/copy") return { source: "nope", destination: "nope-2" };
  return { model: path === "/api/chat" || path === "/api/generate" ? model : "nope" };
}

const OPTION_TYPES: Readonly<Record<string, string>> = {
  ...{ num_ctx: "integer", num_batch: "integer", num_gpu: "integer", main_gpu: "integer" },
  ...{ num_thread: "integer", num_keep: "integer", num_predict: "integer", seed: "integer" },
  ...{ top_k: "integer", repeat_last_n: "integer", use_mmap: "boolean", temperature: "float32" },
  ...{ top_p: "float32", min_p: "float32", typical_p: "float32", repeat_penalty: "float32" },
  ...{ presence_penalty: "float32", frequency_penalty: "float32", stop: "array" },
};

/** The contract's own 500. */
export function wrongOptions(model: string): readonly Case[] {
  return Object.entries(OPTION_TYPES).flatMap(([name, type]) =>
    ["x", {}].flatMap((value) =>
      ["/api/generate", "/api/chat"].map((path) => {
        const body = { model, prompt: "x", messages: HI, options: { [name]: value } };
        return post(path, body, refused(500, `option "${name}" must be of type ${type}`));
      })
    )
  );
}

/** Null is as if the field were not there. */
export function nulls(model: string): readonly Case[] {
  return ["/api/generate", "/api/chat"].flatMap((path) =>
    Object.keys(FIELD_TYPES[path] ?? {}).filter((field) =>
      !["model", "stream", "options", "messages", "prompt"].includes(field)
    )
      .map((field) => {
        const body = { model, prompt: "Hi", messages: HI, stream: false, ...SHORT, [field]: null };
        const shape = path === "/api/chat" ? CHATTED : GENERATED;
        return post(path, body, { status: 200, type: JSON_TYPE, shape });
      })
  );
}
