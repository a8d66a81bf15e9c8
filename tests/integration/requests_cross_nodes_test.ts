import assert from "node:assert/strict";
import { Random } from "../../src/base/mod.ts";
import type { Answer, ChatRequest, GenerateRequest } from "../../src/ports/mod.ts";
import {
  SCRIPTED_ANSWER,
  SCRIPTED_TOKENS,
  scriptedDefinition,
  ScriptedEngine,
} from "../harness/scripted_engine.ts";
import { nodeIdOf, ServingCluster } from "../harness/serving_cluster.ts";
import { SimulatedNetwork } from "../harness/simulated_transport.ts";

const never = new AbortController().signal;

const FIELDS = {
  model: "m",
  options: {},
  truncate: true,
  shift: true,
  topLogprobs: -1,
  debugRenderOnly: false,
} as const;

function generate(changes: Partial<GenerateRequest> = {}): GenerateRequest {
  return { ...FIELDS, prompt: "hi", suffix: "", raw: false, images: [], ...changes };
}

/** How often a fault struck: a test whose fault missed has shown nothing. */
class Fault {
  count = 0;
}

/** A cluster of scripted nodes; those in `holders` have the model. */
class Scene implements AsyncDisposable {
  readonly network: SimulatedNetwork;
  readonly cluster: ServingCluster;
  readonly engines = new Map<string, ScriptedEngine>();

  constructor(
    nodes: { names: string; holders: string; slots?: number; queue?: number; seed?: number },
  ) {
    this.network = new SimulatedNetwork({ seed: nodes.seed ?? 1 });
    this.cluster = new ServingCluster(scriptedDefinition(), this.network);
    for (const name of nodes.names) {
      const engine = new ScriptedEngine(this.network.clock);
      this.engines.set(name, engine);
      this.cluster.start({
        name,
        engine,
        holds: nodes.holders.includes(name),
        ...(nodes.slots === undefined ? {} : { slots: nodes.slots }),
        ...(nodes.queue === undefined ? {} : { queueRequestsMax: nodes.queue }),
      });
    }
  }

  engine(name: string): ScriptedEngine {
    const engine = this.engines.get(name);
    assert.ok(engine !== undefined);
    return engine;
  }

  /** Sets a fault that strikes once, just before the node's runner makes a token. */
  strikeAt(name: string, token: number, fault: () => void): Fault {
    const struck = new Fault();
    this.engine(name).onToken = (position) => {
      if (position < token || struck.count > 0) return;
      struck.count++;
      fault();
    };
    return struck;
  }

  /** Runs that went on behind tokens of another, on this node. */
  resumedOn(name: string): number {
    return this.engine(name).asked.filter(({ emittedTokens }) => emittedTokens.length > 0).length;
  }

  /** Runners that requests of a node have lost. */
  lossesSeenBy(name: string): number {
    const { lines } = this.cluster.node(name).telemetry;
    return lines.filter(({ event }) => event === "answer_lost_its_runner").length;
  }

  /** Lets virtual time pass until `work` is done. */
  async until<T>(work: Promise<T>, limitMs = 120_000): Promise<T> {
    let isDone = false;
    const settled = work.finally(() => isDone = true);
    settled.catch(() => {});
    for (let ms = 0; !isDone && ms < limitMs; ms += 10) await this.network.advance(10);
    assert.ok(isDone, `not done after ${limitMs} ms`);
    return await settled;
  }

  /** The whole answer that a client of node `at` gets. */
  async ask(at: string, request = generate(), signal = never): Promise<string> {
    return await this.until(this.#read(at, request, signal));
  }

  async #read(at: string, request: GenerateRequest, signal: AbortSignal): Promise<string> {
    return await textOf(await this.cluster.node(at).inference.generate(request, signal));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.cluster[Symbol.asyncDispose]();
  }
}

async function textOf(answer: Answer): Promise<string> {
  assert.ok(answer.kind === "stream");
  let text = "";
  let done = 0;
  for await (const chunk of answer.chunks) {
    if (chunk.kind === "text") text += chunk.content;
    else done++;
  }
  assert.equal(done, 1);
  return text;
}

