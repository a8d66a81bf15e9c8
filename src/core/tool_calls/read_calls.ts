import type { ToolCall } from "../../protocol/mod.ts";
import type { CallableTool, CallSyntax } from "./call_format.ts";
import { JsonObjectScan } from "./json_object_scan.ts";
import { findToolCall, type JsonObject, parseObject, type WrittenCall } from "./read_tool_call.ts";
import { typedArgument } from "./typed_argument.ts";
import type { ToolNames } from "./tool_names.ts";
import { Unreadable, ValueReader } from "./value_reader.ts";

/** Calls of one block at most. */
const CALLS_MAX = 128;

/** All calls in a text that is nothing but calls; undefined when it is anything else. */
export function readCalls(
  text: string,
  syntaxes: readonly CallSyntax[],
  tools: ToolNames,
): readonly WrittenCall[] | undefined {
  for (const syntax of syntaxes) {
    const calls = READERS[syntax](text, tools);
    if (calls !== undefined && calls.length > 0 && calls.length <= CALLS_MAX) return calls;
  }
  return undefined;
}

type Reader = (text: string, tools: ToolNames) => readonly WrittenCall[] | undefined;

const READERS: Readonly<Record<CallSyntax, Reader>> = {
  json: readJson,
  xml: readXml,
  pairs: readPairs,
  python: (text, tools) => attempt(() => readPython(text, tools)),
  braces: (text, tools) => attempt(() => readBraces(text, tools)),
};

function attempt<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof Unreadable) return undefined;
    throw error;
  }
}

function readJson(text: string, tools: ToolNames): readonly WrittenCall[] | undefined {
  const calls: WrittenCall[] = [];
  let from = 0;
  for (;;) {
    const start = text.indexOf("{", from);
    if (start === -1) break;
    const end = new JsonObjectScan(start).findEnd(text);
    if (end === undefined) return undefined;
    const before = text.slice(from, start);
    const call = findToolCall(text.slice(start, end), { before, tools });
    if (call === undefined) return undefined;
    calls.push(call);
    from = end;
  }
  // What is left may only close something.
  return /^[\s\],;`]*$/.test(text.slice(from)) ? calls : undefined;
}

/** Names and the white space next to them have bounds, as else a text of blanks would take time by its square. */
const FUNCTION =
  /<(?:function=|(?:function|invoke)\s{1,16}name=)\s{0,16}"?([^">]{1,256}?)"?\s{0,16}>([\s\S]*?)(?:<\/(?:function|invoke)>|$)/g;
const PARAMETER =
  /<(?:parameter=|(?:parameter|param|arg)\s{1,16}name=)\s{0,16}"?([^">]{1,256}?)"?(\s[^>]{0,256})?>([\s\S]*?)(?:<\/(?:parameter|param|arg)>|(?=<parameter=|<param |$))/g;

/** What stands in the tags of some families, and says nothing else. */
function readXml(marked: string, tools: ToolNames): readonly WrittenCall[] | undefined {
  const text = marked.replaceAll(/(<\/?)(?:｜DSML｜|minimax:|atem:)/g, "$1");
  const calls: WrittenCall[] = [];
  for (const [, name = "", body = ""] of text.matchAll(FUNCTION)) {
    const tool = tools.find(name.trim());
    if (tool === undefined) return undefined;
    const written = [...body.matchAll(PARAMETER)];
    const json = written.length === 0 ? parseObject(body.trim()) : undefined;
    if (written.length === 0 && json === undefined && body.trim() !== "") return undefined;
    const entries = written.map(([, key = "", , value = ""]) => argument(tool, key, value));
    calls.push({ name: tool.name, arguments: json ?? Object.fromEntries(entries) });
  }
  const rest = text.replaceAll(FUNCTION, "").replaceAll(/<\/?[\w:｜-]+>/g, "");
  return rest.trim() === "" ? calls : undefined;
}

/** From left to right: what is missing once ends it. A value that isn't closed ends where the next key begins. */
function readPairs(text: string, tools: ToolNames): readonly WrittenCall[] | undefined {
  const [first = ""] = text.split("<arg_key>", 1);
  const tool = tools.find(first.trim());
  if (tool === undefined) return undefined;
  const reader = new ValueReader(text, first.length);
  const found: JsonObject = {};
  return attempt(() => {
    while (reader.take("<arg_key>")) {
      const key = reader.until(["</arg_key>"]);
      reader.expect("<arg_value>");
      const value = reader.until(["</arg_value>", "<arg_key>"]);
      const [name, read] = argument(tool, key, value);
      Object.assign(found, { [name]: read });
    }
    reader.skipSpace();
    if (reader.at < text.length) throw new Unreadable("more");
    return [{ name: tool.name, arguments: found }];
  });
}

/** Line breaks next to the tags belong to the tags. */
function argument(tool: CallableTool, key: string, value: string): readonly [string, unknown] {
  const name = key.trim();
  return [name, typedArgument(tool, name, value.replace(/^\r?\n/, "").replace(/\r?\n$/, ""))];
}

function readPython(fenced: string, tools: ToolNames): readonly WrittenCall[] {
  const text = fenced.replace(/^\s*```\w*/, "").replace(/```\s*$/, "");
  const reader = new ValueReader(text);
  const inList = reader.take("[");
  const calls: WrittenCall[] = [];
  while (reader.skipSpace(), reader.at < text.length) {
    if (inList && reader.take("]")) break;
    const isPrinted = reader.take("print(");
    calls.push(pythonCall(reader, tools));
    if (isPrinted) reader.expect(")");
    while (reader.take(",") || reader.take(";"));
  }
  reader.skipSpace();
  if (reader.at < text.length) throw new Unreadable("more");
  return calls;
}

function pythonCall(reader: ValueReader, tools: ToolNames): WrittenCall {
  const tool = tools.find(reader.name());
  if (tool === undefined) throw new Unreadable("tool");
  reader.expect("(");
  const found: JsonObject = {};
  const names = Object.keys(propertiesOf(tool));
  for (let index = 0; !reader.take(")"); index++) {
    const key = keywordOf(reader) ?? names[index];
    if (key === undefined) throw new Unreadable("argument");
    Object.assign(found, { [key]: reader.value() });
    if (reader.take(",")) continue;
    reader.expect(")");
    break;
  }
  return { name: tool.name, arguments: found };
}

/** `key=`, and nothing for an argument by its place. */
function keywordOf(reader: ValueReader): string | undefined {
  const from = reader.at;
  const key = attempt(() => reader.name());
  if (key !== undefined && reader.take("=")) return key;
  reader.at = from;
  return undefined;
}

function readBraces(text: string, tools: ToolNames): readonly WrittenCall[] {
  const reader = new ValueReader(text);
  const calls: WrittenCall[] = [];
  while (reader.skipSpace(), reader.at < text.length) {
    reader.expect("call:");
    const tool = tools.find(reader.name());
    if (tool === undefined) throw new Unreadable("tool");
    const found = reader.value();
    if (!isObject(found)) throw new Unreadable("arguments");
    calls.push({ name: tool.name, arguments: found });
    while (reader.take(",") || reader.take(";"));
  }
  return calls;
}

function propertiesOf(tool: CallableTool): Readonly<Record<string, unknown>> {
  const { properties } = tool.parameters;
  return isObject(properties) ? properties : {};
}

function isObject(value: unknown): value is ToolCall["arguments"] & JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
