/**
 * How often does a weak model end an answer in JSON by itself? Asks one of 135 million parameters 27 times, for any object and
 * by two schemas, and counts the answers that end before their tokens are used up, and those that are JSON. There is no list in
 * the schemas: whether a model ends one depends on what it has to say, under any grammar.
 *
 * Usage: `deno task bench:formats [--odist FILE] [--tokens 200] [--temperature 0]`.
 *
 * @module
 */
import { join } from "node:path";
import { parseArgs } from "node:util";
import { ensureBenchModel } from "./comparing/assets.ts";
import { odistCommand, type RunningServer, startServer } from "./measuring/servers.ts";
import { createModel } from "./measuring/setup.ts";

const QUESTIONS = [
  "Who wrote Hamlet?",
  "Name three colours.",
  "What is the capital of France?",
  "Describe a cat.",
  "How many days has a week?",
  "Give me a recipe for pancakes.",
  "What does a blacksmith do?",
  "Tell me about the planet Mars.",
  "Invent a person with a name and an age.",
];
const FORMATS: Readonly<Record<string, unknown>> = {
  json: "json",
  flat: {
    type: "object",
    properties: {
      answer: { type: "string" },
      certain: { type: "boolean" },
      year: { type: "integer" },
    },
    required: ["answer", "certain"],
  },
  nested: {
    type: "object",
    properties: {
      title: { type: "string" },
      about: {
        type: "object",
        properties: { name: { type: "string" }, value: { type: "number" } },
        required: ["name", "value"],
      },
    },
    required: ["title", "about"],
  },
};

/** What became of one answer. */
interface Outcome {
  readonly format: string;
  readonly question: string;
  readonly content: string;
  readonly ended: boolean;
  readonly isJson: boolean;
}

async function ask(
  server: RunningServer,
  path: string,
  body: unknown,
): Promise<Record<string, unknown>> {
  const response = await fetch(server.origin + path, {
    method: "POST",
    body: JSON.stringify(body),
  });
  if (!response.ok) throw new Error(`${path} got ${response.status}: ${await response.text()}`);
  return await response.json();
}

async function answer(
  server: RunningServer,
  wanted: { readonly format: string; readonly question: string },
  options: { readonly model: string; readonly tokens: number; readonly temperature: number },
): Promise<Outcome> {
  const { message, done_reason: reason } = await ask(server, "/api/chat", {
    model: options.model,
    messages: [{ role: "user", content: wanted.question }],
    format: FORMATS[wanted.format],
    stream: false,
    options: {
      num_predict: options.tokens,
      temperature: options.temperature,
      seed: 1,
      num_thread: 1,
    },
  });
  const { content } = message as { readonly content: string };
  return { ...wanted, content, ended: reason === "stop", isJson: isJson(content) };
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    // Cut off in the middle: then it is none.
    return false;
  }
}

if (import.meta.main) {
  const { values } = parseArgs({
    args: Deno.args.filter((argument) => argument !== "--"),
    options: {
      odist: { type: "string" },
      tokens: { type: "string", default: "200" },
      temperature: { type: "string", default: "0" },
      verbose: { type: "boolean", default: false },
    },
  });
  const folder = await Deno.makeTempDir({ prefix: "odist-bench-formats-" });
  try {
    await using server = await startServer(odistCommand({
      binary: values.odist,
      dataFolder: folder,
      settings: { ODIST_MODELS: join(folder, "models") },
      logPath: join(folder, "odist.log"),
    }));
    const model = await ensureBenchModel();
    await createModel(server.origin, model);
    const { name } = model;
    const outcomes: Outcome[] = [];
    const options = {
      model: name,
      tokens: Number(values.tokens),
      temperature: Number(values.temperature),
    };
    const asked = Object.keys(FORMATS).flatMap((format) =>
      QUESTIONS.map((question) => ({ format, question }))
    );
    for (const wanted of asked) {
      const outcome = await answer(server, wanted, options);
      outcomes.push(outcome);
      if (values.verbose) console.log(JSON.stringify(outcome));
    }
    for (const format of Object.keys(FORMATS)) {
      const own = outcomes.filter((outcome) => outcome.format === format);
      const ended = own.filter((outcome) => outcome.ended).length;
      console.log(`${format}: ${ended} of ${own.length} ended by themselves`);
    }
    const ended = outcomes.filter((outcome) => outcome.ended);
    const broken = ended.filter((outcome) => !outcome.isJson).length;
    console.log(
      `${name}, ${values.tokens} tokens, temperature ${values.temperature}: ${ended.length} of ` +
        `${outcomes.length} ended by themselves, of which ${broken} are no JSON`,
    );
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}
