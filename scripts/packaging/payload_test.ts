import assert from "node:assert/strict";
import { withOwnRequire } from "./payload.ts";
import type { TarFile } from "./tar.ts";

const USUAL =
  `var m=(a,b)=>a,n=(a=>typeof require<"u"?require:typeof Proxy<"u"?new Proxy(a,{get:(b,c)=>` +
  `(typeof require<"u"?require:b)[c]}):a)(function(a){if(typeof require<"u")return require.apply(this,arguments);` +
  `throw Error('Dynamic require of "'+a+'" is not supported')});var o=1;export{n};`;

function file(path: string, text: string): TarFile {
  return { path, bytes: new TextEncoder().encode(text), executable: false };
}

Deno.test("withOwnRequire() lets packages find Node's modules, and imports none before they ask", async () => {
  const [chunk, other] = withOwnRequire([file("a.js", USUAL), file("b.js", "export const b=2;")]);
  const text = new TextDecoder().decode(chunk?.bytes);
  assert.equal(text, `var m=(a,b)=>a,n=(name=>process.getBuiltinModule(name));var o=1;export{n};`);
  assert.equal(new TextDecoder().decode(other?.bytes), "export const b=2;");
  const { n } = await import(`data:text/javascript,${encodeURIComponent(text)}`);
  assert.equal(n("node:path").basename("/a/b"), "b");
});

Deno.test("withOwnRequire() refuses what the bundler writes in another way than is known", () => {
  const unknown = [
    [file("a.js", "export const a=1;")],
    [file("a.js", USUAL), file("b.js", USUAL)],
    [file("a.js", USUAL), file("b.js", `import{createRequire as c}from"node:module";`)],
  ];
  for (const files of unknown) {
    assert.throws(() => withOwnRequire(files), /wanted one file with the bundler's usual require/);
  }
});
