import assert from "node:assert/strict";
import { imageToken } from "../../src/protocol/mod.ts";
import { colourEye, colourGrid, picture } from "../harness/colour_eye.ts";
import { readGridModel } from "../harness/grid_model.ts";
import { MISSING_EYES } from "../harness/seeing_model.ts";
import { readTinyGguf } from "../harness/test_models.ts";
import { askTiny, loadTiny, readAnswer } from "../integration/engine_harness.ts";

const COLOURS = ["red", "green", "blue"] as const;
type Settings = NonNullable<Parameters<typeof loadTiny>[0]>;
type Model = Awaited<ReturnType<typeof loadTiny>> & { readonly projectorPath: string };

function engineTest(
  name: string,
  { patches = 1, isGrid = false, ...settings }: Settings & {
    readonly patches?: number;
    /** A model that places images in a grid. */
    readonly isGrid?: boolean;
  },
  body: (model: Model) => Promise<void>,
) {
  Deno.test({
    name: name + MISSING_EYES,
    ignore: MISSING_EYES !== "",
    async fn() {
      const folder = await Deno.makeTempDir({ prefix: "odist-images-" });
      const [modelPath, projectorPath] = [`${folder}/model.gguf`, `${folder}/projector.gguf`];
      try {
        const tiny = await readTinyGguf();
        await Deno.writeFile(modelPath, isGrid ? await readGridModel() : tiny);
        const eye = isGrid ? await colourGrid(tiny) : await colourEye(tiny, { patches });
        await Deno.writeFile(projectorPath, eye);
        await using model = await loadTiny({ ...settings, modelPath, projectorPath });
        assert.equal(model.facts.imageFault, "");
        await body(Object.assign(model, { projectorPath }));
      } finally {
        await Deno.remove(folder, { recursive: true });
      }
    },
  });
}

function about(colour: (typeof COLOURS)[number], text = "Repeat this word: [img-0]") {
  return askTiny(text, { images: [picture(colour)] });
}

engineTest(
  "Pictures of several askers are not mixed up, also when some leave in the middle",
  { slots: 3 },
  async (model) => {
    const asked = Array.from({ length: 24 }, (_, index) => {
      const colour = COLOURS[index % 3] ?? "red";
      if (index % 4 !== 0) {
        return readAnswer(model, about(colour)).then(({ text }) => [text, colour]);
      }
      const leaving = new AbortController();
      const reading = readAnswer(model, about(colour, "Tell me a story about [img-0]."), {
        signal: leaving.signal,
      });
      queueMicrotask(() => leaving.abort());
      return reading.then(({ reason }) => [reason, "cancelled"]);
    });
    for (const [got, wanted] of await Promise.all(asked)) assert.equal(got?.trim(), wanted);
  },
);

engineTest(
  "An asker that leaves while its pictures are decoded is told, and holds up nobody",
  {},
  async (model) => {
    const leaving = new AbortController();
    const many = askTiny("Hi", { images: Array(256).fill(picture("red", 1024)) });
    const left = readAnswer(model, many, { signal: leaving.signal });
    const other = readAnswer(model, about("blue"));
    leaving.abort();
    assert.equal((await other).text.trim(), "blue");
    assert.deepEqual([(await left).reason, (await left).text], ["cancelled", ""]);
  },
);

engineTest("A picture that was computed is not computed again", {}, async (model) => {
  const first = await readAnswer(model, about("red"));
  const again = await readAnswer(model, about("red"));
  const other = await readAnswer(model, about("blue"));
  const at = first.promptTokens.indexOf(imageToken(0, 0));
  assert.ok(at > 0);
  assert.equal(again.cachedTokens, first.promptTokens.length - 1);
  assert.equal(other.cachedTokens, at);
});

