import assert from "node:assert/strict";
import { renderCliPage } from "./generate_cli.ts";

Deno.test("docs/CLI.md holds the help of every command as it is", async () => {
  const page = await Deno.readTextFile(new URL("../docs/CLI.md", import.meta.url));
  assert.equal(page.replaceAll("\r\n", "\n"), await renderCliPage());
});
