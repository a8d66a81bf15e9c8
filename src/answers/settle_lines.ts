import type { LineRule } from "../models/mod.ts";
import type { LineChanges } from "../ports/mod.ts";
import type { ChatMessage } from "../protocol/mod.ts";

/** Of the system text, so many characters are looked at: of any length, it would hold a node up. */
const LOOKED_AT_CHARS_MAX = 512 * 1024;

/** A conversation with its volatile lines where its rules want them. */
interface SettledLines {
  readonly messages: readonly ChatMessage[];
  /** Absent = there was no rule. */
  readonly lineChanges?: LineChanges;
}

/**
 * Has lines that change with each request stand where they spoil less of what was computed before. Only the system text is
 * looked at: all system messages before the first other one. The first rule that fits a line counts. A message of which
 * nothing is left is left out; what goes to the last message goes to the system text's end where nobody has asked or told anything.
 */
export function settledBy(
  rules: readonly LineRule[],
  messages: readonly ChatMessage[],
): SettledLines {
  if (rules.length === 0) return { messages };
  const firstOther = messages.findIndex(({ role }) => role !== "system" && role !== "developer");
  const systemCount = firstOther < 0 ? messages.length : firstOther;
  const taken: Taken = { drop: [], end: [], last: [] };
  let charsLeft = LOOKED_AT_CHARS_MAX;
  const system = messages.slice(0, systemCount).map((message) => {
    const chars = charsLeft;
    charsLeft = Math.max(0, charsLeft - message.content.length);
    return withoutLines(message, { rules, taken, chars });
  });
  const rest = messages.slice(systemCount);
  const target = rest.findLastIndex(({ role }) => role === "user" || role === "tool");
  const atEnd = [...taken.end, ...target < 0 ? taken.last : []];
  const settled = system.map((message, at) =>
    at === systemCount - 1 ? withLines(message, atEnd) : message
  );
  return {
    messages: [
      ...settled.filter((message, at) => message === messages[at] || message.content.trim() !== ""),
      ...rest.map((message, at) => at === target ? withLines(message, taken.last) : message),
    ],
    lineChanges: { dropped: taken.drop.length, moved: taken.end.length + taken.last.length },
  };
}

/** Lines by what becomes of them. */
type Taken = Readonly<Record<LineRule["action"], string[]>>;

/** The message itself where no rule fits. */
function withoutLines(
  message: ChatMessage,
  { rules, taken, chars }: {
    readonly rules: readonly LineRule[];
    readonly taken: Taken;
    /** Lines behind these stay. */
    readonly chars: number;
  },
): ChatMessage {
  const { content } = message;
  const end = content.length <= chars ? content.length : content.lastIndexOf("\n", chars);
  const lines = content.slice(0, Math.max(0, end)).split("\n");
  const left = lines.filter((line) => {
    const text = line.trimStart();
    const rule = rules.find(({ beginning }) => text.startsWith(beginning));
    if (rule !== undefined) taken[rule.action].push(line.trim());
    return rule === undefined;
  });
  if (left.length === lines.length) return message;
  return { ...message, content: left.join("\n") + content.slice(Math.max(0, end)) };
}

function withLines(message: ChatMessage, lines: readonly string[]): ChatMessage {
  if (lines.length === 0) return message;
  const { content } = message;
  return { ...message, content: `${content}${content === "" ? "" : "\n\n"}${lines.join("\n")}` };
}
