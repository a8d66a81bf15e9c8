import { join } from "node:path";
import { assertNever, errorMessage, printableText } from "../../base/mod.ts";
import { type JsonObject, linesOf, type NodeClient, objectsOf, textOf } from "../client/mod.ts";
import { type CliContext, configFor } from "../context.ts";
import { renderModel, Spinner } from "../terminal/mod.ts";
import { showAnswer } from "./answer_view.ts";
import { editText } from "./editor.ts";
import { HELP_TEXTS } from "./help_texts.ts";
import { History } from "./history.ts";
import { seeImages } from "./image_paths.ts";
import { LineAssembler, type ReplInput } from "./line_assembler.ts";
import { LineEditor } from "./line_editor.ts";
import { requestFields, type RunSettings } from "./settings.ts";
import {
  completionsOf,
  parseSlashCommand,
  type SettingChange,
  type SlashCommand,
} from "./slash_command.ts";

const PLACEHOLDER = "Send a message (/? for help)";

/** Talks with a model until the user leaves. */
export async function converse(
  context: CliContext,
  start: {
    readonly client: NodeClient;
    readonly model: string;
    readonly settings: RunSettings;
  },
): Promise<void> {
  const conversation = new Conversation(context, start);
  await conversation.load(start.model);
  await conversation.run();
}

class Conversation {
  readonly #context: CliContext;
  readonly #client: NodeClient;
  readonly #lines = new LineAssembler();
  readonly #history: History;
  #model: string;
  #settings: RunSettings;
  #messages: JsonObject[] = [];
  #abort = new AbortController();

  constructor(
    context: CliContext,
    start: {
      readonly client: NodeClient;
      readonly model: string;
      readonly settings: RunSettings;
    },
  ) {
    this.#context = context;
    this.#client = start.client;
    this.#model = start.model;
    this.#settings = start.settings;
    const { dataFolder } = configFor(context, {}).config.storage;
    this.#history = new History(join(dataFolder, "history"));
  }

  async run(): Promise<void> {
    const editor = new LineEditor(this.#context.terminal, {
      history: this.#history,
      prompt: () =>
        this.#lines.isContinuing
          ? { text: "... ", placeholder: "" }
          : { text: ">>> ", placeholder: PLACEHOLDER },
      events: {
        line: async (text, ending) => {
          const input = this.#lines.push(text, ending);
          const next = input === undefined ? "again" : await this.#obey(input);
          if (this.#settings.history) this.#history.save(editor.history);
          return next;
        },
        interrupt: () => this.#abort.abort(),
        clear: () => this.#lines.clear(),
        edit: (text) => this.#edit(text),
        complete: (text) => text.startsWith("/") ? completionsOf(text) : [],
      },
    });
    await editor.run();
    this.#print("");
  }

