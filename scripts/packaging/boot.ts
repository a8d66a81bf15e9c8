/**
 * The module that an unpacked copy starts at, `boot.js`: before any other code runs, it looks whether the copy belongs to
 * this user alone, and whether every script is the one that was packed. The launcher compares it with a text of its own,
 * so that it is one line, without single quotes.
 *
 * Libraries, Deno and the model were compared when the copy was made; reading 150 MB at each start would take longer than
 * the start. Libraries are looked at once more before they are opened first.
 *
 * @module
 */

const LINES = [
  // The folder's name ends in the first half of the manifest's SHA-256; the launcher knows the name.
  `const folder = import.meta.dirname;`,
  `const hash = async (path) => new Uint8Array(await crypto.subtle.digest("SHA-256", Deno.readFileSync(path))).toHex();`,
  `const refuse = (path, why) => {`,
  `  try { Deno.removeSync(folder + "/.complete"); } catch {}`,
  `  console.error("odist: " + path + " " + why + ": start again to unpack it anew");`,
  `  Deno.exit(1);`,
  `};`,
  `const look = (path) => {`,
  `  const { uid, mode } = Deno.statSync(path);`,
  `  if (uid !== Deno.uid()) refuse(path, "belongs to another user");`,
  `  if ((mode & 0o022) !== 0) refuse(path, "can be written by other users");`,
  `};`,
  `const changed = "was changed since it was unpacked";`,
  `const list = folder + "/manifest.json";`,
  `look(folder);`,
  `if (!folder.endsWith("-" + (await hash(list)).slice(0, 32))) refuse(list, changed);`,
  `const judge = async ({ path, digest }) => {`,
  // The program runs without them.
  `  if (path.startsWith("licenses/")) return;`,
  `  const file = folder + "/" + path;`,
  `  look(file);`,
  `  if (path.endsWith(".js") && await hash(file) !== digest) refuse(file, changed);`,
  `};`,
  `const judged = JSON.parse(Deno.readTextFileSync(list)).files.map(judge);`,
  // Deno's own, which the program asks for first: set up here while other threads hash.
  `await import("node:fs");`,
  `await Promise.all(judged);`,
  `await import("./main.js");`,
];

export const BOOT: string = LINES.map((line) => line.trim()).join(" ");