engineTest("A picture may end a prompt, come twice, and stand beside others", {}, async (model) => {
  const images = [picture("red"), picture("blue")];
  const ask = (text: string) =>
    readAnswer(model, {
      ...askTiny("", { images, predictTokensMax: 8 }),
      prompt: { kind: "text", text, addSpecial: true },
    });
  const ended = await ask("Say [img-0]");
  assert.equal(ended.promptTokens.at(-1), imageToken(0, 0));
  assert.ok(ended.tokens.length > 0);
  const twice = await ask("[img-1][img-1][img-0] and [img-1]");
  const seen = twice.promptTokens.filter((token) => token >= imageToken(0, 0));
  assert.deepEqual(seen, [1, 1, 0, 1].map((image) => imageToken(image, 0)));
});

for (
  const [what, patches, keptOfImage, isGrid] of [
    ["past its picture", 1, -2, false],
    ["past a longer picture", 3, -2, false],
    ["in the middle of its picture", 3, 4, false],
    ["past a picture in a grid", 3, -2, true],
    ["behind a picture in a grid", 3, 12, true],
  ] as const
) {
  engineTest(
    `An answer goes on in another runner behind a window that was shifted ${what}`,
    { contextTokens: isGrid ? 80 : 64, patches, isGrid },
    async (model) => {
      const text = isGrid
        ? "[img-0] Tell me a story about a fox."
        : "Tell me a story about [img-0].";
      const asked = about("red", text);
      const { promptTokens } = await readAnswer(model, { ...asked, predictTokensMax: 1 });
      const start = promptTokens.indexOf(imageToken(0, 0));
      assert.equal(promptTokens.lastIndexOf(imageToken(0, 0)) - start + 1, patches ** 2);
      const keepTokens = start + keptOfImage;
      const request = { ...asked, predictTokensMax: 200, keepTokens };
      const whole = await readAnswer(model, request);
      const window = promptTokens.length + whole.tokens.length;
      assert.ok(window > model.facts.contextTokens, `only ${window} tokens: no shift`);
      for (const behind of [1, 20, 60, whole.tokens.length - 2]) {
        const emittedTokens = whole.tokens.slice(0, behind).map(({ token }) => token);
        const prompt = { kind: "tokens", tokens: whole.promptTokens } as const;
        // Another runner has nothing of it in its slot.
        await readAnswer(model, askTiny("Hi", { predictTokensMax: 1 }));
        const { tokens } = await readAnswer(model, { ...request, prompt, emittedTokens });
        assert.deepEqual(
          tokens.map(({ token }) => token),
          whole.tokens.slice(behind).map(({ token }) => token),
          `behind ${behind}`,
        );
      }
    },
  );
}

engineTest(
  "A picture that is longer than a batch goes in by several",
  { batchTokens: 4, patches: 3 },
  async (model) => {
    const small = await readAnswer(model, about("blue"));
    await using wide = await loadTiny({ projectorPath: model.projectorPath });
    const { text } = await readAnswer(wide, about("blue"));
    assert.ok(text.length > 0);
    assert.equal(small.text, text);
  },
);

engineTest(
  "What a prompt says of images must be theirs, and they must fit",
  { contextTokens: 64 },
  async (model) => {
    const tokens = (...tokens: number[]) => ({ kind: "tokens", tokens }) as const;
    const images = [picture("red")];
    const refused: readonly [Parameters<typeof askTiny>[1], RegExp][] = [
      [{ prompt: tokens(1, imageToken(0, 0)) }, /has no token 1073741824/],
      [{ prompt: tokens(1, imageToken(1, 0)), images }, /a piece of an image/],
      [{ prompt: tokens(1, imageToken(0, 1)), images }, /a piece of an image/],
      [{ images: [new Uint8Array(40)] }, /no PNG, JPEG, GIF, BMP or WebP/],
      [{ images: Array(257).fill(images[0]) }, /at most 256 images/],
    ];
    for (const [changes, reason] of refused) {
      await assert.rejects(readAnswer(model, askTiny("Hi", changes)), { message: reason });
    }
    const long = about("red", `[img-0]${"many words ".repeat(60)}`);
    await assert.rejects(readAnswer(model, long), {
      code: "prompt_too_long",
      message: /1 of them for images, the context window 64/,
    });
    assert.equal((await readAnswer(model, about("blue"))).text.trim(), "blue");
  },
);
