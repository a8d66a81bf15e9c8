import assert from "node:assert/strict";
import { runCommand } from "../../../tests/harness/cli.ts";
import { type Script, ScriptedNode } from "../../../tests/harness/scripted_node.ts";

const LAST = {
  done: true,
  total_duration: 1_200_000_000,
  load_duration: 3_000_000,
  prompt_eval_count: 12,
  prompt_eval_duration: 400_000_000,
  eval_count: 30,
  eval_duration: 900_000_000,
};

const SCRIPT: Script = {
  "POST /api/show": { json: { capabilities: ["completion"] } },
  "POST /api/generate": {
    lines: [{ thinking: "Hm" }, { thinking: "." }, { response: "Blue" }, { response: "!" }, LAST],
  },
};

Deno.test("run asks once when a prompt is given, and puts what is piped in before it", async () => {
  await using node = new ScriptedNode(SCRIPT);
  const given = { piped: "The sky", env: { ODIST_HOST: node.host } };
  const { code, out } = await runCommand(["run", "tiny", "is", "what?", "--hidethinking"], given);
  assert.deepEqual([code, out], [0, "Blue!\n"]);
  assert.deepEqual(node.asked[1]?.body, { model: "tiny", prompt: "The sky is what?" });
});

Deno.test("run sends its flags as the API wants them", async () => {
  await using node = new ScriptedNode(SCRIPT);
  const flags = ["--keepalive", "90", "--think=low", "--format", '{"type":"object"}'];
  await runCommand(["run", "tiny", "x", "--host", node.host, ...flags]);
  assert.deepEqual(node.asked[1]?.body, {
    model: "tiny",
    prompt: "x",
    keep_alive: 90,
    format: { type: "object" },
    think: "low",
  });
});

Deno.test("run takes a level of thinking only behind =, so that a prompt may follow --think", async () => {
  await using node = new ScriptedNode(SCRIPT);
  await runCommand(["run", "tiny", "--think", "high", "--host", node.host, "--", "--think"]);
  assert.deepEqual(node.asked[1]?.body, { model: "tiny", prompt: "high --think", think: true });
});

Deno.test("a flag takes true and false behind =, as scripts for Ollama have them", async () => {
  await using node = new ScriptedNode({
    ...SCRIPT,
    "POST /api/embed": { json: { embeddings: [[1]] } },
  });
  const run = (...args: string[]) => runCommand(["run", "tiny", "x", ...args, "--host", node.host]);
  const quiet = await run("--verbose=false", "--hidethinking=true", "--nowordwrap=0");
  assert.deepEqual(quiet, { code: 0, out: "Blue!\n", err: "" });
  assert.match((await run("--verbose=T", "--no-history=false")).err, /^total duration: /);
  const unclear = await run("--verbose=maybe");
  assert.deepEqual([unclear.code, unclear.out], [2, ""]);
  assert.match(unclear.err, /^Error: --verbose must be true or false: current value is "maybe"/);
  const text = await runCommand(["run", "--host", node.host, "tiny", "x", "--", "--verbose=false"]);
  assert.equal(text.code, 0);
  assert.deepEqual(node.asked.at(-1)?.body, { model: "tiny", prompt: "x --verbose=false" });
});

Deno.test("run --truncate=false has a text that is too long for an embedding model refused", async () => {
  await using node = new ScriptedNode({
    "POST /api/show": { json: { capabilities: ["embedding"] } },
    "POST /api/embed": { json: { embeddings: [[1]] } },
  });
  for (const [flags, wanted] of [[[], true], [["--truncate=false"], false]] as const) {
    await runCommand(["run", "e", "x", ...flags, "--host", node.host]);
    assert.deepEqual(node.asked.at(-1)?.body, { model: "e", input: "x", truncate: wanted });
  }
});

Deno.test("run sets thinking apart and prints figures when asked to", async () => {
  await using node = new ScriptedNode(SCRIPT);
  const { out, err } = await runCommand(["run", "tiny", "x", "--verbose", "--host", node.host]);
  assert.equal(out, "Thinking...\nHm.\n...done thinking.\n\nBlue!\n");
  assert.equal(
    err,
    `total duration:       1.2s
load duration:        3ms
prompt eval count:    12 token(s)
prompt eval duration: 400ms
prompt eval rate:     30.00 tokens/s
eval count:           30 token(s)
eval duration:        900ms
eval rate:            33.33 tokens/s
`,
  );
});