  /** Loads the model ahead of the first message, so that its answer starts at once. */
  async load(model: string): Promise<void> {
    const spinner = new Spinner(this.#context.terminal);
    try {
      const { keep_alive } = requestFields(this.#settings);
      const body = keep_alive === undefined ? {} : { keep_alive };
      await this.#client.ask("POST", "/api/generate", { model, stream: false, ...body });
    } finally {
      spinner.stop();
    }
    this.#model = model;
    this.#messages = [];
  }

  /** A mistake or a refusal is told and the conversation goes on. */
  async #obey(input: ReplInput): Promise<"again" | "leave"> {
    this.#abort = new AbortController();
    try {
      if (input.kind === "message") await this.#say(input.text);
      else return await this.#command(parseSlashCommand(input.text));
    } catch (error) {
      if (!this.#abort.signal.aborted) {
        const { err } = this.#context.terminal;
        err.write(`${err.style.red("Error:")} ${printableText(errorMessage(error))}\n`);
      }
    }
    return "again";
  }

  async #say(text: string): Promise<void> {
    const { system } = this.#settings;
    const { terminal, env: { HOME } } = this.#context;
    const { text: content, images } = await seeImages(text, {
      ...{ model: this.#model, client: this.#client, terminal },
      ...(HOME === undefined ? {} : { home: HOME }),
    });
    const seen = images === undefined ? {} : { images };
    const sent = [...this.#messages, { role: "user", content, ...seen }];
    const messages = system === undefined ? sent : [{ role: "system", content: system }, ...sent];
    const body = { model: this.#model, messages, ...requestFields(this.#settings) };
    const lines = this.#client.answer("/api/chat", body, this.#abort.signal);
    const answer = await showAnswer(this.#context, lines, this.#settings);
    // What was said before an answer was stopped stays part of the conversation.
    if (answer.content === "") return;
    const thoughts = answer.thinking === "" ? {} : { thinking: answer.thinking };
    this.#messages = [...sent, { role: "assistant", content: answer.content, ...thoughts }];
  }

  async #command(command: SlashCommand): Promise<"again" | "leave"> {
    switch (command.kind) {
      case "bye":
        return "leave";
      case "mistake":
        this.#print(command.text);
        break;
      case "help":
        this.#print(`${HELP_TEXTS[command.topic]}\n`);
        break;
      case "clear":
        this.#messages = [];
        this.#print("Forgot the conversation so far");
        break;
      case "list":
        for (const model of objectsOf(await this.#client.ask("GET", "/api/tags"), "models")) {
          this.#print(textOf(model, "name") ?? "");
        }
        break;
      case "load":
        await this.load(command.model);
        this.#print(`Going on with '${command.model}'`);
        break;
      case "save":
        await this.#save(command.model);
        break;
      case "show":
        await this.#show(command.part);
        break;
      case "set":
        this.#change(command.change);
        break;
      default:
        assertNever(command);
    }
    return "again";
  }

  async #save(model: string): Promise<void> {
    const { system, parameters } = this.#settings;
    const body = {
      model,
      from: this.#model,
      ...(system === undefined ? {} : { system }),
      ...(Object.keys(parameters).length === 0 ? {} : { parameters }),
      // A model's stored messages are texts.
      ...(this.#messages.length === 0
        ? {}
        : { messages: this.#messages.map(({ images: _, ...message }) => message) }),
    };
    for await (const _line of this.#client.stream("/api/create", body)) {
      // The last line says success, and a failure is thrown.
    }
    this.#print(`Created new model '${model}'`);
  }

  async #show(part: string): Promise<void> {
    const { system, parameters } = this.#settings;
    const answer = await this.#client.ask("POST", "/api/show", {
      model: this.#model,
      ...(system === undefined ? {} : { system }),
      options: parameters,
    });
    if (part === "info") {
      this.#print(renderModel(answer, { verbose: false }).join("\n"));
      return;
    }
    const own = linesOf(answer, part) ?? "";
    if (part !== "parameters") {
      this.#print(own === "" ? `The model has no ${part}` : own);
      return;
    }
    const here = Object.entries(parameters).map(([key, value]) => `  ${key.padEnd(30)} ${value}`);
    if (own !== "") this.#print(`Model defined parameters:\n${own.replaceAll(/^/gm, "  ")}\n`);
    if (here.length > 0) this.#print(`User defined parameters:\n${here.join("\n")}\n`);
    if (own === "" && here.length === 0) this.#print("No parameters were set");
  }

  #change(change: SettingChange): void {
    switch (change.name) {
      case "parameter": {
        const parameters = { ...this.#settings.parameters, [change.key]: change.value };
        this.#settings = { ...this.#settings, parameters };
        return this.#print(`Set parameter '${change.key}' to '${change.value}'`);
      }
      case "system":
        this.#settings = { ...this.#settings, system: change.text };
        return this.#print("Set system message.");
      case "jsonFormat":
        this.#settings = { ...this.#settings, format: change.on ? "json" : undefined };
        return this.#print(change.on ? "Set format to 'json' mode." : "Disabled format.");
      case "think":
        this.#settings = { ...this.#settings, think: change.level };
        return this.#print(`Set thinking to '${change.level}'.`);
      case "history":
      case "wordWrap":
      case "verbose":
        this.#settings = { ...this.#settings, [change.name]: change.on };
        return this.#print(`Set '${change.name.toLowerCase()}' ${change.on ? "on" : "off"}.`);
      default:
        return assertNever(change);
    }
  }

  async #edit(text: string): Promise<string> {
    try {
      return await editText(text, this.#context.env);
    } catch (error) {
      this.#print(`\n${printableText(errorMessage(error))}`);
      return text;
    }
  }

  #print(text: string): void {
    this.#context.terminal.out.write(`${text}\n`);
  }
}
