import { formatGoDuration, printableText } from "../../base/mod.ts";
import { type JsonObject, numberOf, objectOf, rawTextOf } from "../client/mod.ts";
import type { CliContext } from "../context.ts";
import { Spinner, WordWrap } from "../terminal/mod.ts";
import type { RunSettings } from "./settings.ts";

/** What an answer said in all; `stopped` when its request was aborted on the way. */
export interface ShownAnswer {
  readonly end: "whole" | "stopped";
  readonly content: string;
  readonly thinking: string;
}

/**
 * Prints an answer as it arrives. Works on the lines of /api/generate and of /api/chat.
 *
 * @throws whatever `lines` throws but for an abort, after the line on the terminal was ended.
 */
export async function showAnswer(
  context: CliContext,
  lines: AsyncIterable<JsonObject>,
  settings: RunSettings,
): Promise<ShownAnswer> {
  const view = new AnswerView(context, settings);
  let last: JsonObject = {};
  try {
    for await (const line of lines) {
      view.show(line);
      last = line;
    }
  } catch (error) {
    if (!(error instanceof DOMException && error.name === "AbortError")) throw error;
    return { end: "stopped", ...view.said };
  } finally {
    view.end();
  }
  if (settings.verbose) context.terminal.err.write(renderFigures(last));
  return { end: "whole", ...view.said };
}

class AnswerView {
  readonly #context: CliContext;
  readonly #settings: RunSettings;
  readonly #wrap: WordWrap | undefined;
  readonly #spinner: Spinner;
  #phase: "waiting" | "thinking" | "content" = "waiting";
  #content = "";
  #thinking = "";

  constructor(context: CliContext, settings: RunSettings) {
    this.#context = context;
    this.#settings = settings;
    const wraps = settings.wordWrap && context.terminal.out.isTerminal;
    this.#wrap = wraps ? new WordWrap(context.terminal.columns()) : undefined;
    this.#spinner = new Spinner(context.terminal);
  }

  get said(): { readonly content: string; readonly thinking: string } {
    return { content: this.#content, thinking: this.#thinking };
  }

  show(line: JsonObject): void {
    const message = objectOf(line, "message");
    this.#showThinking(saidIn(line, "thinking") ?? saidIn(message, "thinking") ?? "");
    this.#showContent(saidIn(line, "response") ?? saidIn(message, "content") ?? "");
  }

  /** Ends the line, however far the answer came. */
  end(): void {
    this.#spinner.stop();
    if (this.#phase === "waiting") return;
    const { out } = this.#context.terminal;
    out.write(out.isTerminal ? "\n\n" : "\n");
  }

  #showThinking(text: string): void {
    if (text === "") return;
    this.#thinking += text;
    if (!this.#settings.showThinking) return;
    if (this.#phase === "waiting") this.#enter("thinking", "Thinking...\n");
    this.#write(text, "grey");
  }

  #showContent(text: string): void {
    if (text === "") return;
    this.#content += text;
    if (this.#phase === "thinking") this.#enter("content", "\n...done thinking.\n\n");
    else if (this.#phase === "waiting") this.#enter("content", "");
    this.#write(text, "plain");
  }

  #enter(phase: "thinking" | "content", heading: string): void {
    this.#spinner.stop();
    this.#phase = phase;
    if (heading !== "") this.#write(heading, "grey");
  }

  #write(text: string, look: "plain" | "grey"): void {
    const { out } = this.#context.terminal;
    // A program that reads the answer wants it byte for byte; a terminal would obey it.
    const shown = out.isTerminal ? printableText(text) : text;
    const wrapped = this.#wrap?.push(shown) ?? shown;
    out.write(look === "grey" ? out.style.grey(wrapped) : wrapped);
  }
}

/** As the model said it: the conversation goes on with it. */
function saidIn(object: JsonObject, key: string): string | undefined {
  // deno-lint-ignore odist-cli/printable
  return rawTextOf(object, key);
}

/** The figures of `--verbose`, in the contract's words; durations come in nanoseconds. */
function renderFigures(last: JsonObject): string {
  const lines: string[] = [];
  const add = (name: string, text: string) => lines.push(`${`${name}:`.padEnd(22)}${text}\n`);
  const addSpan = (name: string, ns: number | undefined) => {
    if (ns !== undefined) add(name, formatSpanNs(ns));
  };
  addSpan("total duration", numberOf(last, "total_duration"));
  addSpan("load duration", numberOf(last, "load_duration"));
  for (const kind of ["prompt_eval", "eval"]) {
    const title = kind.replace("_", " ");
    const count = numberOf(last, `${kind}_count`);
    const ns = numberOf(last, `${kind}_duration`);
    if (count !== undefined) add(`${title} count`, `${count} token(s)`);
    addSpan(`${title} duration`, ns);
    if (count !== undefined && ns) {
      add(`${title} rate`, `${(count / ns * 1e9).toFixed(2)} tokens/s`);
    }
  }
  return lines.join("");
}

function formatSpanNs(ns: number): string {
  return formatGoDuration(Number((ns / 1e6).toFixed(3)));
}
