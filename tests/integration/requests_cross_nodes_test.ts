import assert from "node:assert/strict";
import { Random } from "../../src/base/mod.ts";
import type { Answer, ChatRequest, GenerateRequest } from "../../src/ports/mod.ts";
import { NodeWorld, type NodeWorldOptions } from "../harness/node_world.ts";
import { SCRIPTED_ANSWER, SCRIPTED_TOKENS, ScriptedEngine } from "../harness/scripted_engine.ts";

/** Until nodes have told of a change of their load. */
const LOADS_TOLD_MS = 3_000;

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

/**
 * A cluster of whole nodes with scripted engines; those in `holders` have the model, and node 1 is asked. Only the first of them
 * has it loaded: equals would be drawn.
 */
class Scene implements AsyncDisposable {
  readonly world: NodeWorld;
  readonly #engines: Map<number, ScriptedEngine>;

  private constructor(world: NodeWorld, engines: Map<number, ScriptedEngine>) {
    this.world = world;
    this.#engines = engines;
  }

  static async open(nodes: {
    readonly count: number;
    readonly holders: readonly number[];
    readonly flags?: NodeWorldOptions["flags"];
    readonly seed?: number;
  }): Promise<Scene> {
    const engines = new Map<number, ScriptedEngine>();
    const world = await NodeWorld.start(nodes.count, {
      seed: nodes.seed ?? 1,
      flags: {
        slots: "2",
        queueRequestsMax: "16",
        replicas: `${nodes.holders.length}`,
        ...nodes.flags,
      },
      engine: (clock, number) => {
        const engine = new ScriptedEngine(clock);
        engines.set(number, engine);
        return engine;
      },
    });
    await world.createModel(...nodes.holders);
    const scene = new Scene(world, engines);
    await scene.#loadOnFirst(nodes.holders);
    return scene;
  }

  async #loadOnFirst([, ...others]: readonly number[]): Promise<void> {
    if (others.length === 0 || others.length === this.world.running.length - 1) return;
    for (const number of others) await this.world.drain(number);
    await this.world.settle(this.generate(generate({ prompt: "" })));
    for (const number of others) await this.world.drain(number, false);
    await this.world.advance(LOADS_TOLD_MS);
  }

  /** In the present life of a node. */
  engine(number: number): ScriptedEngine {
    const engine = this.#engines.get(number);
    assert.ok(engine !== undefined);
    return engine;
  }

  /** Sets a fault that strikes once, just before the node's runner makes a token. */
  strikeAt(number: number, token: number, fault: () => void): Fault {
    const struck = new Fault();
    this.engine(number).onToken = (position) => {
      if (position < token || struck.count > 0) return;
      struck.count++;
      fault();
    };
    return struck;
  }

  /** Nothing passes between two nodes; the others, where there are any, hear both. */
  cut(one: number, other: number): void {
    const [left, right] = [one, other].map((number) => this.world.machine(number).nodeId);
    assert.ok(left !== undefined && right !== undefined);
    this.world.network.partition([left], [right]);
  }

  /** Gossip suspects a node, everywhere. */
  suspect(number: number): void {
    const { nodeId } = this.world.machine(number);
    for (const at of this.world.running) this.world.node(at).serving.onPeerDoubted(nodeId);
  }

  /** Slots that are held now, on the nodes that run. */
  heldSlots(): readonly number[] {
    return this.world.running.map((number) => this.world.node(number).driver.view().running);
  }

  /** Nodes that node 1 knows to be alive and to have the model. */
  holdersNow(): readonly string[] {
    const { cluster, machinery } = this.world.node(1);
    const [model] = machinery.group.catalogue.models();
    return cluster.views.holders(model?.manifestDigest ?? "")
      .filter(({ health }) => health === "alive").map(({ name }) => name);
  }

  /** Every slot is given back within a while. */
  async slotsFree(withinMs: number, message?: string): Promise<void> {
    await this.world.advance(withinMs);
    assert.deepEqual(this.heldSlots(), this.world.running.map(() => 0), message);
  }

  /** Runs that went on behind tokens of another, on this node. */
  resumedOn(number: number): number {
    return this.engine(number).asked.filter(({ emittedTokens }) => emittedTokens.length > 0).length;
  }

  /** Runners that requests of node 1 have lost. */
  get losses(): number {
    const { lines } = this.world.machine(1).telemetry;
    return lines.filter(({ event }) => event === "answer_lost_its_runner").length;
  }

  generate(request = generate(), signal = never): Promise<Answer> {
    return this.world.node(1).api.generate(request, signal);
  }

  /** The whole answer that a client of node 1 gets. */
  async ask(request = generate(), signal = never): Promise<string> {
    return await this.world.settle(this.generate(request, signal).then(textOf), 120_000);
  }

  /** Milliseconds that an answer takes. */
  async timed(): Promise<number> {
    const { clock } = this.world.network;
    const startedMs = clock.monotonicMs();
    assert.equal(await this.ask(), SCRIPTED_ANSWER);
    return clock.monotonicMs() - startedMs;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.world[Symbol.asyncDispose]();
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
  await using scene = await Scene.open({ count: 2, holders: [2] });
  const answer = await scene.world.settle(scene.generate());
  assert.ok(answer.kind === "stream");
  assert.equal(answer.servedBy?.(), "n2");
  assert.equal(await scene.world.settle(textOf(answer)), SCRIPTED_ANSWER);
  assert.equal(scene.engine(1).loads, 0);
  const [asked] = scene.engine(2).asked;
  assert.equal(
    asked?.prompt.kind === "text" && asked.prompt.text,
    "<system>be kind<user>hi",
    "rendered where it came in, with the holder's template and system text",
  );
  await scene.slotsFree(50);
});