Deno.test("run --json passes the node's lines on", async () => {
  await using node = new ScriptedNode(SCRIPT);
  const { out } = await runCommand(["run", "tiny", "x", "--json", "--host", node.host]);
  const lines = out.trim().split("\n").map((line) => JSON.parse(line));
  assert.deepEqual(lines.at(-1), LAST);
  assert.equal(lines.length, 5);
});

Deno.test("run pulls a model that is not there", async () => {
  let pulled = false;
  await using node = new ScriptedNode({
    ...SCRIPT,
    "POST /api/show": () =>
      pulled
        ? { json: { capabilities: ["completion"] } }
        : { json: { error: "model 'new' not found" }, status: 404 },
    "POST /api/pull": () => {
      pulled = true;
      return { lines: [{ status: "success" }] };
    },
  });
  const { code } = await runCommand(["run", "new", "x", "--host", node.host]);
  assert.equal(code, 0);
  assert.deepEqual(node.asked.map(({ route }) => route), [
    "POST /api/show",
    "POST /api/pull",
    "POST /api/show",
    "POST /api/generate",
  ]);
});

Deno.test("run says both that a model is not there and why it can't be pulled", async () => {
  await using node = new ScriptedNode({
    "POST /api/show": { json: { error: "model 'tinny' not found" }, status: 404 },
    "POST /api/pull": { lines: [{ error: "pull model manifest: file does not exist" }] },
    "GET /api/tags": { json: { models: [{ name: "tiny:latest" }] } },
  });
  const { code, err } = await runCommand(["run", "tinny", "x", "--host", node.host]);
  assert.equal(code, 1);
  assert.equal(
    err,
    "Error: model 'tinny' is not there: did you mean 'tiny'? " +
      "It can't be pulled either: pull model manifest: file does not exist\nTry: odist list\n",
  );
});

Deno.test("run prints the vector of an embedding model", async () => {
  await using node = new ScriptedNode({
    "POST /api/show": { json: { capabilities: ["embedding"] } },
    "POST /api/embed": { json: { embeddings: [[0.5, -1]] } },
  });
  const run = (...args: string[]) => runCommand(["run", "e", ...args, "--host", node.host]);
  assert.equal((await run("text", "--dimensions", "2")).out, "[0.5,-1]\n");
  assert.deepEqual(node.asked[1]?.body, {
    model: "e",
    input: "text",
    truncate: true,
    dimensions: 2,
  });
  assert.equal((await run()).code, 2);
  assert.equal((await run("text", "--dimensions", "0")).code, 2);
});

Deno.test("run refuses flags it can't use before it asks anything", async () => {
  await using node = new ScriptedNode(SCRIPT);
  const format = await runCommand(["run", "tiny", "x", "--format", "xml", "--host", node.host]);
  assert.equal(format.code, 2);
  assert.match(format.err, /--format must be json or a JSON Schema/);
  const think = await runCommand(["run", "tiny", "x", "--think=deep", "--host", node.host]);
  assert.equal(think.code, 2);
  assert.deepEqual(node.asked, []);
});

Deno.test("run shows a model that sees the images whose paths stand in the prompt, and no others", async () => {
  const seeing: Script = {
    ...SCRIPT,
    "POST /api/show": { json: { capabilities: ["completion", "vision"] } },
  };
  const folder = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${folder}/a b.png`, "hi");
    await Deno.writeTextFile(`${folder}/c.JPG`, "ho");
    await Deno.writeTextFile(`${folder}/d.txt`, "no");
    const prompt =
      `See '${folder}/a b.png', ${folder}/c.JPG? Not ${folder}/d.txt or ${folder}/e.png`;
    await using node = new ScriptedNode(seeing);
    const { err } = await runCommand(["run", "tiny", prompt, "--host", node.host]);
    assert.deepEqual(node.asked[1]?.body, {
      model: "tiny",
      prompt: `See [img], [img]? Not ${folder}/d.txt or ${folder}/e.png`,
      images: ["aGk=", "aG8="],
    });
    assert.match(err, /^Added image '.*a b\.png'\nAdded image '.*c\.JPG'\n/);
    await using blind = new ScriptedNode(SCRIPT);
    await runCommand(["run", "tiny", prompt, "--host", blind.host]);
    assert.deepEqual(blind.asked[1]?.body, { model: "tiny", prompt });
    await using piped = new ScriptedNode(seeing);
    const given = { piped: `${folder}/c.JPG`, env: { ODIST_HOST: piped.host } };
    await runCommand(["run", "tiny", "read"], given);
    assert.deepEqual(piped.asked[1]?.body, { model: "tiny", prompt: `${folder}/c.JPG read` });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
