/**
 * Lint plugin: what `using` declares is not only what the next statement begins with. The bundler's minifier puts such a value
 * there, and then nobody disposes of it: in the built program, and nowhere else, files and ports stay open.
 *
 * @module
 */
const plugin: Deno.lint.Plugin = {
  name: "odist-bundle",
  rules: {
    "used-once": {
      create(context) {
        const file = context.filename.replaceAll("\\", "/");
        if (!/(?:^|\/)src\//.test(file) || file.endsWith("_test.ts")) return {};
        return {
          VariableDeclaration(node) {
            if (node.kind !== "using" && node.kind !== "await using") return;
            const [declared] = node.declarations;
            if (declared?.id.type !== "Identifier") return;
            const { name } = declared.id;
            const block = node.parent;
            const rest = context.sourceCode.text.slice(node.range[1], block.range[1]);
            const uses = rest.match(new RegExp(`(?<![\\w$.])${name}(?![\\w$])`, "g")) ?? [];
            // Behind anything else that is computed it is left where it is.
            const isFirst = new RegExp(`^\\s*(?:return\\s+)?(?:await\\s+)?${name}\\.`).test(rest);
            if (uses.length !== 1 || !isFirst) return;
            context.report({
              node,
              message: `\`${name}\` is used once, so that the bundler drops its disposal`,
              hint: "Close it in a `finally`, or at once.",
            });
          },
        };
      },
    },
  },
};
export default plugin;
