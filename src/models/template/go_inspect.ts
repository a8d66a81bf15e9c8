import type { GoNode, GoOperand, GoPipeline, GoTemplate } from "../go_template/mod.ts";

type Branch = Extract<GoNode, { kind: "if" | "with" | "range" }>;

/** Every field name the template reads, anywhere. */
export function fieldsUsed(template: GoTemplate): ReadonlySet<string> {
  const names = new Set<string>();
  const visit = (nodes: readonly GoNode[]): void => {
    for (const node of nodes) {
      if ("pipeline" in node && node.pipeline !== undefined) {
        for (const name of fieldsOf(node.pipeline)) names.add(name);
      }
      for (const list of listsOf(node)) visit(list);
    }
  };
  visit(template.root);
  for (const nodes of template.defined.values()) visit(nodes);
  return names;
}

/** Names of templates that are called and not defined. */
export function undefinedTemplates({ root, defined }: GoTemplate): readonly string[] {
  const missing: string[] = [];
  const visit = (nodes: readonly GoNode[]): void => {
    for (const node of nodes) {
      if (node.kind === "template" && !defined.has(node.name)) missing.push(node.name);
      for (const list of listsOf(node)) visit(list);
    }
  };
  visit(root);
  for (const nodes of defined.values()) visit(nodes);
  return missing;
}

/**
 * What tool calls begin with: the first literal text in the branch over `.ToolCalls`, up to `{`. "" when there is none,
 * and then an answer that begins with JSON is a call.
 */
export function toolCallTagOf(template: GoTemplate): string {
  const branch = findBranch(template.root, "ToolCalls");
  if (branch === undefined) return "";
  const text = firstText(branch.body) ?? "";
  return tidyToolTag(text);
}

/** A tag from the literal text before a call: without what already belongs to the JSON. */
export function tidyToolTag(text: string): string {
  const tag = (text.replaceAll("\r\n", "\n").split("{")[0] ?? "").trim();
  // `[TOOL_CALLS] [` opens a list; models also write the tag without it.
  return tag.replace(/\s*\[$/, "");
}

/** The literal texts around `.Thinking` inside the loop over `.Messages`. */
export function thinkingTagsOf(
  template: GoTemplate,
): { readonly open: string; readonly close: string } | undefined {
  let tags: { open: string; close: string } | undefined;
  const visit = (nodes: readonly GoNode[], inMessages: boolean): void => {
    for (const node of nodes) {
      if (inMessages && node.kind === "action" && fieldsOf(node.pipeline).includes("Thinking")) {
        const [first, last] = [nodes[0], nodes.at(-1)];
        const open = first?.kind === "text" ? first.text.trim() : "";
        const close = last?.kind === "text" ? last.text.trim() : "";
        if (open !== "" && close !== "") tags ??= { open, close };
      }
      const loops = node.kind === "range" && fieldsOf(node.pipeline).includes("Messages");
      for (const list of listsOf(node)) visit(list, inMessages || loops);
    }
  };
  visit(template.root, false);
  return tags;
}

/** The part of a template up to and with its first `{{ .Response }}`: what stands behind it follows an answer. */
export function cutAfterResponse(nodes: readonly GoNode[]): readonly GoNode[] {
  return cut(nodes).nodes;
}

function cut(nodes: readonly GoNode[]): { nodes: readonly GoNode[]; found: boolean } {
  const kept: GoNode[] = [];
  for (const node of nodes) {
    if (node.kind === "action" && fieldsOf(node.pipeline).includes("Response")) {
      return { nodes: [...kept, node], found: true };
    }
    if (!isBranch(node)) {
      kept.push(node);
      continue;
    }
    const body = cut(node.body);
    const { otherwise, ...rest } = node;
    if (body.found) return { nodes: [...kept, { ...rest, body: body.nodes }], found: true };
    const other = cut(otherwise ?? []);
    kept.push(otherwise === undefined ? node : { ...node, otherwise: other.nodes });
    if (other.found) return { nodes: kept, found: true };
  }
  return { nodes: kept, found: false };
}

function findBranch(nodes: readonly GoNode[], field: string): Branch | undefined {
  for (const node of nodes) {
    if (!isBranch(node)) continue;
    if (fieldsOf(node.pipeline).includes(field)) return node;
    const found = findBranch(node.body, field) ?? findBranch(node.otherwise ?? [], field);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** The first text that isn't blank; undefined when something else is printed before it. */
function firstText(nodes: readonly GoNode[]): string | undefined {
  for (const node of nodes) {
    if (node.kind === "text" && node.text.trim() !== "") return node.text;
    if (isBranch(node)) return firstText(node.body) ?? firstText(node.otherwise ?? []);
    if (node.kind === "action" && node.pipeline.binding === "none") return undefined;
  }
  return undefined;
}

function isBranch(node: GoNode): node is Branch {
  return node.kind === "if" || node.kind === "with" || node.kind === "range";
}

function listsOf(node: GoNode): (readonly GoNode[])[] {
  return isBranch(node) ? [node.body, node.otherwise ?? []] : [];
}

function fieldsOf(pipeline: GoPipeline): string[] {
  return pipeline.commands.flatMap((command) => command.words.flatMap(operandFields));
}

function operandFields(operand: GoOperand): string[] {
  switch (operand.kind) {
    case "field":
      return [...operand.names];
    case "variable":
      return operand.names.slice(1);
    case "chain":
      return [...operandFields(operand.of), ...operand.names];
    case "pipeline":
      return fieldsOf(operand.pipeline);
    default:
      return [];
  }
}
