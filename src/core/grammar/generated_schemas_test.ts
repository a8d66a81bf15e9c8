import assert from "node:assert/strict";
import { Ajv, type Options } from "ajv";
import { Ajv2020 } from "ajv/dist/2020.js";
import formats from "ajv-formats";
import rows from "../../../tests/harness/generated_schemas.json" with { type: "json" };
import { Random } from "../../base/mod.ts";
import { GbnfMatcher } from "./gbnf_matcher_test.ts";
import { type Schema, schemaToGrammar } from "./mod.ts";

// What zod 4.6 (z.toJSONSchema) and pydantic 2 (TypeAdapter.json_schema) make of their ordinary types.
const SCHEMAS = rows as unknown as readonly { readonly name: string; readonly schema: Schema }[];
/** Of ordinary schemas, in percent. */
const ACCEPTED_MIN = 95;
const ANSWERS_EACH = 8;

/** A validator that has nothing to do with how grammars are made. */
function validatorOf(schema: Schema) {
  const options: Options = { strict: false, logger: false, multipleOfPrecision: 3 };
  const isOld = typeof schema === "object" && String(schema["$schema"]).includes("draft-07");
  const ajv = isOld ? new Ajv(options) : new Ajv2020(options);
  formats.default(ajv);
  return ajv.compile(schema);
}

Deno.test("ordinary schemas of generators are accepted, and most of them in all they ask for", () => {
  const results = SCHEMAS.map(({ name, schema }) => ({ name, result: schemaToGrammar(schema) }));
  const refused = results.filter(({ result }) => result.kind === "refused");
  const share = 100 * (1 - refused.length / results.length);
  assert.ok(share >= ACCEPTED_MIN, `${share} %: ${refused.map(({ name }) => name).join(", ")}`);
  const partly = results.filter(({ result }) =>
    result.kind === "grammar" && result.ignored.length > 0
  );
  assert.ok(partly.length <= results.length * 0.1, partly.map(({ name }) => name).join(", "));
});

Deno.test("what a grammar lets a model write is valid to an independent validator", () => {
  const random = new Random(20261129);
  let answers = 0;
  for (const { name, schema } of SCHEMAS) {
    const result = schemaToGrammar(schema);
    if (result.kind === "refused" || result.ignored.length > 0) continue;
    const matcher = new GbnfMatcher(result.gbnf);
    const validate = validatorOf(schema);
    for (let count = 0; count < ANSWERS_EACH; count++) {
      const text = matcher.sample((below) => random.below(below));
      assert.ok(
        validate(JSON.parse(text)),
        `${name}: ${text.slice(0, 300)} ${JSON.stringify(validate.errors?.[0])}`,
      );
      answers++;
    }
  }
  assert.ok(answers >= 1_000, `${answers} answers`);
});
