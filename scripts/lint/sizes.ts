/**
 * Lint plugin: functions stay short and flat. A function on the list of exceptions may be as long as its row says, and
 * the row must go when it no longer needs it.
 *
 * @module
 */
import { SIZE_EXCEPTIONS } from "../checks/size_exceptions.ts";

/** Lines of one function, from its first to its last. */
const FUNCTION_LINES_MAX = 70;
/** Control structures inside each other in one function. */
const NESTING_MAX = 3;

type FunctionNode =
  | Deno.lint.FunctionDeclaration
  | Deno.lint.FunctionExpression
  | Deno.lint.ArrowFunctionExpression;

const CONTROL = new Set([
  "IfStatement",
  "ForStatement",
  "ForOfStatement",
  "ForInStatement",
  "WhileStatement",
  "DoWhileStatement",
  "SwitchStatement",
  "TryStatement",
]);

const plugin: Deno.lint.Plugin = {
  name: "odist-sizes",
  rules: {
    "function-lines": {
      create(context) {
        const file = context.filename.replaceAll("\\", "/");
        if (file.endsWith("_test.ts")) return {};
        const check = (node: FunctionNode) => {
          const name = nameOf(node);
          const text = context.sourceCode.text.slice(node.range[0], node.range[1]);
          const lines = text.split("\n").length;
          const row = SIZE_EXCEPTIONS.functions.find((exception) =>
            exception.name === name && file.endsWith(`/${exception.file}`)
          );
          const allowed = row?.lines ?? FUNCTION_LINES_MAX;
          if (lines > allowed) {
            context.report({
              node,
              message: `Function \`${name}\` has ${lines} lines, at most ${allowed} are allowed`,
              hint: "Keep the branching here and move plain computation into small functions.",
            });
          } else if (row !== undefined && lines < row.lines) {
            context.report({
              node,
              message: `Function \`${name}\` has ${lines} lines, its exception says ${row.lines}`,
              hint: "Lower or delete its row in scripts/checks/size_exceptions.ts.",
            });
          }
        };
        return {
          FunctionDeclaration: check,
          FunctionExpression: check,
          ArrowFunctionExpression: check,
        };
      },
    },
    "nesting": {
      create(context) {
        if (context.filename.endsWith("_test.ts")) return {};
        const check = (node: Deno.lint.Node) => {
          if (isOneLiner(node) || nestingOf(node) !== NESTING_MAX + 1) return;
          context.report({
            node,
            message: `Control structures are nested deeper than ${NESTING_MAX}`,
            hint: "Return early, or give the inner part a name of its own.",
          });
        };
        return Object.fromEntries([...CONTROL].map((type) => [type, check]));
      },
    },
  },
};
export default plugin;

/** A node, or the one kind of parent that Deno does not count among its nodes. */
type Ancestor = Deno.lint.Node | Deno.lint.TSParameterProperty;

/** `if (a) b();` opens no block that a reader must keep in mind. */
function isOneLiner(node: Ancestor): boolean {
  return node.type === "IfStatement" && node.consequent.type !== "BlockStatement" &&
    !node.alternate;
}

/** How many control structures of the same function the node is in, itself included; `else if` stays level. */
function nestingOf(start: Deno.lint.Node): number {
  let depth = 0;
  let node: Ancestor = start;
  while ("parent" in node && node.parent !== null && !node.type.includes("Function")) {
    const parent: Ancestor = node.parent;
    const isElseIf = node.type === "IfStatement" && parent.type === "IfStatement" &&
      parent.alternate === node;
    if (CONTROL.has(node.type) && !isElseIf && !isOneLiner(node)) depth++;
    node = parent;
  }
  return depth;
}

/** The function's own name, or that of the variable, property or method it is given to. */
function nameOf(node: FunctionNode): string {
  if ("id" in node && node.id) return node.id.name;
  const parent = node.parent;
  if (parent.type === "VariableDeclarator" && parent.id.type === "Identifier") {
    return parent.id.name;
  }
  const isKeyed = parent.type === "MethodDefinition" || parent.type === "Property" ||
    parent.type === "PropertyDefinition";
  return isKeyed && parent.key.type === "Identifier" ? parent.key.name : "(anonymous)";
}
