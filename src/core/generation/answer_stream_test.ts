import assert from "node:assert/strict";
import { REPEATED_CHUNKS_MAX, StopStrings } from "./token_text.ts";
import fc from "fast-check";
import type { AnswerToken } from "../../protocol/mod.ts";
import { type AnswerPiece, AnswerStream, type AnswerStreamOptions } from "./mod.ts";

const THINK = { open: "<think>", close: "</think>" };

/** Cuts bytes at the given places; each part becomes a token with its own id. */
function tokensOf(text: string | Uint8Array, cuts: readonly number[] = []): AnswerToken[] {
  const bytes = typeof text === "string" ? new TextEncoder().encode(text) : text;
  const places = [...new Set([0, ...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length])]
    .sort((a, b) => a - b);
  return places.slice(1).map((end, index) => ({
    token: index,
    bytes: bytes.slice(places[index], end),
  }));
}

function read(options: AnswerStreamOptions, tokens: readonly AnswerToken[], perEvent = 1) {
  const stream = new AnswerStream(options);
  const pieces: AnswerPiece[] = [];
  for (let at = 0; at < tokens.length; at += perEvent) {
    pieces.push(...stream.step({ kind: "tokens", tokens: tokens.slice(at, at + perEvent) }));
  }
  pieces.push(...stream.finish("end"));
  return { stream, pieces };
}

/** Neighbours joined: what the reader has at the end. */
function joined(pieces: readonly AnswerPiece[]): string {
  let out = "";
  let last = "";
  for (const piece of pieces) {
    if (piece.kind !== last) out += `[${piece.kind}]`;
    out += piece.kind === "tool_call" ? JSON.stringify(piece.call) : piece.text;
    last = piece.kind;
  }
  return out;
}

const PARTS = fc.constantFrom(
  ...'<think>|</think>|<tool_call>|</tool_call>|{"name": "add", "arguments": {"a": 1}}|{"name": "no"}|[|]|,|END|EN|D|é|漢字|🙂| |\n\n|hello|<|{|}|"|\\|</|<t|add|{"a":"<tool_call>"}'
    .split("|"),
);
function toolsBehind(open: string, names: readonly string[]) {
  return {
    calls: [{ open, close: "", syntaxes: ["json" as const] }],
    callable: names.map((name) => ({ name, parameters: {} })),
  };
}

const OPTIONS: fc.Arbitrary<AnswerStreamOptions> = fc.record({
  stops: fc.constantFrom([], ["END"], ["END", "N", "\n\n"], ["漢字", "ENDING"]),
  thinking: fc.constantFrom(
    { tags: THINK, startsInside: false },
    { tags: THINK, startsInside: true },
  ),
  tools: fc.constantFrom(
    toolsBehind("<tool_call>", ["add"]),
    toolsBehind("", ["add"]),
    toolsBehind("[", ["add", "hello"]),
    toolsBehind("<t", ["hello"]),
  ),
  atContent: fc.constantFrom("go_on" as const, "pause" as const),
}, { requiredKeys: ["stops"] });

Deno.test("AnswerStream gives the same answer however the bytes are cut into tokens and events", () => {
  fc.assert(
    fc.property(
      fc.array(PARTS, { maxLength: 14 }),
      fc.array(fc.nat(400), { maxLength: 40 }),
      fc.integer({ min: 1, max: 5 }),
      OPTIONS,
      (parts, cuts, perEvent, options) => {
        const text = parts.join("");
        const whole = read(options, tokensOf(text));
        const cut = read(options, tokensOf(text, cuts), perEvent);
        assert.equal(joined(cut.pieces), joined(whole.pieces));
        assert.equal(cut.stream.end, whole.stream.end);
      },
    ),
    { numRuns: 1500 },
  );
});

Deno.test("AnswerStream decodes any bytes as the whole would be decoded", () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 40 }),
      fc.array(fc.nat(60)),
      (bytes, cuts) => {
        const { pieces } = read({ stops: [] }, tokensOf(bytes, cuts));
        const text = pieces.map((piece) => piece.kind === "content" ? piece.text : "").join("");
        assert.equal(text, new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes));
      },
    ),
  );
});

