import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AGE_SCHEMA, AGE_TEXT, call, expect, ORIGIN } from "./calls.mjs";

const home = await mkdtemp(join(tmpdir(), "odist-cli-"));
const env = { HOME: home, PATH: process.env.PATH, OLLAMA_HOST: ORIGIN, TERM: "dumb" };

/** What the command printed, and how it ended. */
function ollama(...args) {
  return new Promise((resolve) => {
    const child = execFile(process.env.CLIENTS_PROGRAM, args, { env, timeout: 60_000 }, (error, stdout, stderr) =>
      // Without the escape codes of its progress display.
      resolve({ code: error?.code ?? 0, stdout, stderr: stderr.replaceAll(/\x1b\[[?\d]*[a-zA-Z]/g, "") }));
    child.stdin.end();
  });
}

/** What a command that ended well printed. */
async function printed(...args) {
  const { code, stdout, stderr } = await ollama(...args);
  expect(code === 0, { code, stdout, stderr });
  return stdout;
}

await call("lists", "list", async () => expect(/^tiny/m.test(await printed("list"))));
await call("lists", "--version", async () => expect(/version is \d/.test(await printed("--version"))));
await call("show", "show", async () => {
  const text = await printed("show", "tiny");
  expect(/architecture\s+llama/.test(text) && /tools/.test(text), text);
});
await call("show", "show --modelfile", async () => {
  const text = await printed("show", "--modelfile", "tiny");
  expect(/^FROM /m.test(text) && /^PARAMETER temperature 0$/m.test(text), text);
});
await call("chat", "run MODEL PROMPT", async () => {
  const text = await printed("run", "tiny", "Hello!");
  expect(text.trim() !== "", text);
});
await call("chat", "run --verbose", async () => {
  const { code, stderr } = await ollama("run", "--verbose", "tiny", "Hello!");
  expect(code === 0 && /eval rate:\s+[\d.]+ tokens\/s/.test(stderr) && /load duration/.test(stderr), stderr);
});
await call("schema", "run --format", async () => {
  const text = await printed("run", "--format", JSON.stringify(AGE_SCHEMA), "tiny", AGE_TEXT);
  expect(Number.isInteger(JSON.parse(text).age), text);
});
await call("embed", "run of an embedding model", async () => {
  expect(JSON.parse(await printed("run", "vectors", "one")).length > 0);
});
await call("lists", "ps", async () => expect(/^tiny/m.test(await printed("ps"))));
await call("more", "create, cp, rm", async () => {
  const file = join(home, "Modelfile");
  await writeFile(file, "FROM tiny\nSYSTEM Be kind.\nPARAMETER temperature 0\n");
  await printed("create", "made", "-f", file);
  expect(/Be kind/.test(await printed("show", "--system", "made")));
  await printed("cp", "made", "copied");
  await printed("rm", "made", "copied");
});
await call("more", "stop", async () => {
  await printed("stop", "tiny");
});
await call("errors", "a model that is not there", async () => {
  const shown = await ollama("show", "nope");
  expect(shown.code === 1 && /not found/.test(shown.stderr), shown);
  const removed = await ollama("rm", "nope");
  expect(removed.code === 1 && /not found/.test(removed.stderr), removed);
});
await call("errors", "run of a model that no registry has", async () => {
  const { code, stderr } = await ollama("run", "127.0.0.1:9/library/nope", "Hello!");
  expect(code === 1 && stderr !== "", { code, stderr });
});
await rm(home, { recursive: true });
