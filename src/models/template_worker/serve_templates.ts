import { isEdgeError } from "../../base/mod.ts";
import { compileTemplate, type PromptRenderer, type TemplateSources } from "../template/mod.ts";
import { fromWire, LineReader, type WorkerQuestion, type WorkerReply } from "./messages.ts";
import { COMPILED_MAX, QUESTION_CHARS_MAX } from "./worker_limits.ts";

/** Read at once. */
const CHUNK_BYTES = 64 * 1024;
/** Characters of all templates kept: a syntax tree takes some ten times its text, and the memory is small. */
const COMPILED_CHARS_MAX = 256 * 1024;

/**
 * The main function of a template worker: answers questions on standard input, one after another, until it ends. Whoever
 * started this process bounds its time and memory by ending it; a template can reach nothing here but this process.
 */
export function serveTemplates(): void {
  dropPermissions();
  const compiled = new CompiledTemplates();
  const lines = new LineReader(QUESTION_CHARS_MAX);
  say([{ kind: "ready" }]);
  const chunk = new Uint8Array(CHUNK_BYTES);
  for (;;) {
    // Nothing else runs here, and a read that others wait for would cost as much as a short rendering.
    const count = Deno.stdin.readSync(chunk);
    if (count === null) return;
    // Both ends come from one build, so that the cast holds.
    const asked = lines.push(chunk.subarray(0, count)).map((line) =>
      JSON.parse(line) as WorkerQuestion
    );
    say(asked.map((question) => answer(question, compiled)));
  }
}

function answer(question: WorkerQuestion, compiled: CompiledTemplates): WorkerReply {
  const { input } = question;
  try {
    const renderer = compiled.find(question);
    if (renderer === undefined) return { kind: "forgotten" };
    const { render, ...traits } = renderer;
    return { kind: "answer", traits, prompt: input === null ? null : render(fromWire(input)) };
  } catch (error) {
    if (isEdgeError(error)) return { kind: "refused", message: error.message };
    // Deep nesting ends the stack, which says as much about the template as any other failure in it.
    if (error instanceof RangeError) return { kind: "refused", message: error.message };
    throw error;
  }
}

/** Renderers of the templates used last. */
class CompiledTemplates {
  /** By the keys of their sources, in order of use. */
  readonly #renderers = new Map<string, { renderer: PromptRenderer; chars: number }>();
  #chars = 0;

  /** Undefined = its sources are needed. */
  find({ key, sources }: WorkerQuestion): PromptRenderer | undefined {
    const known = this.#renderers.get(key) ??
      (sources && { renderer: compileTemplate(sources), chars: charsOf(sources) });
    if (known === undefined) return undefined;
    this.#drop(key);
    this.#renderers.set(key, known);
    this.#chars += known.chars;
    for (const oldest of this.#renderers.keys()) {
      if (this.#renderers.size <= COMPILED_MAX && this.#chars <= COMPILED_CHARS_MAX) break;
      this.#drop(oldest);
    }
    return known.renderer;
  }

  #drop(key: string): void {
    this.#chars -= this.#renderers.get(key)?.chars ?? 0;
    this.#renderers.delete(key);
  }
}

function charsOf(sources: TemplateSources): number {
  return JSON.stringify(sources).length;
}

/** A built program has all permissions from its start. */
function dropPermissions(): void {
  for (const name of ["read", "write", "net", "env", "run", "ffi", "sys"] as const) {
    Deno.permissions.revokeSync({ name });
  }
}

/** In one go, so that whoever reads is woken once. */
function say(replies: readonly WorkerReply[]): void {
  const lines = replies.map((reply) => `${JSON.stringify(reply)}\n`);
  const bytes = new TextEncoder().encode(lines.join(""));
  for (let written = 0; written < bytes.length;) {
    written += Deno.stdout.writeSync(bytes.subarray(written));
  }
}
