import assert from "node:assert/strict";
import { Ajv } from "ajv";
import { Ajv2020 } from "ajv/dist/2020.js";
import formats from "ajv-formats";
import { type Schema, schemaToGrammar } from "../../src/core/grammar/mod.ts";
import rows from "../harness/generated_schemas.json" with { type: "json" };
import { IS_LONG } from "../harness/cluster.ts";
import { askTiny, GREEDY, loadTiny, readAnswer } from "../integration/engine_harness.ts";

const SCHEMAS = rows as unknown as readonly { readonly name: string; readonly schema: Schema }[];
const TOKENS_MAX = 160;
/** Of all schemas; the others are of the same kinds. */
const EVERY = IS_LONG ? 1 : 4;

Deno.test("llama.cpp follows the grammars of generators' schemas, and what a model ends is valid", async () => {
  await using model = await loadTiny();
  const options = { strict: false, logger: false, multipleOfPrecision: 3 } as const;
  let ended = 0;
  for (const [index, { name, schema }] of SCHEMAS.entries()) {
    const result = schemaToGrammar(schema);
    if (index % EVERY !== 0 || result.kind === "refused") continue;
    const sampler = { ...GREEDY, temperature: 1, seed: index + 1 };
    const request = askTiny("Make one up.", {
      sampler,
      grammar: result.gbnf,
      predictTokensMax: TOKENS_MAX,
    });
    const { text, reason } = await readAnswer(model, request).catch((cause) => {
      throw new Error(`${name}: ${cause.message}`, { cause });
    });
    if (reason !== "end" || result.ignored.length > 0) continue;
    ended++;
    const isOld = typeof schema === "object" && String(schema["$schema"]).includes("draft-07");
    const ajv = isOld ? new Ajv(options) : new Ajv2020(options);
    formats.default(ajv);
    assert.ok(ajv.validate(schema, JSON.parse(text)), `${name}: ${text} ${ajv.errorsText()}`);
  }
  console.log(`${ended} answers ended by themselves`);
  assert.ok(ended > 20);
});
