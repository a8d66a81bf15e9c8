import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { readGraph } from "../checks/module_graph.ts";
import { buildPage, PAGE_BYTES_MAX, PAGE_SCRIPTS, READ_FOLDERS } from "./page.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

Deno.test("the page is made anew when anything changes that it is made of", async () => {
  const graph = await readGraph(ROOT, Object.values(PAGE_SCRIPTS));
  const files = new Set(Object.values(PAGE_SCRIPTS));
  // What is imported for its types alone leaves nothing behind.
  for (const file of files) {
    const code = (graph.get(file) ?? []).filter(({ kind }) => kind !== "type");
    for (const { target } of code) if (graph.has(target)) files.add(target);
  }
  const strays = [...files].filter((file) =>
    !READ_FOLDERS.some((folder) => file.startsWith(`${folder}/`))
  );
  assert.deepEqual(strays, []);
  assert.ok(files.size > 20);
});

Deno.test("the page is small, and asks no other host for anything", async () => {
  const { folder, bytes } = await buildPage(ROOT);
  assert.ok(bytes <= PAGE_BYTES_MAX, `${bytes} bytes`);
  assert.ok(bytes > 20_000);
  const html = await Deno.readTextFile(`${folder}/index.html`);
  const css = await Deno.readTextFile(`${folder}/page.css`);
  assert.deepEqual(html.match(/(?:href|src)="(?!\/|data:)[^"]*/g), null);
  assert.doesNotMatch(css, /@import|url\(/);
  const script = await Deno.readTextFile(`${folder}/page.js`);
  assert.doesNotMatch(script, /\bimport\s*\(|\beval\(|new Function/);
});

Deno.test("a page that is current is not made again", async () => {
  await buildPage(ROOT);
  assert.equal((await buildPage(ROOT)).isNew, false);
});
