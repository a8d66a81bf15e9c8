/**
 * Lint plugin: code under `src/core`, `src/base` and `src/protocol` knows no clock, randomness, timer, console or I/O.
 *
 * @module
 */
const PURE_FOLDERS = /\/src\/(core|base|protocol)\//;
const BANNED_GLOBALS = new Set([
  "Deno",
  "Date",
  "crypto",
  "performance",
  "console",
  "fetch",
  "setTimeout",
  "setInterval",
  "clearTimeout",
  "clearInterval",
  "queueMicrotask",
  "setImmediate",
  "Worker",
  "WebSocket",
  "process",
  "globalThis",
]);

const plugin: Deno.lint.Plugin = {
  name: "odist",
  rules: {
    "pure-core": {
      create(context) {
        const file = context.filename.replaceAll("\\", "/");
        if (!PURE_FOLDERS.test(file) || file.endsWith("_test.ts")) return {};
        const report = (node: Deno.lint.Node, what: string) =>
          context.report({
            node,
            message: `Pure code must not use ${what}`,
            hint: "Make it an event from the driver or an effect for it (style rule 3).",
          });
        return {
          Identifier(node) {
            if (!BANNED_GLOBALS.has(node.name)) return;
            const parent = node.parent;
            // A property or key of that name is not the global.
            if (
              parent.type === "MemberExpression" && parent.property === node && !parent.computed
            ) return;
            if (parent.type === "Property" && parent.key === node) return;
            report(node, `\`${node.name}\``);
          },
          MemberExpression(node) {
            if (
              node.object.type === "Identifier" && node.object.name === "Math" &&
              node.property.type === "Identifier" && node.property.name === "random"
            ) report(node, "`Math.random`");
            if (node.property.type === "Identifier" && node.property.name === "localeCompare") {
              report(node, "`localeCompare`, whose order depends on the locale");
            }
          },
          AwaitExpression(node) {
            report(node, "`await`");
          },
        };
      },
    },
  },
};
export default plugin;