Deno.test("A node without the model answers through one that holds it", async () => {
  await using scene = new Scene({ names: "ab", holders: "b" });
  const answer = await scene.until(scene.cluster.node("a").inference.generate(generate(), never));
  assert.ok(answer.kind === "stream");
  assert.equal(answer.servedBy?.(), "b");
  assert.equal(await scene.until(textOf(answer)), SCRIPTED_ANSWER);
  assert.equal(scene.engine("a").loads, 0);
  const [asked] = scene.engine("b").asked;
  assert.equal(
    asked?.prompt.kind === "text" && asked.prompt.text,
    "<system>be kind<user>hi",
    "rendered where it came in, with the holder's template and system text",
  );
  await scene.network.advance(50);
  assert.deepEqual(scene.cluster.heldSlots(), { a: 0, b: 0 });
});

Deno.test("An answer loses and repeats no byte whichever token its node dies at", async () => {
  for (let at = 0; at < SCRIPTED_TOKENS; at++) {
    await using scene = new Scene({ names: "abc", holders: "bc", seed: at });
    scene.engine("b").onToken = (position) => {
      if (position === at) void scene.cluster.kill("b");
    };
    assert.equal(await scene.ask("a"), SCRIPTED_ANSWER, `killed at token ${at}`);
    const [resumed] = scene.engine("c").asked;
    assert.ok(resumed !== undefined && resumed.emittedTokens.length <= at, `killed at ${at}`);
    await scene.network.advance(50);
    assert.deepEqual(scene.cluster.heldSlots(), { a: 0, b: 0, c: 0 });
  }
});

const TROUBLES = ["kill_runners", "cut_off", "suspect", "kill_node"] as const;

function trouble(scene: Scene, name: string, kind: typeof TROUBLES[number]): void {
  switch (kind) {
    case "kill_runners":
      return scene.engine(name).killRunners();
    case "cut_off":
      return scene.network.partition([nodeIdOf("a")], [nodeIdOf(name)]);
    case "suspect":
      return scene.cluster.suspect(name);
    case "kill_node":
      return void scene.cluster.kill(name);
  }
}

Deno.test("An answer survives random deaths, cuts, doubts and runners lost, one after another", async () => {
  const struck: string[] = [];
  for (let seed = 1; seed <= 40; seed++) {
    const random = new Random(seed);
    await using scene = new Scene({ names: "abcd", holders: "bcd", seed });
    scene.network.shape({ delayMs: random.below(30), jitterMs: random.below(20) });
    const struckHere: string[] = [];
    // The last one is spared: who would answer?
    for (const name of "bc") {
      const kind = TROUBLES[random.below(TROUBLES.length)] ?? "suspect";
      scene.strikeAt(name, random.below(SCRIPTED_TOKENS), () => {
        struckHere.push(kind);
        trouble(scene, name, kind);
      });
    }
    assert.equal(await scene.ask("a"), SCRIPTED_ANSWER, `seed ${seed}`);
    const runs = [..."bcd"].reduce((sum, name) => sum + scene.engine(name).asked.length, 0);
    // A node that is only suspected goes on; whatever else strikes costs a run.
    const costly = struckHere.filter((kind) => kind !== "suspect").length;
    assert.ok(runs >= 1 + costly, `seed ${seed}: ${struckHere} cost ${runs} runs`);
    struck.push(...struckHere);
    // A node that was only cut off frees its slot by itself.
    await scene.network.advance(20_000);
    assert.deepEqual(scene.cluster.heldSlots(), { a: 0, b: 0, c: 0, d: 0 }, `seed ${seed}`);
  }
  for (const kind of TROUBLES) assert.ok(struck.includes(kind), `${kind} never struck`);
});

Deno.test("A silent node costs an answer some two seconds, and no more than three", async () => {
  await using scene = new Scene({ names: "abc", holders: "bc" });
  const undisturbed = await timed(scene, () => scene.ask("a"));
  const fault = scene.strikeAt("b", 9, () => void scene.cluster.kill("b"));
  const costMs = await timed(scene, () => scene.ask("a")) - undisturbed;
  assert.deepEqual([fault.count, scene.resumedOn("c")], [1, 1]);
  assert.ok(costMs > 1_500 && costMs < 3_000, `${costMs} ms`);
});

Deno.test("A node that is gone and suspected costs an answer less than a second", async () => {
  await using scene = new Scene({ names: "abc", holders: "bc" });
  const undisturbed = await timed(scene, () => scene.ask("a"));
  const fault = scene.strikeAt("b", 9, () => {
    void scene.cluster.kill("b");
    scene.cluster.suspect("b");
  });
  const costMs = await timed(scene, () => scene.ask("a")) - undisturbed;
  assert.deepEqual([fault.count, scene.resumedOn("c")], [1, 1]);
  assert.ok(costMs > 500 && costMs < 1_000, `${costMs} ms`);
});

