import { isEdgeError } from "../../base/mod.ts";
import { compileTemplate, type PromptRenderer, type TemplateSources } from "../template/mod.ts";
import { fromWire, LineReader, type WorkerQuestion, type WorkerReply } from "./messages.ts";
import { QUESTION_CHARS_MAX } from "./worker_limits.ts";

/** Compiled templates kept. */
const COMPILED_MAX = 8;
/** Read at once. */
const CHUNK_BYTES = 64 * 1024;
/** Characters of all templates kept: a syntax tree takes some ten times its text, and the memory is small. */
const COMPILED_CHARS_MAX = 256 * 1024;

/**
 * The main function of a template worker: answers questions on standard input, one after another, until it ends. Whoever
 * started this process bounds its time and memory by ending it; a template can reach nothing here but this process.
 */
export async function serveTemplates(): Promise<void> {
  dropPermissions();
  const compiled = new CompiledTemplates();
  const lines = new LineReader(QUESTION_CHARS_MAX);
  say({ kind: "ready" });
  const chunk = new Uint8Array(CHUNK_BYTES);
  for (;;) {
    const count = await Deno.stdin.read(chunk);
    if (count === null) return;
    for (const line of lines.push(chunk.subarray(0, count))) {
      // Both ends come from one build, so that the cast holds.
      say(answer(JSON.parse(line) as WorkerQuestion, compiled));
    }
  }
}

function answer({ sources, input }: WorkerQuestion, compiled: CompiledTemplates): WorkerReply {
  try {
    const { render, ...traits } = compiled.get(sources);
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
  /** By their sources, in order of use. */
  readonly #renderers = new Map<string, PromptRenderer>();
  #chars = 0;

  get(sources: TemplateSources): PromptRenderer {
    const key = JSON.stringify(sources);
    const renderer = this.#renderers.get(key) ?? compileTemplate(sources);
    this.#drop(key);
    this.#renderers.set(key, renderer);
    this.#chars += key.length;
    for (const oldest of this.#renderers.keys()) {
      if (this.#renderers.size <= COMPILED_MAX && this.#chars <= COMPILED_CHARS_MAX) break;
      this.#drop(oldest);
    }
    return renderer;
  }

  #drop(key: string): void {
    if (this.#renderers.delete(key)) this.#chars -= key.length;
  }
}

/** A built program has all permissions from its start. */
function dropPermissions(): void {
  for (const name of ["read", "write", "net", "env", "run", "ffi", "sys"] as const) {
    Deno.permissions.revokeSync({ name });
  }
}

function say(reply: WorkerReply): void {
  const bytes = new TextEncoder().encode(`${JSON.stringify(reply)}\n`);
  for (let written = 0; written < bytes.length;) {
    written += Deno.stdout.writeSync(bytes.subarray(written));
  }
}
