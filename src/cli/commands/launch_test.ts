import assert from "node:assert/strict";
import { runCommand } from "../../../tests/harness/cli.ts";
import { type Script, ScriptedNode } from "../../../tests/harness/scripted_node.ts";

const CODER = { name: "coder:latest", capabilities: ["completion", "tools"] };

function script(window: number, models: readonly unknown[] = [CODER]): Script {
  return {
    "GET /api/tags": { json: { models } },
    "POST /api/show": { json: { capabilities: ["completion", "tools"] } },
    "POST /api/generate": { json: { done: true, done_reason: "load" } },
    "GET /api/ps": { json: { models: [{ name: "coder:latest", context_length: window }] } },
  };
}

/** A program on a PATH of its own that writes what it was started with, and ends with `code`. */
async function fakeProgram(name: string, code: number) {
  const folder = await Deno.makeTempDir();
  const seen = `${folder}/seen`;
  const text = `#!/bin/sh\nenv > ${seen}\nfor a in "$@"; do echo "arg $a" >> ${seen}; done\n` +
    `exit ${code}\n`;
  await Deno.writeTextFile(`${folder}/${name}`, text, { mode: 0o755 });
  return {
    env: { PATH: folder },
    seen: () => Deno.readTextFile(seen),
    [Symbol.asyncDispose]: () => Deno.remove(folder, { recursive: true }),
  };
}

Deno.test("launch --print says how each client is started, and starts nothing", async () => {
  await using node = new ScriptedNode(script(65_536));
  const print = async (...args: string[]) => {
    const ran = await runCommand(["launch", "--print", "--host", node.host, ...args]);
    assert.deepEqual([ran.code, ran.err], [0, ""], args.join(" "));
    return ran.out;
  };
  const claude = await print("claude");
  assert.match(claude, new RegExp(`^ANTHROPIC_BASE_URL=http://${node.host} `));
  assert.match(claude, / ANTHROPIC_MODEL=coder:latest .* claude\n$/);
  const codex = await print("codex", "--model", "coder", "--", "exec", "it's");
  assert.match(codex, /base_url="http:.*\/v1"'/);
  assert.match(codex, / -m coder exec 'it'\\''s'\n$/);
  assert.match(
    await print("opencode"),
    /^OPENCODE_CONFIG_CONTENT='\{"model":"odist\/coder:latest"/,
  );
  assert.match(await print("aider"), /aider --model openai\/coder:latest\n$/);
  assert.match(await print("goose"), /GOOSE_MODEL=coder:latest/);
  assert(!node.asked.some(({ route }) => route === "POST /api/generate"), "nothing is loaded");
});

Deno.test({
  name: "launch starts the client with all that it needs, says so, and ends as it ends",
  // The stand-in is a shell script.
  ignore: Deno.build.os === "windows",
  fn: async () => {
    await using node = new ScriptedNode(script(65_536));
    await using claude = await fakeProgram("claude", 3);
    const args = ["launch", "claude", "--host", node.host, "--key", "secret-key", "--", "-p", "hi"];
    const { code, err } = await runCommand(args, { env: claude.env });
    assert.equal(code, 3);
    assert.match(err, /^Starting claude with coder:latest of http:.*ANTHROPIC_BASE_URL.* no file/);
    assert(!err.includes("secret-key"));
    const seen = await claude.seen();
    assert.match(seen, new RegExp(`^ANTHROPIC_BASE_URL=http://${node.host}$`, "m"));
    assert.match(seen, /^ANTHROPIC_AUTH_TOKEN=secret-key$/m);
    assert.match(seen, /arg -p\narg hi\n$/);
  },
});

Deno.test("launch --print shows no key", async () => {
  await using node = new ScriptedNode(script(65_536));
  const args = ["launch", "claude", "--print", "--host", node.host, "--key", "secret-key"];
  const { out } = await runCommand(args);
  assert.match(out, /ANTHROPIC_AUTH_TOKEN="\$ODIST_KEY" /);
  assert(!out.includes("secret-key"));
});

Deno.test("launch warns of a window that is too short, and of a model without tools", async () => {
  await using node = new ScriptedNode({
    ...script(4_096),
    "POST /api/show": { json: { capabilities: ["completion"] } },
  });
  const { code, err } = await runCommand(["launch", "codex", "--model", "coder", "--print"], {
    env: { ODIST_HOST: node.host },
  });
  assert.equal(code, 0);
  assert.match(err, /Warning: coder has no tools, which codex lives on\n/);
  assert.match(err, /window of 4096 tokens, and codex wants 32768 or more: serve with --context/);
});

Deno.test("launch refuses what it does not know, and says how a client is got", async () => {
  const two = [CODER, { ...CODER, name: "other:latest" }];
  await using node = new ScriptedNode(script(65_536, two));
  const run = (...args: string[]) => runCommand(["launch", ...args, "--host", node.host]);
  assert.match(
    (await run("emacs")).err,
    /emacs can't be launched: it must be one of claude, codex/,
  );
  const several = await run("claude");
  assert.equal(several.code, 2);
  assert.match(several.err, /name one with --model: coder:latest, other:latest/);
  const absent = await run("claude", "--model", "coder");
  assert.deepEqual(absent.code, 127);
  assert.match(absent.err, /claude is not installed: npm install -g @anthropic-ai\/claude-code/);
  const afar = await runCommand(["launch", "claude", "--host", "odist://box:1", "--key", "x"]);
  assert.notEqual(afar.code, 0);
});
