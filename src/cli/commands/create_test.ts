import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { join } from "node:path";
import { runCommand } from "../../../tests/harness/cli.ts";
import { ScriptedNode } from "../../../tests/harness/scripted_node.ts";

const WEIGHTS = "GGUF but not really";
const DIGEST = `sha256:${createHash("sha256").update(WEIGHTS).digest("hex")}`;
const CREATED = { lines: [{ status: "success" }] };

async function withFolder(
  files: Readonly<Record<string, string>>,
  run: (folder: string) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    for (const [name, text] of Object.entries(files)) {
      await Deno.writeTextFile(join(folder, name), text);
    }
    await run(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("create sends what a Modelfile says of a model that is there", async () => {
  await using node = new ScriptedNode({ "POST /api/create": CREATED });
  const piped = `FROM tiny
PARAMETER temperature 0.5
PARAMETER stop END
PARAMETER mirostat 1
SYSTEM """Be
brief."""
MESSAGE user hello
LICENSE free`;
  const { code, err } = await runCommand(["create", "pirate", "-f", "-", "--host", node.host], {
    piped,
  });
  assert.equal(code, 0);
  assert.match(err, /Warning: parameter 'mirostat' has no effect/);
  assert.match(err, /gathering model components\nsuccess\n$/);
  assert.deepEqual(node.asked, [{
    route: "POST /api/create",
    body: {
      model: "pirate",
      from: "tiny",
      system: "Be\nbrief.",
      parameters: { temperature: 0.5, stop: ["END"] },
      license: ["free"],
      messages: [{ role: "user", content: "hello" }],
    },
  }]);
});

Deno.test("create uploads the files a Modelfile names, and only those the node lacks", async () => {
  let isThere = false;
  await using node = new ScriptedNode({
    [`HEAD /api/blobs/${DIGEST}`]: () => ({ json: {}, status: isThere ? 200 : 404 }),
    [`POST /api/blobs/${DIGEST}`]: () => {
      isThere = true;
      return { json: {}, status: 201 };
    },
    "POST /api/create": CREATED,
  });
  const files = { "weights.gguf": WEIGHTS, Modelfile: "FROM ./weights.gguf\nADAPTER weights.gguf" };
  await withFolder(files, async (folder) => {
    const args = ["create", "m", "-f", join(folder, "Modelfile"), "-q", "Q8_0", "--host"];
    const { code, err } = await runCommand([...args, node.host]);
    assert.equal(code, 0, err);
    assert.match(err, new RegExp(`copying file ${DIGEST}`));
  });
  assert.deepEqual(node.asked.map(({ route }) => route.replace(DIGEST, "")), [
    "HEAD /api/blobs/",
    "POST /api/blobs/",
    "HEAD /api/blobs/",
    "POST /api/create",
  ]);
  assert.equal(node.asked[1]?.body, WEIGHTS);
  assert.deepEqual(node.asked[3]?.body, {
    model: "m",
    files: { "weights.gguf": DIGEST },
    adapters: { "weights.gguf": DIGEST },
    quantize: "Q8_0",
  });
});

Deno.test("create uploads the model of a DRAFT line, and says that nothing uses it", async () => {
  await using node = new ScriptedNode({
    [`HEAD /api/blobs/${DIGEST}`]: { json: {} },
    "POST /api/create": CREATED,
  });
  const files = { "small.gguf": WEIGHTS, Modelfile: "FROM tiny\nDRAFT small.gguf" };
  await withFolder(files, async (folder) => {
    const args = ["create", "m", "-f", join(folder, "Modelfile"), "--host", node.host];
    args.push("--draft-quantize", "Q8_0");
    assert.match((await runCommand(args)).err, /^Warning: DRAFT is stored and not used/);
  });
  assert.deepEqual(node.asked.at(-1)?.body, {
    model: "m",
    from: "tiny",
    draft_files: { "small.gguf": DIGEST },
    draft_quantize: "Q8_0",
  });
});

Deno.test("create takes the weights of a folder", async () => {
  await using node = new ScriptedNode({
    [`HEAD /api/blobs/${DIGEST}`]: { json: {} },
    "POST /api/create": CREATED,
  });
  const files = { "a.gguf": WEIGHTS, "notes.txt": "no", Modelfile: "FROM ." };
  await withFolder(files, async (folder) => {
    const args = ["create", "m", "-f", join(folder, "Modelfile"), "--json", "--host", node.host];
    assert.equal((await runCommand(args)).out, '{"status":"success"}\n');
  });
  assert.deepEqual(node.asked.at(-1)?.body, { model: "m", files: { "a.gguf": DIGEST } });
});

Deno.test("create names what is missing and asks the node for nothing", async () => {
  await using node = new ScriptedNode({});
  const create = (piped: string) =>
    runCommand(["create", "m", "-f", "-", "--host", node.host], { piped });
  const rows: readonly (readonly [string, RegExp])[] = [
    ["FROM ./nothing.gguf", /FROM \.\/nothing\.gguf: there is no such file/],
    ["FROM tiny\nADAPTER nothing", /ADAPTER nothing: there is no such file/],
    ["FROM tiny\nDRAFT nothing", /DRAFT nothing: there is no such file/],
    ["PARAMETER seed 1", /no FROM line/],
    ["FROM tiny\nFORM x", /\(line 2\): command must be one of/],
  ];
  for (const [text, wanted] of rows) {
    const { code, err } = await create(text);
    assert.equal(code, 1, text);
    assert.match(err, wanted);
  }
  const missing = await runCommand(["create", "m", "-f", "/nonexistent/Modelfile"]);
  assert.equal(missing.code, 2);
  assert.match(missing.err, /there is no such file; name one with -f/);
  assert.deepEqual(node.asked, []);
});

Deno.test("create reads a Modelfile in the encoding that its byte order mark says", async () => {
  const text = "\ufeffFROM tiny\nSYSTEM Sei höflich.\n";
  const units = Uint16Array.from(text, (character) => character.charCodeAt(0));
  const littleEndian = new Uint8Array(units.length * 2);
  const bigEndian = new Uint8Array(units.length * 2);
  for (const [index, unit] of units.entries()) {
    new DataView(littleEndian.buffer).setUint16(index * 2, unit, true);
    new DataView(bigEndian.buffer).setUint16(index * 2, unit, false);
  }
  for (const bytes of [littleEndian, bigEndian, new TextEncoder().encode(text)]) {
    await using node = new ScriptedNode({ "POST /api/create": CREATED });
    await withFolder({}, async (folder) => {
      const path = join(folder, "Modelfile");
      await Deno.writeFile(path, bytes);
      const { code, err } = await runCommand(["create", "m", "-f", path, "--host", node.host]);
      assert.equal(code, 0, err);
    });
    const body = { model: "m", from: "tiny", system: "Sei höflich." };
    assert.deepEqual(node.asked.at(-1)?.body, body);
  }
});
