import { RequestError } from "../../base/mod.ts";
import type { ChatMessage, ThinkLevel } from "../../protocol/mod.ts";
import { collate, conversationOf } from "./conversation.ts";
import {
  executeGoTemplate,
  GO_FUNCTION_NAMES,
  type GoDates,
  GoList,
  GoMap,
  type GoNode,
  type GoTemplate,
  type GoValue,
  parseGoTemplate,
} from "../go_template/mod.ts";
import { goMessage, goTool } from "./go_conversation.ts";
import {
  cutAfterResponse,
  fieldsUsed,
  thinkingTagsOf,
  toolCallTagOf,
  undefinedTemplates,
} from "./go_inspect.ts";
import type { PromptInput, PromptRenderer, RenderedPrompt } from "./prompt_renderer.ts";

/** Compiles a Go template. @throws RequestError `invalid_template` */
export function compileGoTemplate(source: string): PromptRenderer {
  const template = parseGoTemplate(source, GO_FUNCTION_NAMES);
  const [missing] = undefinedTemplates(template);
  if (missing !== undefined) {
    // It would fail at its first use, in a branch that perhaps few conversations take.
    const text = `template: template ${JSON.stringify(missing)} not defined`;
    throw new RequestError("invalid_template", text);
  }
  const used = new Set([...fieldsUsed(template)].map((name) => name.toLowerCase()));
  const thinkingTags = thinkingTagsOf(template);
  const rounds = used.has("messages") ? undefined : withResponse(template, used);
  const render = (input: PromptInput): RenderedPrompt => {
    const { text, imageCount } = renderGo({ template, rounds }, input);
    const startsInsideThinking = thinkingTags !== undefined &&
      text.trimEnd().endsWith(thinkingTags.open);
    return { text: text + (input.response ?? ""), startsInsideThinking, imageCount };
  };
  return {
    kind: "go",
    capabilities: {
      tools: used.has("tools"),
      thinking: thinkingTags !== undefined,
      insert: used.has("suffix"),
    },
    toolCallTag: toolCallTagOf(template),
    thinkingTags,
    render,
  };
}

/** Templates without `.Messages` are executed once per round, on nodes that are sure to have a `.Response`. */
function withResponse(template: GoTemplate, used: ReadonlySet<string>): readonly GoNode[] {
  if (used.has("response")) return template.root;
  const appended = parseGoTemplate("{{ .Response }}", GO_FUNCTION_NAMES);
  return [...template.root, ...appended.root];
}

function renderGo(
  compiled: { template: GoTemplate; rounds: readonly GoNode[] | undefined },
  input: PromptInput,
): { text: string; imageCount: number } {
  const { template, rounds } = compiled;
  const dates = datesOf(input.date);
  const execute = (root: Readonly<Record<string, GoValue>>, nodes: readonly GoNode[]): string =>
    executeGoTemplate(template, { root: goRecord({ ...root, ...thinkOf(input) }), dates, nodes });
  if (input.suffix !== undefined && input.suffix !== "" && (input.prompt ?? "") !== "") {
    const gap = { Prompt: input.prompt, Suffix: input.suffix, Response: "" };
    return { text: execute(gap, rounds ?? template.root), imageCount: 0 };
  }
  const conversation = conversationOf(input);
  const { system, messages } = collate(conversation.messages);
  const { imageCount } = conversation;
  if (rounds !== undefined) {
    return { text: renderRounds(messages, { rounds, execute }), imageCount };
  }
  const root = {
    System: system,
    Messages: messages.map(goMessage),
    Tools: new GoList((input.tools ?? []).map(goTool), "json"),
    Response: "",
  };
  return { text: execute(root, template.root), imageCount };
}

/** One execution per system/prompt/response round; the last one ends where the answer is to begin. */
function renderRounds(
  messages: readonly ChatMessage[],
  run: {
    rounds: readonly GoNode[];
    execute: (root: Readonly<Record<string, GoValue>>, nodes: readonly GoNode[]) => string;
  },
): string {
  let text = "";
  let round = { System: "", Prompt: "", Response: "" };
  const close = () => {
    text += run.execute(round, run.rounds);
    round = { System: "", Prompt: "", Response: "" };
  };
  for (const message of messages) {
    if (message.role === "system") {
      if (round.Prompt !== "" || round.Response !== "") close();
      round.System = message.content;
    } else if (message.role === "user") {
      if (round.Response !== "") close();
      round.Prompt = message.content;
    } else if (message.role === "assistant") {
      round.Response = message.content;
    }
  }
  return text + run.execute(round, cutAfterResponse(run.rounds));
}

/** `true` means medium to templates that know levels (contract 1.5). */
function thinkOf(input: PromptInput): Readonly<Record<string, GoValue>> {
  const level: Readonly<Record<string, string>> = { true: "medium", false: "" };
  const think: ThinkLevel = input.think ?? false;
  return {
    Think: think !== false,
    ThinkLevel: input.think === undefined ? "" : level[String(think)] ?? String(think),
    IsThinkSet: input.think !== undefined,
  };
}

function goRecord(fields: Readonly<Record<string, GoValue>>): GoMap {
  return new GoMap(new Map(Object.entries(fields)));
}

function datesOf(date: Date): GoDates {
  const day = (of: Date) =>
    [
      String(of.getFullYear()).padStart(4, "0"),
      String(of.getMonth() + 1).padStart(2, "0"),
      String(of.getDate()).padStart(2, "0"),
    ].join("-");
  const before = new Date(date);
  before.setDate(before.getDate() - 1);
  return { today: day(date), yesterday: day(before) };
}
