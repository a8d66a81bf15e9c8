/**
 * Lint plugin: what the command line shows of texts from outside went through `printable()`, `printableText()` or
 * `printableJson()`: names, errors and progress could otherwise move the cursor or rewrite what stands above.
 *
 * @module
 */
const FOLDER = /\/src\/cli\//;
/** Reads answers, and hands texts out safe to print. */
const CLIENT_FOLDER = /\/src\/cli\/client\//;
const SAFE = new Set(["printable", "printableText"]);

function isCallOf(node: Deno.lint.Node, names: ReadonlySet<string>): boolean {
  return node.type === "CallExpression" && node.callee.type === "Identifier" &&
    names.has(node.callee.name);
}

function reasonAgainst(node: Deno.lint.CallExpression): string | undefined {
  const { callee } = node;
  if (callee.type === "Identifier") {
    if (callee.name === "rawTextOf") {
      return "`rawTextOf()` is not safe to print: take `textOf()` or `linesOf()`";
    }
    if (callee.name === "errorMessage" && !isCallOf(node.parent, SAFE)) {
      return "an error may quote what came from outside: `printableText(errorMessage(...))`";
    }
    return undefined;
  }
  if (callee.type !== "MemberExpression" || callee.property.type !== "Identifier") return undefined;
  const { name } = callee.property;
  const isJson = callee.object.type === "Identifier" && callee.object.name === "JSON";
  if (isJson && name === "stringify") {
    return "`JSON.stringify()` leaves control characters: take `printableJson()`";
  }
  if ((name === "json" || name === "text") && node.arguments.length === 0) {
    return `\`.${name}()\` reads an answer: let src/cli/client do it`;
  }
  return undefined;
}

const plugin: Deno.lint.Plugin = {
  name: "odist-cli",
  rules: {
    "printable": {
      create(context) {
        const file = context.filename.replaceAll("\\", "/");
        if (!FOLDER.test(file) || CLIENT_FOLDER.test(file) || file.endsWith("_test.ts")) return {};
        return {
          CallExpression(node) {
            const message = reasonAgainst(node);
            if (message !== undefined) context.report({ node, message });
          },
        };
      },
    },
  },
};
export default plugin;