Deno.test("An answer loses and repeats no byte whichever token its node dies at", async () => {
  await using scene = await Scene.open({ count: 3, holders: [2, 3] });
  const { world } = scene;
  for (let at = 0; at < SCRIPTED_TOKENS; at++) {
    let killed = 0;
    for (const number of [2, 3]) {
      scene.engine(number).asked.length = 0;
      scene.strikeAt(number, at, () => {
        if (killed === 0) world.crash(killed = number);
      });
    }
    assert.equal(await scene.ask(), SCRIPTED_ANSWER, `killed at token ${at}`);
    assert.notEqual(killed, 0, `nobody was killed at token ${at}`);
    const [resumed] = scene.engine(5 - killed).asked;
    assert.ok(resumed !== undefined && resumed.emittedTokens.length <= at, `killed at ${at}`);
    await scene.slotsFree(50);
    await world.boot(killed);
    await world.until("it is back", () => scene.holdersNow().length === 2);
  }
});

const TROUBLES = ["kill_runners", "cut_off", "suspect", "kill_node"] as const;

function trouble(scene: Scene, number: number, kind: typeof TROUBLES[number]): void {
  switch (kind) {
    case "kill_runners":
      return scene.engine(number).killRunners();
    case "cut_off":
      return scene.cut(1, number);
    case "suspect":
      return scene.suspect(number);
    case "kill_node":
      return scene.world.crash(number);
  }
}

Deno.test("An answer survives random deaths, cuts, doubts and runners lost, one after another", async () => {
  const struck: string[] = [];
  for (let seed = 1; seed <= 5; seed++) {
    const random = new Random(seed);
    await using scene = await Scene.open({ count: 4, holders: [2, 3, 4], seed });
    for (let round = 1; round <= 8; round++) {
      struck.push(...await surviveTroubles(scene, random, `seed ${seed}, round ${round}`));
    }
  }
  for (const kind of TROUBLES) assert.ok(struck.includes(kind), `${kind} never struck`);
});

