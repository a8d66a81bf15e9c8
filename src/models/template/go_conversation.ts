import type { ChatMessage, Tool, ToolCall } from "../../protocol/mod.ts";
import {
  type GoField,
  goFromJson,
  GoList,
  GoMap,
  GoStruct,
  type GoValue,
} from "../go_template/mod.ts";

const HIDDEN = { json: "" };
const asJson = { printsJson: true };

/** A message with the fields of contract section 3, absent ones as zero values. */
export function goMessage(message: ChatMessage): GoValue {
  const hidden = (value: GoValue): GoField => ({ ...HIDDEN, value });
  return new GoStruct({
    Role: { json: "role", value: message.role },
    Content: { json: "content", value: message.content },
    Thinking: { json: "thinking", omitsEmpty: true, value: message.thinking ?? "" },
    Images: hidden((message.images ?? []).map((image) => [...image])),
    ToolCalls: hidden((message.toolCalls ?? []).map(goToolCall)),
    ToolName: { json: "tool_name", omitsEmpty: true, value: message.toolName ?? "" },
    ToolCallID: { json: "tool_call_id", omitsEmpty: true, value: message.toolCallId ?? "" },
  });
}

function goToolCall(call: ToolCall): GoValue {
  const written = goFromJson(call.arguments);
  const entries = written instanceof GoMap ? written.entries : new Map<string, GoValue>();
  return new GoStruct({
    ID: { json: "ID", value: call.id ?? "" },
    Function: {
      json: "Function",
      value: new GoStruct({
        Index: { json: "Index", value: call.index ?? 0 },
        Name: { json: "Name", value: call.name },
        Arguments: { json: "Arguments", value: new GoMap(entries, asJson) },
      }),
    },
  });
}

/** A tool reduced to the shape of contract 1.5; it prints itself as JSON, and so does each part. */
export function goTool(tool: Tool): GoValue {
  const { parameters } = tool.function;
  const parts = new GoStruct({
    Type: { json: "type", value: text(parameters["type"]) },
    Defs: { json: "$defs", omitsEmpty: true, value: goFromJson(parameters["$defs"]) },
    Items: { json: "items", omitsEmpty: true, value: goFromJson(parameters["items"]) },
    Required: { json: "required", omitsEmpty: true, value: goFromJson(parameters["required"]) },
    Properties: { json: "properties", value: properties(parameters["properties"]) },
  }, asJson);
  return new GoStruct({
    Type: { json: "type", value: tool.type },
    Function: {
      json: "function",
      value: new GoStruct({
        Name: { json: "name", value: tool.function.name },
        Description: { json: "description", value: tool.function.description ?? "" },
        Parameters: { json: "parameters", value: parts },
      }, asJson),
    },
  }, asJson);
}

function properties(value: unknown): GoMap {
  const entries = isObject(value) ? Object.entries(value) : [];
  return new GoMap(new Map(entries.map(([name, item]) => [name, property(item)])), asJson);
}

function property(value: unknown): GoValue {
  const part = isObject(value) ? value : {};
  const alternatives = Array.isArray(part["anyOf"]) ? part["anyOf"].map(property) : [];
  const inner = part["properties"];
  return new GoStruct({
    AnyOf: { json: "anyOf", omitsEmpty: true, value: alternatives },
    Type: {
      json: "type",
      omitsEmpty: true,
      value: new GoList(typeNames(part["type"]), "type_names"),
    },
    Items: { json: "items", omitsEmpty: true, value: goFromJson(part["items"]) },
    Description: { json: "description", omitsEmpty: true, value: text(part["description"]) },
    Enum: { json: "enum", omitsEmpty: true, value: goFromJson(part["enum"]) },
    Properties: {
      json: "properties",
      omitsEmpty: true,
      value: inner === undefined ? undefined : properties(inner),
    },
    Required: { json: "required", omitsEmpty: true, value: goFromJson(part["required"]) },
  }, asJson);
}

function typeNames(value: unknown): string[] {
  const names: unknown[] = Array.isArray(value) ? value : [value];
  return names.filter((name) => typeof name === "string");
}

function text(value: unknown): string {
  return typeof value === "string" ? value : "";
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
