import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { findOwnNativeFolder } from "../../src/inference/launch/own_natives.ts";
import {
  addressOf,
  CONTEXT_PARAMS,
  cText,
  INPUT_TEXT,
  type Llama,
  MODEL_PARAMS,
  MTMD_PARAMS,
  openLlama,
  openMtmd,
} from "../../src/inference/llama/mod.ts";
import { libraryPath } from "../../src/inference/llama/llama.ts";
import { colourEye, colourGrid, picture } from "../harness/colour_eye.ts";
import { readGridModel } from "../harness/grid_model.ts";
import { MISSING_EYES } from "../harness/seeing_model.ts";
import { silenceLlama } from "../harness/silent_llama.ts";
import { readTinyGguf } from "../harness/test_models.ts";
import { askTiny, chatPrompt, loadTiny, TINY_SETTINGS } from "../integration/engine_harness.ts";

const MAIN = fileURLToPath(new URL("../../main.ts", import.meta.url));
const TOP = 10;
/** Sums in another order differ in their last digits. */
const LOGPROB_DIFFERENCE_MAX = 0.01;

/** Another process finds the folder, because the import that downloads the package would write to this one's lock file. */
async function nativeFolder(): Promise<string> {
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-lock", "--no-check", MAIN, "runner", "--probe"],
    stderr: "null",
  }).output();
  return JSON.parse(new TextDecoder().decode(stdout)).folder;
}

/** The most likely tokens behind a prompt with one image, as llama.cpp's own helper puts it into a context. */
async function expected(
  llama: Llama,
  files: { readonly model: string; readonly projector: string },
  prompt: { readonly text: string; readonly image: Uint8Array<ArrayBuffer> },
): Promise<readonly { readonly token: number; readonly logprob: number }[]> {
  const { call } = llama;
  const folder = findOwnNativeFolder();
  const modelParams = new Uint8Array(call.llama_model_default_params());
  MODEL_PARAMS.set(modelParams, "gpuLayers", 0);
  const weights = await call.llama_model_load_later(cText(files.model), modelParams);
  const contextParams = new Uint8Array(call.llama_context_default_params());
  CONTEXT_PARAMS.set(contextParams, "threads", 1);
  CONTEXT_PARAMS.set(contextParams, "threadsBatch", 1);
  CONTEXT_PARAMS.set(contextParams, "contextTokens", TINY_SETTINGS.contextTokens);
  const context = await call.llama_init_later(weights, contextParams);
  const mtmd = openMtmd(llama, folder);
  const helper = Deno.dlopen(libraryPath(folder, "mtmd") ?? "", {
    mtmd_helper_log_set: { parameters: ["pointer", "pointer"], result: "void" },
    mtmd_helper_eval_chunks: {
      parameters: ["pointer", "pointer", "pointer", "i32", "i32", "i32", "bool", "buffer"],
      result: "i32",
    },
  });
  helper.symbols.mtmd_helper_log_set(silenceLlama(llama.folder), null);
  const params = new Uint8Array(mtmd.mtmd_context_params_default());
  MTMD_PARAMS.set(params, "threads", 1);
  MTMD_PARAMS.set(params, "useGpu", false);
  const seeing = await mtmd.mtmd_init_later(cText(files.projector), weights, params);
  const opened = await mtmd.mtmd_helper_bitmap_init_from_buf_later(
    seeing,
    prompt.image,
    BigInt(prompt.image.length),
    false,
    new Uint8Array(mtmd.mtmd_helper_init_opt_default()),
  );
  const bitmaps = new Uint8Array(opened).slice(0, 8);
  const text = cText(prompt.text);
  const input = new Uint8Array(new ArrayBuffer(INPUT_TEXT.size));
  INPUT_TEXT.set(input, "text", addressOf(text));
  INPUT_TEXT.set(input, "length", text.length - 1);
  INPUT_TEXT.set(input, "addSpecial", true);
  INPUT_TEXT.set(input, "parseSpecial", true);
  const chunks = mtmd.mtmd_input_chunks_init();
  assert.equal(await mtmd.mtmd_tokenize_later(seeing, chunks, input, bitmaps, 1n), 0);
  const reached = new Uint8Array(4);
  const code = helper.symbols.mtmd_helper_eval_chunks(
    ...[seeing, context, chunks, 0, 0, 512, true, reached] as const,
  );
  assert.equal(code, 0);
  const count = call.llama_vocab_n_tokens(call.llama_model_get_vocab(weights));
  const row = call.llama_get_logits_ith(context, -1);
  assert.ok(row !== null);
  const logits = new Float32Array(Deno.UnsafePointerView.getArrayBuffer(row, count * 4));
  const largest = Math.max(...logits);
  const sum = Math.log(logits.reduce((all, logit) => all + Math.exp(logit - largest), 0));
  return [...logits].map((logit, token) => ({ token, logprob: logit - largest - sum }))
    .sort((a, b) => b.logprob - a.logprob).slice(0, TOP);
}

for (
  const [what, model, projector] of [
    ["in a row", readTinyGguf, (tiny: Uint8Array<ArrayBuffer>) => colourEye(tiny, { patches: 3 })],
    ["in a grid", readGridModel, colourGrid],
  ] as const
) {
  Deno.test({
    name: `Images whose positions are ${what} stand where llama.cpp puts them${MISSING_EYES}`,
    ignore: MISSING_EYES !== "",
    async fn() {
      const folder = await Deno.makeTempDir({ prefix: "odist-images-" });
      const files = { model: `${folder}/model.gguf`, projector: `${folder}/projector.gguf` };
      try {
        await Deno.writeFile(files.model, await model());
        await Deno.writeFile(files.projector, await projector(await readTinyGguf()));
        const llama = openLlama(await nativeFolder());
        const ask = "Repeat this word: MARK and then tell me a story about it.";
        const said = { modelPath: files.model, projectorPath: files.projector };
        await using loaded = await loadTiny(said);
        for (const colour of ["red", "blue"] as const) {
          const image = picture(colour);
          const wanted = await expected(llama, files, {
            text: chatPrompt(ask.replace("MARK", "<__media__>")),
            image,
          });
          const request = askTiny(ask.replace("MARK", "[img-0]"), {
            ...{ images: [image], predictTokensMax: 1, topLogprobs: TOP },
          });
          for await (const event of loaded.generate(request, new AbortController().signal)) {
            if (event.kind !== "tokens") continue;
            const got = event.tokens[0]?.topLogprobs ?? [];
            assert.equal(got[0]?.token, wanted[0]?.token);
            for (const { token, logprob } of wanted) {
              const own = got.find((one) => one.token === token)?.logprob ?? -Infinity;
              const difference = Math.abs(own - logprob);
              assert.ok(
                difference < LOGPROB_DIFFERENCE_MAX,
                `${colour} ${token}: ${own}, ${logprob}`,
              );
            }
          }
        }
      } finally {
        await Deno.remove(folder, { recursive: true });
      }
    },
  });
}