/** One answer during which two of three holders may get into trouble; returns what struck. */
async function surviveTroubles(
  scene: Scene,
  random: Random,
  which: string,
): Promise<readonly string[]> {
  const { world } = scene;
  world.network.shape({ delayMs: random.below(30), jitterMs: random.below(20) });
  const struck: string[] = [];
  for (const number of [2, 3, 4]) scene.engine(number).asked.length = 0;
  const spared = 2 + random.below(3);
  for (const number of [2, 3, 4].filter((it) => it !== spared)) {
    const kind = TROUBLES[random.below(TROUBLES.length)] ?? "suspect";
    scene.strikeAt(number, random.below(SCRIPTED_TOKENS), () => {
      struck.push(kind);
      trouble(scene, number, kind);
    });
  }
  assert.equal(await scene.ask(), SCRIPTED_ANSWER, which);
  const runs = [2, 3, 4].reduce((sum, number) => sum + scene.engine(number).asked.length, 0);
  // A node that is only suspected goes on; whatever else strikes costs a run.
  const costly = struck.filter((kind) => kind !== "suspect").length;
  assert.ok(runs >= 1 + costly, `${which}: ${struck} cost ${runs} runs`);
  // A node that was only cut off frees its slot by itself.
  await scene.slotsFree(20_000, which);
  world.network.heal();
  for (const number of [2, 3, 4]) {
    scene.engine(number).onToken = () => {};
    if (!world.running.includes(number)) await world.boot(number);
  }
  await world.until("all are back", () => scene.holdersNow().length === 3);
  return struck;
}

Deno.test("A silent node costs an answer some two seconds, and no more than three", async () => {
  await using scene = await Scene.open({ count: 3, holders: [2, 3] });
  const undisturbed = await scene.timed();
  // Others hear it still: gossip doubts nobody.
  const fault = scene.strikeAt(2, 9, () => scene.cut(1, 2));
  const costMs = await scene.timed() - undisturbed;
  assert.deepEqual([fault.count, scene.resumedOn(3)], [1, 1]);
  assert.ok(costMs > 1_500 && costMs < 3_000, `${costMs} ms`);
});

Deno.test("A node that is gone and suspected costs an answer less than a second", async () => {
  await using scene = await Scene.open({ count: 3, holders: [2, 3] });
  const undisturbed = await scene.timed();
  const fault = scene.strikeAt(2, 9, () => {
    scene.world.crash(2);
    scene.suspect(2);
  });
  const costMs = await scene.timed() - undisturbed;
  assert.deepEqual([fault.count, scene.resumedOn(3)], [1, 1]);
  assert.ok(costMs > 500 && costMs < 1_000, `${costMs} ms`);
});

Deno.test("A node that dies costs an answer less than two seconds, since gossip misses it", async () => {
  await using scene = await Scene.open({ count: 3, holders: [2, 3] });
  const undisturbed = await scene.timed();
  const fault = scene.strikeAt(2, 9, () => scene.world.crash(2));
  const costMs = await scene.timed() - undisturbed;
  assert.deepEqual([fault.count, scene.resumedOn(3)], [1, 1]);
  assert.ok(costMs < 2_000, `${costMs} ms`);
});

Deno.test("An answer stays with a node that is suspected again and again and goes on answering", async () => {
  await using scene = await Scene.open({ count: 3, holders: [2, 3] });
  let doubts = 0;
  scene.engine(2).onToken = () => {
    doubts++;
    scene.suspect(2);
  };
  assert.equal(await scene.ask(), SCRIPTED_ANSWER);
  assert.equal(doubts, SCRIPTED_TOKENS);
  assert.deepEqual([scene.engine(2).asked.length, scene.engine(3).asked.length], [1, 0]);
});

Deno.test("A runner that dies on the only holder is replaced there", async () => {
  await using scene = await Scene.open({ count: 2, holders: [2] });
  const engine = scene.engine(2);
  const fault = scene.strikeAt(2, 7, () => engine.killRunners());
  assert.equal(await scene.ask(), SCRIPTED_ANSWER);
  assert.deepEqual([fault.count, engine.loads, scene.resumedOn(2)], [1, 2, 1]);
});

