/**
 * What the core and templates cost per step, by Deno's bench runner: `deno bench -A bench/micro`. `deno task test:performance` compares the
 * figures with the stored ones.
 *
 * @module
 */
import { type NodeId, Random } from "../../src/base/mod.ts";
import { AnswerStream } from "../../src/core/generation/mod.ts";
import { schemaToGrammar } from "../../src/core/grammar/mod.ts";
import { MEMBERSHIP_PRESETS } from "../../src/core/membership/mod.ts";
import { chooseRoute, type RouteCandidate } from "../../src/core/scheduler/mod.ts";
import { encodeFrame, FrameReader } from "../../src/inference/frames.ts";
import { familyById } from "../../src/models/families/mod.ts";
import {
  compileTemplate,
  KNOWN_TEMPLATES,
  type PromptInput,
} from "../../src/models/template/mod.ts";
import { decodeRaftFrame, encodeRaftFrames, type RaftWireMessage } from "../../src/protocol/mod.ts";
import { MembershipWorld } from "../../tests/sim/membership_world.ts";
import { simulate } from "../../tests/sim/raft/simulation.ts";

/** Keeps results alive, so that nothing measured is optimized away. */
let sink = 0;

/** Work of a fixed size that no change of odist touches: what the others are divided by. */
Deno.bench({ name: "reference", baseline: true }, () => {
  const random = new Random(7);
  const table = new Map<number, number>();
  for (let round = 0; round < 2_000; round++) table.set(random.below(512), round);
  sink += table.size;
});

const APPEND: RaftWireMessage = {
  from: "00000000000000a1" as NodeId,
  to: "00000000000000b2" as NodeId,
  kind: "append_request",
  term: 3,
  previous: { term: 3, index: 1_000 },
  entries: Array.from({ length: 16 }, (_, index) => ({
    term: 3,
    index: 1_001 + index,
    kind: "command" as const,
    data: new Uint8Array(200).fill(index),
  })),
  commit: 1_000,
};
const APPEND_FRAMES = encodeRaftFrames([APPEND]);

Deno.bench("raft frame: encode 16 entries of 200 bytes", () => {
  sink += encodeRaftFrames([APPEND]).length;
});

Deno.bench("raft frame: decode 16 entries of 200 bytes", () => {
  for (const frame of APPEND_FRAMES) sink += decodeRaftFrame(frame, APPEND).kind.length;
});

/** Long ones get a fixed count: by time alone they would get few, and none of them undisturbed. */
const LONG = { n: 200, warmup: 20 };

Deno.bench({ name: "raft step: three nodes, 200 virtual ms without faults", ...LONG }, async () => {
  sink += (await simulate({ seed: 1, nodeCount: 3, spanMs: 200, faults: [] })).events;
});

Deno.bench({ name: "gossip step: ten nodes, 500 virtual ms", ...LONG }, () => {
  const world = new MembershipWorld({ seed: 1, nodeCount: 10, timing: MEMBERSHIP_PRESETS.lan });
  world.advance(500);
  sink += world.events;
});

const CANDIDATES: readonly RouteCandidate[] = Array.from({ length: 20 }, (_, index) => ({
  nodeId: index.toString(16).padStart(16, "0") as NodeId,
  name: `n${index}`,
  isSelf: index === 0,
  health: "alive",
  drained: false,
  load: {
    ageMs: 100,
    state: index % 3 === 0 ? "cold" : "loaded",
    slots: 4,
    freeSlots: index % 4,
    waitingRequests: index % 5,
    runningRequests: 4 - index % 4,
    decodeTokensPerMinute: 5_000,
    prefillTokensPerMinute: 20_000,
    availableBytes: 8e9,
  },
  sentSinceReport: 0,
  residentTokens: index * 10,
}));

Deno.bench("routing: one of twenty nodes", () => {
  const asked = { promptTokens: 200, memoryBytes: 1e9, avoid: [], refused: [] };
  sink += chooseRoute(asked, CANDIDATES).runnersUp.length;
});

const SCHEMA = {
  type: "object",
  properties: Object.fromEntries(
    Array.from({ length: 24 }, (_, index) => [
      `field_${index}`,
      index % 3 === 0
        ? { type: "array", items: { type: "integer", minimum: 0, maximum: 100 } }
        : { type: "string", maxLength: 40 },
    ]),
  ),
  required: ["field_0", "field_1"],
} as const;

Deno.bench("grammar: a schema of 24 properties", () => {
  sink += schemaToGrammar(SCHEMA).kind.length;
});

const CHAT: PromptInput = {
  messages: Array.from({ length: 40 }, (_, turn) => ({
    role: turn % 2 === 0 ? "user" : "assistant",
    content: `Turn ${turn}: the sky is blue because air scatters blue light more than red. `.repeat(
      4,
    ),
  })),
  tools: [{
    type: "function",
    function: {
      name: "get_weather",
      description: "The weather of a city",
      parameters: {
        type: "object",
        required: ["city"],
        properties: { city: { type: "string", description: "Where" } },
      },
    },
  }],
  isChat: true,
  date: new Date(2026, 2, 1),
};
const GO_TEMPLATE = KNOWN_TEMPLATES[0]?.goTemplate ?? "";
const JINJA_TEMPLATE = familyById("qwen3")?.template ?? "";
if (GO_TEMPLATE === "" || JINJA_TEMPLATE === "") throw new Error("There is no such template");
const GO = compileTemplate({ goTemplate: GO_TEMPLATE });
const JINJA = compileTemplate({ jinjaTemplate: JINJA_TEMPLATE });

Deno.bench("template: compile one in Go's language", () => {
  sink += compileTemplate({ goTemplate: GO_TEMPLATE }).kind.length;
});

Deno.bench("template: compile one of a GGUF file", () => {
  sink += compileTemplate({ jinjaTemplate: JINJA_TEMPLATE }).kind.length;
});

Deno.bench("template: 40 turns in Go's language", () => {
  sink += GO.render(CHAT).text.length;
});

Deno.bench("template: 40 turns and a tool by that of a GGUF file", () => {
  sink += JINJA.render(CHAT).text.length;
});

const TOKENS = Array.from("The sky is blue because air scatters blue light. ".repeat(20))
  .map((text, token) => ({ token, bytes: new TextEncoder().encode(text) }));

Deno.bench("tokens to text: 980 tokens, stop strings and thinking", () => {
  const stream = new AnswerStream({
    stops: ["<|im_end|>", "\n\n\n"],
    thinking: { tags: { open: "<think>", close: "</think>" }, startsInside: false },
  });
  for (const token of TOKENS) sink += stream.step({ kind: "tokens", tokens: [token] }).length;
  sink += stream.finish("end").length;
});

const EVENTS = Array.from({ length: 64 }, (_, id) => ({
  kind: "event",
  id,
  event: { kind: "tokens", tokens: [{ token: id, bytes: Uint8Array.of(65, 66, 67) }] },
}));
const EVENT_BYTES = EVENTS.map(encodeFrame);

Deno.bench("CBOR frames: encode 64 token events", () => {
  for (const event of EVENTS) sink += encodeFrame(event).length;
});

Deno.bench("CBOR frames: decode 64 token events", () => {
  const reader = new FrameReader();
  for (const bytes of EVENT_BYTES) sink += reader.push(bytes).length;
});

addEventListener("unload", () => {
  if (sink === 0) throw new Error("Nothing was computed");
});
