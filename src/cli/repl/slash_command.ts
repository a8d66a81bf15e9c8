import { findNearest } from "../../base/mod.ts";
import { parseParameter } from "./parameters.ts";

/** Parts that `/show` can print. */
const SHOW_PARTS = ["info", "license", "modelfile", "parameters", "system", "template"] as const;

/** What a line that starts with a slash asks for. */
export type SlashCommand =
  | { readonly kind: "set"; readonly change: SettingChange }
  | { readonly kind: "show"; readonly part: (typeof SHOW_PARTS)[number] }
  | { readonly kind: "load" | "save"; readonly model: string }
  | { readonly kind: "clear" | "list" | "bye" }
  | { readonly kind: "help"; readonly topic: "commands" | "set" | "show" | "shortcuts" }
  /** Nothing to do but to say so. */
  | { readonly kind: "mistake"; readonly text: string };

/** What `/set` changes. */
export type SettingChange =
  | { readonly name: "parameter"; readonly key: string; readonly value: unknown }
  | { readonly name: "system"; readonly text: string }
  | { readonly name: "history" | "wordWrap" | "verbose" | "jsonFormat"; readonly on: boolean }
  | { readonly name: "think"; readonly level: boolean | string };

const SWITCHES: Readonly<Record<string, SettingChange>> = {
  history: { name: "history", on: true },
  nohistory: { name: "history", on: false },
  wordwrap: { name: "wordWrap", on: true },
  nowordwrap: { name: "wordWrap", on: false },
  verbose: { name: "verbose", on: true },
  quiet: { name: "verbose", on: false },
  noformat: { name: "jsonFormat", on: false },
  nothink: { name: "think", level: false },
};
const SET_WORDS = [...Object.keys(SWITCHES), "parameter", "system", "format", "think"];
const COMMAND_WORDS = ["set", "show", "load", "save", "clear", "list", "bye", "exit", "help", "?"];
const THINK_LEVELS = ["low", "medium", "high", "max"];

/** Reads a command line; never fails, a mistake is a kind of its own. */
export function parseSlashCommand(line: string): SlashCommand {
  const [word = "", ...words] = line.slice(1).trim().split(/\s+/);
  switch (word.toLowerCase()) {
    case "set":
      return parseSet(line, words);
    case "show": {
      const part = SHOW_PARTS.find((one) => one === words[0]?.toLowerCase());
      return part === undefined ? { kind: "help", topic: "show" } : { kind: "show", part };
    }
    case "load":
    case "save": {
      const kind = word.toLowerCase() === "load" ? "load" : "save";
      if (words.length === 1) return { kind, model: words[0] ?? "" };
      return { kind: "mistake", text: `Usage:\n  /${kind} <modelname>` };
    }
    case "clear":
    case "list":
      return { kind: word.toLowerCase() === "clear" ? "clear" : "list" };
    case "bye":
    case "exit":
      return { kind: "bye" };
    case "help":
    case "?":
      return { kind: "help", topic: helpTopic(words[0]) };
    default:
      return mistake(`Unknown command '/${word}'.`, word, COMMAND_WORDS);
  }
}

/** Words that complete the last one of a command line, for the Tab key. */
export function completionsOf(line: string): readonly string[] {
  const words = line.slice(1).split(/\s+/);
  const last = words.at(-1) ?? "";
  const lists: Readonly<Record<string, readonly string[]>> = {
    set: SET_WORDS,
    show: SHOW_PARTS,
    help: ["set", "show", "shortcuts"],
  };
  const known = words.length === 1 ? COMMAND_WORDS : lists[words[0]?.toLowerCase() ?? ""] ?? [];
  if (words.length > 2) return [];
  return known.filter((word) => word.startsWith(last)).map((word) =>
    words.length === 1 ? `/${word}` : `/${words[0]} ${word}`
  );
}

function parseSet(line: string, words: readonly string[]): SlashCommand {
  const [given = "", ...values] = words;
  const word = given.toLowerCase();
  const change = SWITCHES[word];
  if (change !== undefined) return { kind: "set", change };
  switch (word) {
    case "":
      return { kind: "help", topic: "set" };
    case "system": {
      const text = line.replace(/^\/set\s+system\s*/i, "");
      if (text === "") return { kind: "mistake", text: "Usage:\n  /set system <message>" };
      return { kind: "set", change: { name: "system", text } };
    }
    case "parameter": {
      const [key, ...texts] = values;
      if (key === undefined || texts.length === 0) {
        return { kind: "mistake", text: "Usage:\n  /set parameter <name> <value>" };
      }
      const parsed = parseParameter(key, texts);
      if ("problem" in parsed) return { kind: "mistake", text: parsed.problem };
      return { kind: "set", change: { name: "parameter", key, value: parsed.value } };
    }
    case "format":
      if (values[0]?.toLowerCase() === "json") {
        return { kind: "set", change: { name: "jsonFormat", on: true } };
      }
      return { kind: "mistake", text: "Usage:\n  /set format json" };
    case "think":
      return parseThink(values[0]?.toLowerCase());
    default:
      return mistake(`Unknown command '/set ${word}'.`, word, SET_WORDS);
  }
}

function parseThink(level: string | undefined): SlashCommand {
  if (level !== undefined && !THINK_LEVELS.includes(level)) {
    return { kind: "mistake", text: `Usage:\n  /set think [${THINK_LEVELS.join("|")}]` };
  }
  return { kind: "set", change: { name: "think", level: level ?? true } };
}

function helpTopic(word: string | undefined): "commands" | "set" | "show" | "shortcuts" {
  const topic = word?.toLowerCase().replace(/^\//, "");
  return topic === "set" || topic === "show" || topic === "shortcuts" ? topic : "commands";
}

function mistake(text: string, word: string, known: readonly string[]): SlashCommand {
  const nearest = findNearest(word.toLowerCase(), known);
  const hint = nearest === undefined ? "" : ` Did you mean '${nearest}'?`;
  return { kind: "mistake", text: `${text}${hint} Type /? for help` };
}