Deno.test("When the only holder dies, the answer ends with an error that says so", async () => {
  await using scene = await Scene.open({ count: 2, holders: [2] });
  scene.strikeAt(2, 7, () => scene.world.crash(2));
  await assert.rejects(scene.ask(), {
    code: "node_unreachable",
    message: /no node that holds the model .*can be reached/,
  });
});

Deno.test("The only holder goes on with the answer after it was cut off for 8 s", async () => {
  for (const ways of ["one", "both"]) {
    // The third hears both, so that gossip declares nobody dead.
    await using scene = await Scene.open({ count: 3, holders: [2] });
    const { network } = scene.world;
    const [asking, holder] = [1, 2].map((number) => scene.world.machine(number).nodeId);
    assert.ok(asking !== undefined && holder !== undefined);
    const fault = scene.strikeAt(2, 7, () => {
      network.cut(holder, asking);
      if (ways === "both") network.cut(asking, holder);
      network.clock.after(8_000, () => network.heal());
    });
    const tookMs = await scene.timed();
    assert.deepEqual([fault.count, scene.losses], [1, 0], ways);
    assert.ok(tookMs > 8_000, `${ways}: whole after ${tookMs} ms, before the network was`);
    await scene.slotsFree(1_000);
  }
});

Deno.test("Gossip's word that the only holder is dead ends the answer, whatever patience is left with it", async () => {
  await using scene = await Scene.open({ count: 2, holders: [2] });
  const fault = scene.strikeAt(2, 7, () => scene.cut(1, 2));
  const { clock } = scene.world.network;
  const startedMs = clock.monotonicMs();
  await assert.rejects(scene.ask(), { code: "node_unreachable" });
  const tookMs = clock.monotonicMs() - startedMs;
  assert.equal(fault.count, 1);
  assert.equal(scene.world.node(1).cluster.seen(scene.world.machine(2).nodeId)?.standing, "down");
  assert.ok(tookMs < 8_000, `${tookMs} ms`);
  await scene.slotsFree(10_000);
});

Deno.test("A client that leaves frees the slot on the other node within a batch", async () => {
  await using scene = await Scene.open({ count: 2, holders: [2] });
  const abort = new AbortController();
  let producedMax = 0;
  scene.engine(2).onToken = (position) => {
    producedMax = position;
    if (position === 5) abort.abort(new Error("gone"));
  };
  await assert.rejects(scene.ask(generate(), abort.signal), /gone/);
  await scene.slotsFree(100);
  assert.ok(producedMax >= 5 && producedMax <= 7, `went on to token ${producedMax}`);
});

Deno.test("The death of the node that asks frees the slot on the node that serves", async () => {
  await using scene = await Scene.open({ count: 2, holders: [2], flags: { slots: "1" } });
  await scene.world.settle(scene.generate());
  assert.deepEqual(scene.heldSlots(), [0, 1]);
  scene.world.crash(1);
  await scene.slotsFree(10_000);
});

Deno.test("A full queue sends requests to another node, and only all full ones refuse", async () => {
  const flags = { slots: "1", queueRequestsMax: "1" };
  await using scene = await Scene.open({ count: 2, holders: [1, 2], flags });
  const { world } = scene;
  // Who waits at a loaded model is in no queue.
  for (const number of [1, 2]) scene.engine(number).loadMs = 1_000;
  const accepted = Array.from({ length: 2 }, () => scene.generate().then(textOf));
  await world.advance(200);
  await assert.rejects(scene.ask(), { code: "queue_full", status: 503 });
  assert.deepEqual(await world.settle(Promise.all(accepted)), new Array(2).fill(SCRIPTED_ANSWER));
  assert.deepEqual([scene.engine(1).asked.length, scene.engine(2).asked.length], [1, 1]);
});

