import type { Answered, Shape } from "./shape.ts";

/** One request, and what Ollama 0.33 answers as its published contract has it. */
export interface Case {
  readonly name: string;
  readonly method: string;
  readonly path: string;
  /** Text as it is; anything else as JSON. */
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  readonly recorded: Answered;
}

/** A model of vectors alone, over the weights of `tiny`: its window has 1024 tokens. */
export const VECTORS = "differential-vectors";
export const JSON_TYPE = "application/json";
export const LINES_TYPE = "application/x-ndjson";
export const ERROR: Shape = { error: "string" };
export const METRICS = {
  total_duration: "number",
  "load_duration?": "number",
  prompt_eval_count: "number",
  prompt_eval_duration: "number",
  eval_count: "number",
  eval_duration: "number",
} as const;
export const HEAD = { model: "string", created_at: "string" } as const;
export const GENERATED: Shape = {
  ...HEAD,
  response: "string",
  done: "boolean",
  done_reason: "string",
  "context?": ["number"],
  ...METRICS,
};
export const CHATTED: Shape = {
  ...HEAD,
  message: { role: "string", content: "string", "thinking?": "string", "tool_calls?": ["object"] },
  done: "boolean",
  done_reason: "string",
  ...METRICS,
};
export const DETAILS = {
  parent_model: "string",
  format: "string",
  family: "string",
  families: "any",
  parameter_size: "string",
  quantization_level: "string",
} as const;
export const OPENAI_ERROR: Shape = {
  error: { message: "string", type: "string", param: "any", code: "any" },
};
export const USAGE: Shape = {
  prompt_tokens: "number",
  completion_tokens: "number",
  total_tokens: "number",
};
export const SHORT = { options: { num_predict: 3, temperature: 0, seed: 1 } };
export const HI = [{ role: "user", content: "Hello!" }];

export const LISTED: Shape = {
  models: [{
    name: "string",
    model: "string",
    modified_at: "string",
    size: "number",
    digest: "string",
    details: { ...DETAILS, "context_length?": "number", "embedding_length?": "number" },
    "capabilities?": ["string"],
  }],
};

export const RUNNING: Shape = {
  models: [{
    name: "string",
    model: "string",
    size: "number",
    digest: "string",
    details: DETAILS,
    expires_at: "string",
    size_vram: "number",
    context_length: "number",
  }],
};

export const SHOWN: Shape = {
  "license?": "string",
  "modelfile?": "string",
  "parameters?": "string",
  "template?": "string",
  "system?": "string",
  details: DETAILS,
  "messages?": ["object"],
  model_info: "object",
  "projector_info?": "object",
  "tensors?": [{ name: "string", type: "string", shape: ["number"] }],
  "capabilities?": ["string"],
  modified_at: "string",
  "requires?": "string",
};

export const COMPLETION: Shape = {
  id: "string",
  object: "string",
  created: "number",
  model: "string",
  system_fingerprint: "string",
  choices: [{
    index: "number",
    message: { role: "string", content: "string", "reasoning?": "string" },
    finish_reason: "string",
  }],
  usage: USAGE,
};

export const TEXT_COMPLETION: Shape = {
  id: "string",
  object: "string",
  created: "number",
  model: "string",
  system_fingerprint: "string",
  choices: [{ text: "string", index: "number", finish_reason: "string" }],
  usage: USAGE,
};

export const CHAT_LOADED: Shape = {
  ...HEAD,
  message: { role: "string", content: "string" },
  done: "boolean",
  done_reason: "string",
};

export const RENDERED: Shape = {
  ...HEAD,
  "response?": "string",
  "message?": "object",
  "done?": "boolean",
  _debug_info: { rendered_template: "string" },
};

export const LOADED: Shape = {
  ...HEAD,
  response: "string",
  done: "boolean",
  done_reason: "string",
};

export function refused(status: number, error?: string): Answered {
  return { status, type: JSON_TYPE, shape: ERROR, ...(error === undefined ? {} : { error }) };
}

export function post(path: string, body: unknown, recorded: Answered, name?: string): Case {
  const shown = name ?? (typeof body === "string" ? body : JSON.stringify(body)).slice(0, 90);
  return { name: `POST ${path} ${shown}`, method: "POST", path, body, recorded };
}
