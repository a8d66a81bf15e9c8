import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { RequestError } from "../../base/mod.ts";
import type { LoadSettings, SequenceRequest } from "../../protocol/mod.ts";
import { type AddressedEvent, Decoder } from "./decoder.ts";
import { silenceLlama } from "../../../tests/harness/silent_llama.ts";
import { Embedder } from "./embedder.ts";
import { type Llama, openLlama } from "../llama/mod.ts";
import { type LoadContext, loadModel, type RunnerModel } from "./model.ts";

const ROOT = fileURLToPath(new URL("../../../", import.meta.url));
const SETTINGS: LoadSettings = {
  modelPath: `${ROOT}src/models/embedded/tiny.gguf`,
  adapterPaths: [],
  contextTokens: 128,
  slots: 2,
  batchTokens: 64,
  threads: 1,
  gpuLayers: 0,
  mmap: true,
  flashAttention: "auto",
  kvCacheType: "f16",
  mode: "generate",
};
const REQUEST: SequenceRequest = {
  prompt: {
    kind: "text",
    text: "<|im_start|>user\nWho are you?<|im_end|>\n<|im_start|>assistant\n",
    addSpecial: true,
  },
  emittedTokens: [],
  sampler: {
    temperature: 0,
    topK: 40,
    topP: 0.9,
    minP: 0.05,
    typicalP: 0.9,
    repeatLastTokens: 64,
    repeatPenalty: 1,
    presencePenalty: 0,
    frequencyPenalty: 0,
    seed: 1,
  },
  predictTokensMax: 40,
  keepTokens: 4,
  onLongPrompt: "truncate",
  onFullContext: "shift",
  grammar: null,
  topLogprobs: -1,
};

/**
 * Opened once: a library can't be opened twice with other devices. Another process finds the folder, because the
 * import that downloads the package would write to this one's lock file.
 */
let opened: Promise<Llama> | undefined;
function llama(): Promise<Llama> {
  return opened ??= (async () => {
    const { stdout } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--no-lock", "--no-check", `${ROOT}main.ts`, "runner", "--probe"],
      stderr: "null",
    }).output();
    const library = openLlama(JSON.parse(new TextDecoder().decode(stdout)).folder);
    silenceLlama(library.folder);
    return library;
  })();
}

const CONTEXT: LoadContext = { onProgress: () => {}, ownNativeFolder: "" };
let generating: Promise<RunnerModel> | undefined;
function tiny(): Promise<RunnerModel> {
  return generating ??= llama().then((library) => loadModel(library, SETTINGS, CONTEXT));
}

/** Answers of one decoder by id, each resolving when it has finished. */
async function startDecoder(loading = tiny()) {
  const finished = new Map<number, (events: AddressedEvent["event"][]) => void>();
  const seen = new Map<number, AddressedEvent["event"][]>();
  const model = await loading;
  const decoder = new Decoder(model, (events) => {
    for (const { id, event } of events) {
      const list = seen.get(id) ?? [];
      list.push(event);
      seen.set(id, list);
      if (event.kind === "finished") finished.get(id)?.(list);
    }
  });
  decoder.run();
  const ask = (id: number, changes: Partial<SequenceRequest> = {}, unreadTokensMax?: number) => {
    const { promise, resolve } = Promise.withResolvers<AddressedEvent["event"][]>();
    finished.set(id, resolve);
    decoder.submit(id, { ...REQUEST, ...changes }, unreadTokensMax);
    return promise.then((events) => ({ events, text: textOf(events, model) }));
  };
  const tokensOf = (id: number) =>
    (seen.get(id) ?? []).reduce(
      (sum, event) => sum + (event.kind === "tokens" ? event.tokens.length : 0),
      0,
    );
  return { decoder, ask, model, tokensOf };
}

function cachedTokens({ events }: { readonly events: readonly AddressedEvent["event"][] }) {
  const [started] = events;
  return started?.kind === "started" ? started.cachedTokens : undefined;
}