Deno.test("Embeddings cross nodes, and survive the death of the node that computes them", async () => {
  await using scene = await Scene.open({ count: 3, holders: [2, 3] });
  const { world } = scene;
  const request = { model: "m", inputs: ["a", "bcd"], truncate: true, options: {} };
  const embed = (inputs = request.inputs) => world.node(1).api.embed({ ...request, inputs }, never);
  const answer = await world.settle(embed());
  assert.deepEqual(answer.vectors, [new Float32Array([1, 0.5]), new Float32Array([3, 0.5])]);
  assert.equal(answer.servedBy, "n2");
  await assert.rejects(world.settle(embed(["x".repeat(101)])), {
    code: "prompt_too_long",
    message: "the input length exceeds the context length",
  });
  const again = embed();
  await world.advance(8);
  const serving = 1 + scene.heldSlots().indexOf(1);
  assert.ok([2, 3].includes(serving));
  world.crash(serving);
  assert.equal((await world.settle(again)).servedBy, `n${5 - serving}`);
  assert.equal(scene.losses, 1);
});

Deno.test("A conversation is shortened with another node's tokens, whose node may die meanwhile", async () => {
  const messages = Array.from({ length: 12 }, (_, index) => ({
    role: index % 2 === 0 ? "user" : "assistant",
    content: `${index} ${"long ".repeat(6)}`,
  }));
  const request: ChatRequest = { ...FIELDS, messages, tools: [] };
  for (const killAfterMs of [Infinity, 30, 50, 70, 90]) {
    await using scene = await Scene.open({ count: 3, holders: [2, 3] });
    const { world } = scene;
    const answer = world.node(1).api.chat(request, never).then(textOf);
    if (killAfterMs < Infinity) {
      await world.advance(killAfterMs);
      world.crash(2);
    }
    assert.equal(await world.settle(answer), SCRIPTED_ANSWER, `killed after ${killAfterMs} ms`);
    const wantedLosses = killAfterMs < Infinity ? 1 : 0;
    assert.equal(scene.losses, wantedLosses, `killed after ${killAfterMs} ms`);
  }
});

Deno.test("Unloading reaches every node, and loading goes where the model is", async () => {
  await using scene = await Scene.open({ count: 3, holders: [2, 3] });
  const { world } = scene;
  const loaded = await world.settle(scene.generate(generate({ prompt: "" })));
  assert.deepEqual(loaded, { kind: "load", servedBy: "n2" });
  const instances = () => [1, 2, 3].map((it) => world.node(it).driver.view().instances.length);
  assert.deepEqual(instances(), [0, 1, 0]);
  await world.settle(scene.generate(generate({ prompt: "", keepAliveMs: 0 })));
  await world.advance(1_000);
  assert.deepEqual(instances(), [0, 0, 0]);
});

Deno.test("A drained node gets nothing new while another holds the model", async () => {
  await using scene = await Scene.open({ count: 3, holders: [2, 3] });
  const { world } = scene;
  await world.drain(2);
  assert.equal(await scene.ask(), SCRIPTED_ANSWER);
  assert.deepEqual([scene.engine(2).asked.length, scene.engine(3).asked.length], [0, 1]);
  world.crash(3);
  const { nodeId } = world.machine(3);
  const isDown = () => world.node(1).cluster.seen(nodeId)?.standing === "down";
  await world.until("it is down", isDown);
  assert.equal(await scene.ask(), SCRIPTED_ANSWER);
  assert.equal(scene.engine(2).asked.length, 1);
});

Deno.test("A dead node that nobody has noticed costs one request about a second, and the next nothing", async () => {
  await using scene = await Scene.open({ count: 3, holders: [2, 3] });
  const { world } = scene;
  for (const [drained, asked] of [[2, 3], [3, 2]] as const) {
    await world.drain(asked, false);
    await world.drain(drained);
    await scene.ask();
  }
  const undisturbed = await scene.timed();
  await world.drain(3, false);
  scene.cut(1, 2);
  // Of two that are as good, one is drawn: the first request that goes to the dead one.
  let first = 0;
  for (let turn = 0; turn < 16 && first < 100; turn++) first = await scene.timed() - undisturbed;
  assert.ok(first >= 900 && first < 1_300, `${first} ms`);
  for (let turn = 0; turn < 4; turn++) {
    const next = await scene.timed() - undisturbed;
    assert.ok(next < 100, `${next} ms`);
  }
});
