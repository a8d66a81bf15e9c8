import assert from "node:assert/strict";
import { renderConfigPage } from "./generate_config.ts";

Deno.test("docs/CONFIG.md is what the schema says", async () => {
  const page = await Deno.readTextFile(new URL("../docs/CONFIG.md", import.meta.url));
  assert.equal(page.replaceAll("\r\n", "\n"), renderConfigPage());
});