Deno.test("AnswerStream without parsers shows every byte before the stop string and none after", () => {
  fc.assert(
    fc.property(
      fc.stringMatching(/^[ab]{0,30}$/),
      fc.uniqueArray(fc.stringMatching(/^[ab]{1,4}$/), { maxLength: 3 }),
      fc.array(fc.nat(40)),
      (text, stops, cuts) => {
        const { pieces } = read({ stops }, tokensOf(text, cuts));
        // The naive twin: grow the text by one character until it ends with a stop string.
        let shown = text;
        for (let end = 1; end <= text.length; end++) {
          const hits = stops.filter((stop) => text.slice(0, end).endsWith(stop));
          if (hits.length === 0) continue;
          shown = text.slice(0, end - Math.max(...hits.map((hit) => hit.length)));
          break;
        }
        assert.equal(joined(pieces), shown === "" ? "" : `[content]${shown}`);
      },
    ),
  );
});

Deno.test("AnswerStream continued from its journal by another runner loses and repeats nothing", () => {
  fc.assert(
    fc.property(
      fc.array(PARTS, { maxLength: 10 }),
      fc.array(fc.nat(300), { maxLength: 30 }),
      fc.nat(40),
      OPTIONS.filter((options) => options.atContent !== "pause"),
      (parts, cuts, died, options) => {
        const answer = tokensOf(parts.join(""), cuts);
        const stream = new AnswerStream(options);
        stream.step({ kind: "started", promptTokens: [7, 8] });
        const pieces = [...stream.step({ kind: "tokens", tokens: answer.slice(0, died) })];
        const journal = stream.journal();
        assert.deepEqual(journal.promptTokens, [7, 8]);
        // The second runner only knows the journal: it emits what follows the tokens in it.
        const next = answer.slice(journal.emittedTokens.length);
        stream.step({ kind: "started", promptTokens: journal.promptTokens });
        for (const token of next) pieces.push(...stream.step({ kind: "tokens", tokens: [token] }));
        pieces.push(...stream.finish("end"));
        assert.equal(joined(pieces), joined(read(options, answer).pieces));
      },
    ),
  );
});

Deno.test("AnswerStream ends at a stop string and ignores the tokens behind it", () => {
  const stream = new AnswerStream({ stops: ["STOP"] });
  const tokens = ["one ST", "OP two", " three"].map((text, token) => ({
    token,
    bytes: new TextEncoder().encode(text),
  }));
  const pieces = stream.step({ kind: "tokens", tokens });
  assert.deepEqual(pieces, [{ kind: "content", text: "one " }]);
  assert.equal(stream.end, "stop_string");
  assert.deepEqual(stream.journal().emittedTokens, [0, 1]);
  assert.deepEqual(stream.finish("cancelled"), []);
  assert.equal(stream.end, "stop_string");
});

Deno.test("AnswerStream releases a held-back beginning of a stop string at the end", () => {
  const { pieces, stream } = read({ stops: ["STOP"] }, tokensOf("one STO"));
  assert.equal(joined(pieces), "[content]one STO");
  assert.equal(stream.end, "end");
});

Deno.test("AnswerStream aborts after more than 30 repeats of one trimmed token", () => {
  const token = { token: 5, bytes: new TextEncoder().encode(" na") };
  const stream = new AnswerStream({ stops: [] });
  const tokens = (count: number) => Array.from({ length: count }, () => token);
  stream.step({ kind: "tokens", tokens: tokens(REPEATED_CHUNKS_MAX + 1) });
  assert.equal(stream.end, undefined);
  stream.step({ kind: "tokens", tokens: tokens(1) });
  assert.equal(stream.end, "repetition");
});

Deno.test("AnswerStream pauses at the first content and goes on under a grammar", () => {
  const stream = new AnswerStream({
    stops: [],
    thinking: { tags: THINK, startsInside: false },
    atContent: "pause",
  });
  stream.step({ kind: "started", promptTokens: [1] });
  const thinking = stream.step({
    kind: "tokens",
    tokens: tokensOf("<think>hm\n</think>\n\nSure, here", [3, 10, 14, 21]),
  });
  assert.equal(joined(thinking), "[thinking]hm");
  assert.equal(stream.end, "paused");
  assert.equal(stream.resumeAtContent(), "<think>hm\n</think>\n\n");
  assert.deepEqual(stream.journal(), { promptTokens: [], emittedTokens: [] });
  stream.step({ kind: "started", promptTokens: [1, 2, 3] });
  const content = stream.step({ kind: "tokens", tokens: tokensOf('{"a":1}', [2]) });
  assert.equal(joined([...content, ...stream.finish("end")]), '[content]{"a":1}');
  assert.equal(stream.end, "end");
});

Deno.test("StopStrings is not asked to go on behind a hit", () => {
  const stops = new StopStrings(["END"]);
  assert.deepEqual(stops.push("aEND"), { text: "a", hit: "END" });
  assert.throws(() => stops.push("b"), { name: "InvariantError" });
});