function textOf(events: readonly AddressedEvent["event"][], model: RunnerModel): string {
  const tokens = events.flatMap((event) => event.kind === "tokens" ? event.tokens : []);
  return new TextDecoder().decode(model.vocabulary.detokenize(tokens.map(({ token }) => token)));
}

/** libllama stays open for the life of the process, as it does in a runner. */
function test(name: string, fn: () => Promise<void>): void {
  Deno.test({ name, fn, sanitizeResources: false, sanitizeOps: false });
}

test("openLlama() finds the libraries, and their structs are as the layouts say", async () => {
  const library = await llama();
  assert.match(library.buildText, /^llama\.cpp-0\.4\.0\//);
  for (const device of library.gpus) {
    const { freeBytes, totalBytes } = device.memory();
    assert.ok(freeBytes <= totalBytes);
  }
});

test("openLlama() refuses a folder without libraries", async () => {
  const folder = await Deno.makeTempDir();
  assert.throws(() => openLlama(folder), { code: "load_failed", message: /ggml-base/ });
  await Deno.remove(folder);
});

test("loadModel() tells what was loaded", async () => {
  const { facts } = await tiny();
  assert.equal(facts.contextTokens, 128);
  assert.equal(facts.trainingContextTokens, 1024);
  assert.equal(facts.vocabularyTokens, 2560);
  assert.equal(facts.eosText, "<|im_end|>");
  assert.ok(facts.memoryBytes > 4_000_000);
});

test("loadModel() refuses adapters and files that are none", async () => {
  const library = await llama();
  const path = await Deno.makeTempFile();
  const wrong = [{ adapterPaths: [path] }, { modelPath: path }];
  for (const change of wrong) {
    const loading = loadModel(library, { ...SETTINGS, ...change }, CONTEXT);
    await assert.rejects(loading, { code: "load_failed" });
  }
  await Deno.remove(path);
});

test("Vocabulary takes texts apart and puts them together", async () => {
  const { vocabulary } = await tiny();
  const text = "<|im_start|>Grüße 🦊 " + "x".repeat(300);
  const tokens = vocabulary.tokenize(text, false);
  assert.equal(new TextDecoder().decode(vocabulary.detokenize(tokens)), text);
  const [control] = tokens;
  assert.ok(control !== undefined && vocabulary.piece(control).length === 0);
  const shown = vocabulary.tokensOf(["<|im_start|>", "no single token", ""]);
  assert.deepEqual([...shown], [control]);
  assert.equal(new TextDecoder().decode(vocabulary.piece(control, shown)), "<|im_start|>");
  assert.equal(vocabulary.piece(control).length, 0);
  assert.deepEqual([vocabulary.has(-1), vocabulary.has(2560), vocabulary.has(0.5)], [
    false,
    false,
    false,
  ]);
});

test("Decoder answers several at once, each as alone", async () => {
  const { ask } = await startDecoder();
  const alone = await ask(1);
  const together = await Promise.all([ask(2), ask(3), ask(4)]);
  assert.match(alone.text, /I am tiny/);
  for (const { text } of together) assert.equal(text, alone.text);
  const kinds = alone.events.map(({ kind }) => kind);
  assert.equal(kinds[0], "started");
  assert.equal(kinds.at(-1), "finished");
});

test("Decoder computes a prefix once that several ask for at once", async () => {
  const { ask } = await startDecoder();
  const prefix = Array.from({ length: 90 }, (_, index) => 300 + index);
  const about = (last: number) => ({
    prompt: { kind: "tokens", tokens: [...prefix, last, last + 1] } as const,
    predictTokensMax: 8,
  });
  const alone = [await ask(1, about(700)), await ask(2, about(800))];
  // Makes both slots forget.
  await Promise.all(
    [900, 1200].map((token, index) =>
      ask(3 + index, { prompt: { kind: "tokens", tokens: new Array(100).fill(token) } })
    ),
  );
  const together = await Promise.all([ask(5, about(700)), ask(6, about(800)), ask(7, about(900))]);
  assert.deepEqual(together.map(cachedTokens), [0, 90, 90]);
  assert.deepEqual(together.slice(0, 2).map(({ text }) => text), alone.map(({ text }) => text));
});

test("Decoder keeps what slots give up in memory, and gives it back: as if it had been computed", async () => {
  const settings = { ...SETTINGS, slots: 1, cacheMemoryBytes: 1024 ** 2 };
  const { ask } = await startDecoder(loadModel(await llama(), settings, CONTEXT));
  const talk = (first: number, length: number) => ({
    prompt: {
      kind: "tokens",
      tokens: Array.from({ length }, (_, index) => first + index),
    } as const,
    predictTokensMax: 8,
  });
  const first = await ask(1, talk(300, 100));
  const other = await ask(2, talk(1300, 100));
  const again = await ask(3, talk(300, 100));
  assert.deepEqual([first, other, again].map(cachedTokens), [0, 0, 99]);
  assert.equal(again.text, first.text);
  const otherAgain = await ask(4, talk(1300, 90));
  assert.equal(cachedTokens(otherAgain), 89);
});

test("Decoder goes on with who waits for a prefix when whoever computes it leaves", async () => {
  const { ask, decoder } = await startDecoder();
  const tokens = Array.from({ length: 100 }, (_, index) => 1500 + index);
  const leader = ask(1, { prompt: { kind: "tokens", tokens } });
  const follower = ask(2, { prompt: { kind: "tokens", tokens: [...tokens.slice(0, 90), 7, 8] } });
  decoder.cancel(1);
  assert.equal((await follower).events.at(-1)?.kind, "finished");
  const last = (await leader).events.at(-1);
  assert.equal(last?.kind === "finished" && last.reason, "cancelled");
});

test("Decoder pauses an answer that nobody reads, goes on with the others, and then with it", async () => {
  const { ask, decoder, tokensOf } = await startDecoder();
  const alone = await ask(1);
  const unread = ask(2, {}, 5);
  // More than fit beside it: those that wait must not spin for the slot that is held.
  const others = await Promise.all([ask(3), ask(4), ask(5)]);
  for (const { text } of others) assert.equal(text, alone.text);
  assert.equal(tokensOf(2), 5);
  decoder.taken(2, 3);
  await ask(6);
  assert.equal(tokensOf(2), 8);
  decoder.taken(2, Infinity);
  assert.equal((await unread).text, alone.text);
});

test("Decoder ends a paused answer when it is cancelled, and gives its slot away", async () => {
  const { ask, decoder, tokensOf } = await startDecoder();
  const paused = [ask(1, {}, 1), ask(2, {}, 1)];
  while (tokensOf(1) + tokensOf(2) < 2) await new Promise((resolve) => setTimeout(resolve, 1));
  const waiting = ask(3);
  // Who waits for a paused slot must not keep the process from its other work: this turn would never come.
  await new Promise((resolve) => setTimeout(resolve));
  decoder.cancel(1);
  decoder.cancel(2);
  for (const { events } of await Promise.all(paused)) {
    const last = events.at(-1);
    assert.equal(last?.kind === "finished" && last.reason, "cancelled");
  }
  assert.match((await waiting).text, /I am tiny/);
});

test("Decoder draws by seed, under penalties, and scores what it drew", async () => {
  const { ask } = await startDecoder();
  const sampler = {
    ...REQUEST.sampler,
    temperature: 1.5,
    repeatPenalty: 1.2,
    presencePenalty: 0.1,
    frequencyPenalty: 0.1,
    repeatLastTokens: -1,
  };
  const first = await ask(1, { sampler, topLogprobs: 2 });
  const second = await ask(2, { sampler, topLogprobs: 2 });
  assert.equal(first.text, second.text);
  const [token] = first.events.flatMap((event) => event.kind === "tokens" ? event.tokens : []);
  assert.equal(token?.topLogprobs?.length, 2);
  assert.ok((token?.logprob ?? 1) <= 0);
});

test("Decoder keeps an answer inside its grammar and continues one inside it", async () => {
  const { ask, model } = await startDecoder();
  const grammar = `root ::= "yes" | "no"\n`;
  const whole = await ask(1, { grammar });
  assert.match(whole.text, /^(yes|no)$/);
  const emittedTokens = model.vocabulary.tokenize(whole.text.slice(0, 1), false);
  const rest = await ask(2, { grammar, emittedTokens });
  assert.match(whole.text.slice(0, 1) + rest.text, /^(yes|no)$/);
});

test("Decoder refuses what can't be answered", async () => {
  const { ask, model } = await startDecoder();
  const refusals: [Partial<SequenceRequest>, string][] = [
    [{ grammar: "root ::= (" }, "invalid_format"],
    [
      { grammar: "root ::= [a]", emittedTokens: model.vocabulary.tokenize("1", false) },
      "invalid_request",
    ],
    [{ prompt: { kind: "tokens", tokens: [99_999] } }, "invalid_request"],
    [
      { prompt: { kind: "tokens", tokens: new Array(200).fill(5) }, onLongPrompt: "refuse" },
      "prompt_too_long",
    ],
  ];
  for (const [changes, code] of refusals) {
    assert.throws(
      () => ask(1, changes),
      (error) => error instanceof RequestError && error.code === code,
    );
  }
});

test("Decoder shifts a full window or stops there, and cancels at once", async () => {
  const { ask, decoder } = await startDecoder();
  const endless = {
    grammar: "root ::= [a-z] root\n",
    prompt: { kind: "tokens", tokens: new Array(120).fill(300) },
  } as const;
  const shifted = await ask(1, endless);
  assert.equal(shifted.text.length >= 40, true);
  const stopped = await ask(2, { ...endless, onFullContext: "stop" });
  const count = stopped.events.filter(({ kind }) => kind === "tokens").length;
  assert.equal(count, 9);
  const running = ask(3, { ...endless, predictTokensMax: 1e9 });
  decoder.cancel(3);
  const last = (await running).events.at(-1);
  assert.equal(last?.kind === "finished" && last.reason, "cancelled");
});

test("Embedder computes vectors of length 1, in batches, and cuts or refuses long inputs", async () => {
  const settings = { ...SETTINGS, mode: "embed", batchTokens: 32 } as const;
  const model = await loadModel(await llama(), settings, CONTEXT);
  const embedder = new Embedder(model);
  const long = "The fox walks home. ".repeat(30);
  const inputs = ["", "one two", long, "one two"];
  const { vectors } = await embedder.embed({ id: 1, inputs, onLongInput: "truncate" });
  for (const vector of vectors) assert.ok(Math.abs(Math.hypot(...vector) - 1) < 1e-5);
  assert.equal(vectors.length, 4);
  await assert.rejects(embedder.embed({ id: 1, inputs: [long], onLongInput: "refuse" }), {
    code: "prompt_too_long",
  });
});

/** The same model, proven exact, with and without drafts, which are told to cost nothing. */
let drafting: Promise<{ readonly plain: RunnerModel; readonly drafted: RunnerModel }> | undefined;
function exactTiny() {
  return drafting ??= (async () => {
    const library = await llama();
    const settings = { ...SETTINGS, exact: "on", speculates: true } as const;
    const plain = await loadModel(library, { ...settings, speculates: false }, CONTEXT);
    assert.ok(plain.proof?.draftCosts !== undefined, "they were measured");
    const proofs = [{ ...plain.proof, draftCosts: [0.01, 0.01, 0.01, 0.01] }];
    return { plain, drafted: await loadModel(library, { ...settings, proofs }, CONTEXT) };
  })();
}

function draftsOf(events: readonly AddressedEvent["event"][]) {
  const last = events.at(-1);
  return last?.kind === "finished" ? last.drafts : undefined;
}

function tokensIn(events: readonly AddressedEvent["event"][]) {
  return events.flatMap((event) => event.kind === "tokens" ? event.tokens : []);
}

/** What readers and journals see of an answer. */
function told(events: readonly AddressedEvent["event"][]) {
  const last = events.at(-1);
  return [...tokensIn(events), last?.kind === "finished" && last.reason];
}

const REPEATS = [...Array(3)].flatMap(() => Array.from({ length: 12 }, (_, at) => 300 + 7 * at));
const DRAFTED: Readonly<Record<string, Partial<SequenceRequest>>> = {
  "greedily": {},
  "by seed": { sampler: { ...REQUEST.sampler, temperature: 0.5, seed: 3 } },
  "under penalties": {
    sampler: { ...REQUEST.sampler, temperature: 0.7, repeatPenalty: 1.1, repeatLastTokens: -1 },
  },
  "with log probabilities": { topLogprobs: 3 },
  "inside a grammar": {
    sampler: { ...REQUEST.sampler, temperature: 0.5 },
    grammar: "root ::= [a-d ] root\n",
  },
  "over a full window": { predictTokensMax: 300 },
  "up to a full window": { predictTokensMax: 300, onFullContext: "stop" },
};

for (const [how, changes] of Object.entries(DRAFTED)) {
  test(`Decoder writes ${how} what it writes token by token, several at once`, async () => {
    const { plain, drafted } = await exactTiny();
    const request: Partial<SequenceRequest> = {
      prompt: { kind: "tokens", tokens: REPEATS },
      ...{ predictTokensMax: 60, topLogprobs: 0 },
      ...changes,
    };
    const one = await (await startDecoder(Promise.resolve(plain))).ask(1, request);
    const { ask } = await startDecoder(Promise.resolve(drafted));
    const several = await ask(1, request);
    const { drafted: tried = 0, accepted = 0 } = draftsOf(several.events) ?? {};
    assert.ok(accepted > 0, `${accepted} of ${tried} were drawn`);
    if (how === "over a full window") assert.ok(accepted < tried, "some were not drawn");
    assert.deepEqual(told(several.events), told(one.events));
    assert.equal(draftsOf(one.events), undefined);
    // What was computed of tokens that were not drawn is gone: the answer goes on in its own cells.
    const emitted = tokensIn(one.events).map(({ token }) => token);
    const on = { ...request, emittedTokens: emitted.slice(0, 20), speculates: false };
    const again = await ask(2, on);
    assert.equal(draftsOf(again.events), undefined, "it was asked not to");
    assert.deepEqual(told(again.events), told(one.events).slice(20));
  });
}

test("Decoder computes nothing ahead of the end of its window", async () => {
  const { plain, drafted } = await exactTiny();
  const one = await startDecoder(Promise.resolve(plain));
  const several = await startDecoder(Promise.resolve(drafted));
  let accepted = 0;
  for (let extra = 0; extra < 6; extra++) {
    const tokens = [...Array(40)].flatMap(() => [300, 307, 314]).slice(0, 105 + extra);
    const prompt = { kind: "tokens", tokens } as const;
    const request = {
      prompt,
      predictTokensMax: 30,
      topLogprobs: 0,
      onFullContext: "shift",
    } as const;
    const { events } = await several.ask(extra + 1, request);
    assert.deepEqual(told(events), told((await one.ask(extra + 1, request)).events));
    accepted += draftsOf(events)?.accepted ?? 0;
  }
  assert.ok(accepted > 0);
});

test("Decoder computes no more ahead than its reader has room for, and nothing beside others", async () => {
  const { drafted } = await exactTiny();
  const { ask, tokensOf, decoder } = await startDecoder(Promise.resolve(drafted));
  const request = { prompt: { kind: "tokens", tokens: REPEATS } } as const;
  const whole = await ask(1, request);
  for (let unread = 15; unread < 30; unread++) {
    const paused = ask(unread, request, unread);
    while (tokensOf(unread) < unread) await new Promise((resolve) => setTimeout(resolve, 1));
    await ask(2, { ...request, predictTokensMax: 1 });
    assert.equal(tokensOf(unread), unread);
    decoder.taken(unread, Infinity);
    assert.deepEqual(told((await paused).events), told(whole.events));
  }
  const together = await Promise.all([ask(4, request), ask(5, request)]);
  for (const { events } of together) {
    assert.deepEqual(told(events), told(whole.events));
    assert.equal(draftsOf(events), undefined);
  }
});
