import assert from "node:assert/strict";
import { type Schema, schemaToGrammar } from "./mod.ts";

/** What one conversion may take on an idle machine. */
const CONVERT_MS_MAX = 50;
const LEVELS = 64;
const ATTEMPTS_MAX = 20;

/** Definitions `d0` to `d63`, each made of the reference to the next one. */
function chain(level: (next: { $ref: string }) => Schema): Schema {
  const definitions = Array.from({ length: LEVELS }, (_none, index) => {
    const next = { $ref: `#/$defs/d${index + 1}` };
    return [`d${index}`, level(next)] as const;
  });
  return {
    $ref: "#/$defs/d0",
    $defs: { ...Object.fromEntries(definitions), [`d${LEVELS}`]: { type: "object" } },
  };
}

const numbered = <T>(count: number, make: (index: number) => T): T[] =>
  Array.from({ length: count }, (_none, index) => make(index));

/** Short schemas that ask for much work. */
const BOMBS: Readonly<Record<string, Schema>> = {
  "two references with a keyword beside": chain((next) => ({
    type: "object",
    properties: { a: { ...next, minProperties: 0 }, b: { ...next, minProperties: 0 } },
  })),
  "three references with a keyword beside": chain((next) => ({
    type: "object",
    properties: Object.fromEntries(
      ["a", "b", "c"].map((name) => [name, { ...next, maxProperties: 9 }]),
    ),
  })),
  "allOf of a reference and itself": chain((next) => ({ allOf: [next, next] })),
  "allOf of members that both name": chain((next) => ({
    allOf: [{ properties: { a: next, b: next } }, { properties: { a: next, b: next } }],
  })),
  "choices under common keywords": chain((next) => ({ type: "object", anyOf: [next, next] })),
  "choices with a different keyword each": chain((next) => ({
    anyOf: [{ ...next, minProperties: 0 }, { ...next, maxProperties: 9 }],
  })),
  "items with a keyword beside": chain((next) => ({
    type: "array",
    prefixItems: [{ ...next, title: "x", minItems: 0 }, { ...next, maxItems: 3 }],
  })),
  "allOf of many parts": { allOf: numbered(20_000, (index) => ({ minLength: index })) },
  "allOf of many members": {
    allOf: numbered(8_000, (index) => ({ properties: { [`p${index}`]: { type: "null" } } })),
  },
  "allOf of many lists of values": {
    allOf: numbered(4_000, () => ({ enum: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10] })),
  },
  "choices of many references to many choices": {
    $ref: "#/$defs/d0",
    $defs: Object.fromEntries(
      numbered(60, (index) => [`d${index}`, {
        anyOf: [...numbered(60, (to) => to).filter((to) => to > index), 60].map((to) => ({
          $ref: `#/$defs/d${to}`,
        })),
      }]).concat([["d60", { type: "null" } as never]]),
    ),
  },
  "a long name around many members": {
    type: "object",
    properties: {
      ["n".repeat(100_000)]: {
        type: "object",
        properties: Object.fromEntries(numbered(1_500, (index) => [`p${index}`, {}])),
      },
    },
  },
  "many required names": {
    type: "object",
    required: numbered(20_000, (index) => `p${index}`),
  },
  "a long pattern": { type: "string", pattern: `^${"[a-z].".repeat(20_000)}$` },
};

for (const [name, schema] of Object.entries(BOMBS)) {
  Deno.test(`a schema of ${name} is converted soon or refused`, () => {
    let bestMs = Infinity;
    // Whatever else runs on the machine holds up some of them, never all.
    for (let attempt = 0; attempt < ATTEMPTS_MAX && bestMs >= CONVERT_MS_MAX; attempt++) {
      const startedMs = performance.now();
      const result = schemaToGrammar(schema);
      bestMs = Math.min(bestMs, performance.now() - startedMs);
      if (result.kind === "grammar") assert.ok(result.gbnf.length < 512 * 1024);
    }
    assert.ok(bestMs < CONVERT_MS_MAX, `${bestMs.toFixed(1)} ms`);
  });
}