Deno.test("An answer stays with a node that is suspected again and again and goes on answering", async () => {
  await using scene = new Scene({ names: "abc", holders: "bc" });
  let doubts = 0;
  scene.engine("b").onToken = () => {
    doubts++;
    scene.cluster.suspect("b");
  };
  assert.equal(await scene.ask("a"), SCRIPTED_ANSWER);
  assert.equal(doubts, SCRIPTED_TOKENS);
  assert.equal(scene.cluster.node("b").health, "suspect");
  assert.deepEqual([scene.engine("b").asked.length, scene.engine("c").asked.length], [1, 0]);
});

async function timed(scene: Scene, work: () => Promise<unknown>): Promise<number> {
  const startedMs = scene.network.clock.monotonicMs();
  await work();
  return scene.network.clock.monotonicMs() - startedMs;
}

Deno.test("A runner that dies on the only holder is replaced there", async () => {
  await using scene = new Scene({ names: "ab", holders: "b" });
  const engine = scene.engine("b");
  const fault = scene.strikeAt("b", 7, () => engine.killRunners());
  assert.equal(await scene.ask("a"), SCRIPTED_ANSWER);
  assert.deepEqual([fault.count, engine.loads, scene.resumedOn("b")], [1, 2, 1]);
});

Deno.test("When the only holder dies, the answer ends with an error that says so", async () => {
  await using scene = new Scene({ names: "ab", holders: "b" });
  scene.engine("b").onToken = (position) => {
    if (position === 7) void scene.cluster.kill("b");
  };
  await assert.rejects(scene.ask("a"), {
    code: "node_unreachable",
    message: /no node that holds the model can be reached/,
  });
});

Deno.test("The only holder goes on with the answer after it was cut off for 8 s", async () => {
  for (const ways of ["one", "both"]) {
    await using scene = new Scene({ names: "ab", holders: "b" });
    const fault = scene.strikeAt("b", 7, () => {
      scene.network.cut(nodeIdOf("b"), nodeIdOf("a"));
      if (ways === "both") scene.network.cut(nodeIdOf("a"), nodeIdOf("b"));
      scene.network.clock.after(8_000, () => scene.network.heal());
    });
    const tookMs = await timed(scene, async () => {
      assert.equal(await scene.ask("a"), SCRIPTED_ANSWER, ways);
    });
    assert.equal(fault.count, 1);
    assert.ok(tookMs > 8_000, `${ways}: whole after ${tookMs} ms, before the network was`);
    await scene.network.advance(1_000);
    assert.deepEqual(scene.cluster.heldSlots(), { a: 0, b: 0 });
  }
});

Deno.test("A client that leaves frees the slot on the other node within a batch", async () => {
  await using scene = new Scene({ names: "ab", holders: "b" });
  const abort = new AbortController();
  let producedMax = 0;
  scene.engine("b").onToken = (position) => {
    producedMax = position;
    if (position === 5) abort.abort(new Error("gone"));
  };
  await assert.rejects(scene.ask("a", generate(), abort.signal), /gone/);
  await scene.network.advance(100);
  assert.deepEqual(scene.cluster.heldSlots(), { a: 0, b: 0 });
  assert.ok(producedMax >= 5 && producedMax <= 7, `went on to token ${producedMax}`);
});

Deno.test("The death of the node that asks frees the slot on the node that serves", async () => {
  await using scene = new Scene({ names: "ab", holders: "b", slots: 1 });
  const asking = scene.cluster.node("a").inference.generate(generate(), never);
  await scene.until(asking);
  assert.equal(scene.cluster.heldSlots()["b"], 1);
  scene.network.crash(nodeIdOf("a"));
  await scene.network.advance(10_000);
  assert.equal(scene.cluster.heldSlots()["b"], 0);
});

Deno.test("A full queue sends requests to another node, and only all full ones refuse", async () => {
  await using scene = new Scene({ names: "ab", holders: "ab", slots: 1, queue: 1 });
  // Requests for a model that loads all wait; so both have it loaded first.
  for (const name of "ab") scene.cluster.node(name).drained = name === "a";
  await scene.ask("b");
  for (const name of "ab") scene.cluster.node(name).drained = name === "b";
  await scene.ask("a");
  scene.cluster.node("b").drained = false;
  // Two run, two wait.
  const accepted = Array.from({ length: 4 }, async () => {
    return await textOf(await scene.cluster.node("a").inference.generate(generate(), never));
  });
  await scene.network.advance(200);
  await assert.rejects(scene.ask("a"), { code: "queue_full", status: 503 });
  assert.deepEqual(await scene.until(Promise.all(accepted)), new Array(4).fill(SCRIPTED_ANSWER));
  assert.deepEqual([scene.engine("a").asked.length, scene.engine("b").asked.length], [3, 3]);
});

Deno.test("Embeddings cross nodes, and survive the death of the node that computes them", async () => {
  await using scene = new Scene({ names: "abc", holders: "bc" });
  const request = { model: "m", inputs: ["a", "bcd"], truncate: true, options: {} };
  const embed = (inputs = request.inputs) =>
    scene.cluster.node("a").inference.embed({ ...request, inputs }, never);
  const answer = await scene.until(embed());
  assert.deepEqual(answer.vectors, [new Float32Array([1, 0.5]), new Float32Array([3, 0.5])]);
  assert.equal(answer.servedBy, "b");
  await assert.rejects(scene.until(embed(["x".repeat(101)])), {
    code: "prompt_too_long",
    message: "the input length exceeds the context length",
  });
  const again = embed();
  await scene.network.advance(8);
  assert.equal(scene.cluster.heldSlots()["b"], 1);
  await scene.cluster.kill("b");
  assert.equal((await scene.until(again)).servedBy, "c");
  assert.equal(scene.lossesSeenBy("a"), 1);
});

Deno.test("A conversation is shortened with another node's tokens, whose node may die meanwhile", async () => {
  const messages = Array.from({ length: 12 }, (_, index) => ({
    role: index % 2 === 0 ? "user" : "assistant",
    content: `${index} ${"long ".repeat(6)}`,
  }));
  const request: ChatRequest = { ...FIELDS, messages, tools: [] };
  for (const killAfterMs of [Infinity, 30, 50, 70, 90]) {
    await using scene = new Scene({ names: "abc", holders: "bc" });
    const answer = scene.cluster.node("a").inference.chat(request, never).then(textOf);
    if (killAfterMs < Infinity) {
      await scene.network.advance(killAfterMs);
      await scene.cluster.kill("b");
    }
    assert.equal(await scene.until(answer), SCRIPTED_ANSWER, `killed after ${killAfterMs} ms`);
    const wantedLosses = killAfterMs < Infinity ? 1 : 0;
    assert.equal(scene.lossesSeenBy("a"), wantedLosses, `killed after ${killAfterMs} ms`);
  }
});

Deno.test("Unloading reaches every node, and loading goes where the model is", async () => {
  await using scene = new Scene({ names: "abc", holders: "bc" });
  const { inference } = scene.cluster.node("a");
  const loaded = await scene.until(inference.generate(generate({ prompt: "" }), never));
  assert.deepEqual(loaded, { kind: "load", servedBy: "b" });
  const instances = () =>
    [..."abc"].map((name) => scene.cluster.node(name).driver.view().instances.length);
  assert.deepEqual(instances(), [0, 1, 0]);
  await scene.until(inference.generate(generate({ prompt: "", keepAliveMs: 0 }), never));
  await scene.network.advance(1_000);
  assert.deepEqual(instances(), [0, 0, 0]);
});

Deno.test("A drained node gets nothing new while another holds the model", async () => {
  await using scene = new Scene({ names: "abc", holders: "bc" });
  scene.cluster.node("b").drained = true;
  assert.equal(await scene.ask("a"), SCRIPTED_ANSWER);
  assert.deepEqual([scene.engine("b").asked.length, scene.engine("c").asked.length], [0, 1]);
  scene.cluster.node("c").health = "down";
  assert.equal(await scene.ask("a"), SCRIPTED_ANSWER);
  assert.equal(scene.engine("b").asked.length, 1);
});

Deno.test("A dead node that nobody has noticed costs one request about a second, and the next nothing", async () => {
  await using scene = new Scene({ names: "abc", holders: "bc" });
  for (const name of "cb") {
    scene.cluster.node(name === "b" ? "c" : "b").drained = true;
    scene.cluster.node(name).drained = false;
    await scene.ask("a");
  }
  const undisturbed = await timed(scene, () => scene.ask("a"));
  scene.cluster.node("c").drained = false;
  await scene.cluster.kill("b");
  const first = await timed(scene, () => scene.ask("a"));
  assert.ok(first - undisturbed >= 900 && first - undisturbed < 1_300, `${first - undisturbed} ms`);
  const second = await timed(scene, () => scene.ask("a"));
  assert.ok(second - undisturbed < 100, `${second - undisturbed} ms`);
});
