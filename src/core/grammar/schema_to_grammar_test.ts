import assert from "node:assert/strict";
import fc from "fast-check";
import { GbnfMatcher } from "./gbnf_matcher_test.ts";
import { jsonGrammar, type Schema, schemaToGrammar } from "./mod.ts";
import { STRING_LENGTH_MAX } from "./string_rule.ts";
import { ARRAY_ITEMS_MAX } from "./array_rule.ts";
import { SCHEMA_DEPTH_MAX } from "./schema_to_grammar.ts";
import { SCHEMA_ENUM_MAX } from "./schema_to_grammar.ts";

function matcherOf(schema: Schema): GbnfMatcher {
  const result = schemaToGrammar(schema);
  assert.ok(result.kind === "grammar", JSON.stringify(result));
  return new GbnfMatcher(result.gbnf);
}

const OBJECT = {
  type: "object",
  properties: { a: { type: "integer" }, b: { type: "boolean" }, c: { type: "null" } },
  required: ["b"],
} as const;
const TREE = {
  $ref: "#/$defs/Node",
  $defs: {
    Node: {
      type: "object",
      properties: {
        value: { type: "integer" },
        children: { type: "array", items: { $ref: "#/$defs/Node" } },
      },
      required: ["value"],
    },
  },
};

/** Schema, valid texts, invalid texts. */
const CASES: readonly [name: string, Schema, valid: string[], invalid: string[]][] = [
  ["the empty schema", {}, ["1", '"x"', "[1, {}]", "null", '{"a": [true]}'], ["", "x", "{", "1 2"]],
  ["a type", { type: "boolean" }, ["true", "false"], ["null", "1", '"true"']],
  ["a list of types", { type: ["string", "null"] }, ['"a"', "null"], ["1", "true"]],
  ["nullable", { type: "integer", nullable: true }, ["1", "null"], ['"null"', "1.5"]],
  ["integers", { type: "integer" }, ["0", "-7", "1234567890123456"], ["01", "1.0", "1e3", "--1"]],
  ["numbers", { type: "number" }, ["0", "-7.25", "1e-3", "2.5E+10"], [".5", "1.", "+1", "01.5"]],
  [
    "strings",
    { type: "string" },
    ['""', '"é🙂"', String.raw`"\n\"\\\u00e9"`],
    ['"a', "a", '"a"b"', '"\n"', String.raw`"\x"`, String.raw`"\ud800"`],
  ],
  ["an enum", { enum: ["red", 'a"b\\', 3, null, { a: [1] }] }, [
    '"red"',
    String.raw`"a\"b\\"`,
    "3",
    "null",
    '{"a":[1]}',
  ], ['"blue"', "4", "red"]],
  ["an enum under a type", { type: "string", enum: ["a", 1] }, ['"a"'], ["1"]],
  ["const", { const: "x" }, ['"x"'], ['"y"', "x"]],
  ["properties in order, optional ones left out", OBJECT, [
    '{"b":true}',
    '{"a": 1, "b": false}',
    '{"b":true,"c":null}',
    '{\n  "a": 1,\n  "b": true,\n  "c": null\n}',
  ], ["{}", '{"a":1}', '{"b":true,"a":1}', '{"b":true,}', '{"b":true,"d":1}', '{"b":1}']],
  [
    "optional properties only",
    {
      type: "object",
      properties: { a: { type: "null" }, b: { type: "null" }, c: { type: "null" } },
    },
    ["{}", "{ }", '{"a":null}', '{"c":null}', '{"a":null,"c":null}', '{"b":null,"c":null}'],
    [
      '{"c":null,"a":null}',
      '{,"a":null}',
      '{"a":null "b":null}',
    ],
  ],
  [
    "additional properties",
    {
      type: "object",
      properties: { ab: { type: "null" }, abd: { type: "null" }, ac: { type: "null" } },
      required: ["ab"],
      additionalProperties: { type: "integer" },
    },
    ['{"ab":null}', '{"ab":null,"x":1,"a":2}', '{"ab":null,"ac":null,"abc":1,"":3}'],
    [
      '{"x":1}',
      '{"ab":null,"x":"y"}',
      '{"ab":null,"ac":1}',
      '{"ab":null,"ab":1}',
      String.raw`{"ab":null,"\u0061b":1}`,
    ],
  ],
  ["maps", { type: "object", additionalProperties: { type: "boolean" } }, [
    "{}",
    '{"a b":true,"c":false}',
  ], ['{"a":1}']],
  [
    "maps with a count",
    {
      type: "object",
      additionalProperties: { type: "null" },
      minProperties: 1,
      maxProperties: 2,
    },
    ['{"a":null}', '{"a":null,"b":null}'],
    ["{}", '{"a":null,"b":null,"c":null}'],
  ],
  ["a required name without schema", { type: "object", required: ["x"] }, [
    '{"x":[1]}',
    '{"x":1,"y":2}',
  ], ["{}", '{"y":1}']],
  ["a closed object without properties", { type: "object", additionalProperties: false }, [
    "{}",
  ], ['{"a":1}']],
  ["objects of any kind", { type: "object" }, ["{}", '{"a":{"b":[]}}'], ["[]", '"x"']],
  ["a type meant by its keywords", { properties: { a: { minimum: 3 } }, required: ["a"] }, [
    '{"a":3}',
    '{"a":3.5}',
  ], ['{"a":2}', "[]"]],
  ["items", { type: "array", items: { type: "integer" } }, ["[]", "[1]", "[ 1 , 2,3 ]"], [
    '["a"]',
    "[1,]",
    "[,1]",
    "1",
  ]],
  ["counted items", { type: "array", items: { type: "null" }, minItems: 2, maxItems: 3 }, [
    "[null,null]",
    "[null,null,null]",
  ], ["[]", "[null]", "[null,null,null,null]"]],
  ["no items", { type: "array", maxItems: 0 }, ["[]", "[ ]"], ["[1]"]],
  ["at least one item of any kind", { type: "array", minItems: 1 }, ["[1]", '["a",{}]'], ["[]"]],
  [
    "items by position",
    {
      type: "array",
      prefixItems: [{ type: "integer" }, { type: "string" }],
      items: { type: "null" },
      maxItems: 3,
    },
    ['[1,"a"]', '[1,"a",null]'],
    ["[]", "[1]", '["a",1]', '[1,"a",null,null]', '[1,"a",2]'],
  ],
  ["items by position only", { type: "array", prefixItems: [{ type: "integer" }], items: false }, [
    "[1]",
  ], ["[]", "[1,2]"]],
  [
    "items by position in the older spelling",
    {
      type: "array",
      items: [{ type: "integer" }],
      additionalItems: { type: "null" },
      minItems: 2,
    },
    ["[1,null]", "[1,null,null]"],
    ["[1]", "[1,2]"],
  ],
  ["anyOf", { anyOf: [{ type: "integer" }, { const: "x" }] }, ["5", '"x"'], ['"y"', "null"]],
  [
    "oneOf with common keywords",
    {
      type: "object",
      properties: { kind: { type: "string" } },
      required: ["kind"],
      oneOf: [
        { properties: { a: { type: "null" } }, required: ["a"] },
        { properties: { b: { type: "null" } }, required: ["b"] },
      ],
    },
    ['{"kind":"x","a":null}', '{"kind":"x","b":null}'],
    ['{"kind":"x"}', '{"a":null}'],
  ],
  [
    "allOf",
    {
      allOf: [
        { $ref: "#/definitions/Named" },
        { properties: { age: { type: "integer", minimum: 0 } }, required: ["age"] },
        { properties: { age: { minimum: 2, maximum: 9 } } },
      ],
      definitions: {
        Named: { type: "object", properties: { name: { type: "string" } }, required: ["name"] },
      },
    },
    ['{"name":"x","age":2}', '{"name":"x","age":9}'],
    ['{"name":"x","age":1}', '{"name":"x"}', '{"name":"x","age":10}', '{"age":1}'],
  ],
  ["recursive references", TREE, [
    '{"value":1}',
    '{"value":1,"children":[{"value":2},{"value":3,"children":[]}]}',
  ], ['{"children":[]}', '{"value":1,"children":[{"children":[]}]}', '{"value":1,"children":[1]}']],
  [
    "a reference to the root",
    {
      type: "object",
      properties: { next: { anyOf: [{ $ref: "#" }, { type: "null" }] } },
      required: ["next"],
    },
    ['{"next":null}', '{"next":{"next":null}}'],
    ['{"next":{}}', "null"],
  ],
  [
    "a reference with keywords beside it",
    {
      $ref: "#/$defs/n",
      maximum: 5,
      description: "small",
      $defs: { n: { type: "integer", minimum: 3 } },
    },
    ["3", "5"],
    ["2", "6"],
  ],
  [
    "a reference through escaped names",
    {
      $ref: "#/$defs/a~1b%20c",
      $defs: { "a/b c": { const: 1 } },
    },
    ["1"],
    ["2"],
  ],
  ["lengths", { type: "string", minLength: 2, maxLength: 3 }, [
    '"ab"',
    '"é🙂x"',
    String.raw`"\"\n"`,
  ], ['"a"', '"abcd"', '""']],
  ["a least length", { type: "string", minLength: 1 }, ['"a"', '"abcdef"'], ['""']],
  ["the empty string", { type: "string", maxLength: 0 }, ['""'], ['"a"']],
  ["a pattern", { type: "string", pattern: "^[A-Z]{2,3}-\\d+(?:\\.x|y?)$" }, [
    '"AB-1"',
    '"ABC-12.x"',
    '"AB-1y"',
  ], ['"A-1"', '"AB-"', '"AB-1z"', '"AB-1.y"', '"ABCD-1"']],
  ["a pattern without anchors", { type: "string", pattern: "b|^c" }, [
    '"abc"',
    '"b"',
    '"cde"',
  ], ['"a"', '"dc"', '""']],
  ["a pattern over what JSON escapes", { type: "string", pattern: '^["\\\\\\n]+$' }, [
    String.raw`"\"\\\n"`,
  ], ['""', '"n"', String.raw`"\t"`]],
  ["a pattern with negated classes", { type: "string", pattern: "^[^a-c\\s]\\W.$" }, [
    '"d!x"',
    String.raw`"\"-\""`,
    '"🙂é-"',
  ], ['"a!x"', '"ddx"', '" !x"', String.raw`"d!\n"`, '"d!\ud800"']],
  ["a date", { type: "string", format: "date" }, ['"2024-02-29"', '"2026-12-31"'], [
    '"2024-02-30"',
    '"2024-04-31"',
    '"2024-13-01"',
    '"2024-1-1"',
  ]],
  ["a time", { type: "string", format: "time" }, ['"23:59:59Z"', '"00:00:00.5+02:00"'], [
    '"24:00:00Z"',
    '"10:60:00Z"',
    '"10:00:00"',
  ]],
  ["a date-time", { type: "string", format: "date-time" }, ['"2024-02-29T10:00:00Z"'], [
    '"2024-02-29 10:00:00Z"',
    '"2024-02-29"',
  ]],
  ["a uuid", { type: "string", format: "uuid" }, ['"123e4567-e89b-12d3-a456-426614174000"'], [
    '"123e4567"',
    '"g23e4567-e89b-12d3-a456-426614174000"',
  ]],
  ["an unknown format", { type: "string", format: "colour" }, ['"anything"'], ["1"]],
  ["bounds of numbers", { type: "number", minimum: -1, exclusiveMaximum: 2 }, [
    "-1",
    "-0.5",
    "0",
    "0.25",
    "1",
    "1.99",
  ], ["-1.5", "-2", "2", "2.5", "1.0", "1e0"]],
  [
    "an exclusive bound in the older spelling",
    {
      type: "integer",
      minimum: 3,
      exclusiveMinimum: true,
    },
    ["4", "99"],
    ["3", "-4"],
  ],
  ["annotations", { type: "null", title: "x", "x-own": 1, default: 3, examples: [] }, ["null"], []],
];

for (const [name, schema, valid, invalid] of CASES) {
  Deno.test(`a grammar follows ${name}`, () => {
    const matcher = matcherOf(schema);
    for (const text of valid) assert.ok(matcher.accepts(text), `refuses ${text}`);
    for (const text of invalid) assert.ok(!matcher.accepts(text), `accepts ${text}`);
  });
}

Deno.test("a grammar for integers accepts exactly those within the bounds", () => {
  const bound = fc.integer({ min: -1200, max: 1200 });
  fc.assert(
    fc.property(bound, bound, (a, b) => {
      const [minimum, maximum] = a < b ? [a, b] : [b, a];
      const matcher = matcherOf({ type: "integer", minimum, maximum });
      for (const near of [minimum, maximum, 0, a - b]) {
        for (let value = near - 2; value <= near + 2; value++) {
          const isInside = minimum <= value && value <= maximum;
          assert.equal(matcher.accepts(String(value)), isInside, `${value}`);
        }
      }
    }),
    { numRuns: 100 },
  );
});

Deno.test("a grammar for numbers agrees with the bounds on every decimal", () => {
  const bound = fc.integer({ min: -30, max: 30 });
  fc.assert(
    fc.property(bound, bound, fc.boolean(), fc.boolean(), (a, b, openLow, openHigh) => {
      const [low, high] = a < b ? [a, b + 1] : [b, a + 1];
      const matcher = matcherOf({
        type: "number",
        [openLow ? "exclusiveMinimum" : "minimum"]: low,
        [openHigh ? "exclusiveMaximum" : "maximum"]: high,
      });
      for (const tenths of [low * 10, high * 10, 0]) {
        for (let value = tenths - 12; value <= tenths + 12; value++) {
          const number = value / 10;
          const isInside = (openLow ? low < number : low <= number) &&
            (openHigh ? number < high : number <= high);
          assert.equal(matcher.accepts(String(number)), isInside, `${number}`);
        }
      }
    }),
    { numRuns: 100 },
  );
});

Deno.test("the grammar for any JSON accepts what JSON.stringify writes, and only objects at the top", () => {
  const matcher = new GbnfMatcher(jsonGrammar());
  const value = matcherOf({});
  fc.assert(
    fc.property(fc.json({ maxDepth: 3 }), (text) => {
      const parsed: unknown = JSON.parse(text);
      const isObject = typeof parsed === "object" && parsed !== null && !Array.isArray(parsed);
      const isPlain = !/[\u007f]|\\ud[89a-f]|[eE][-+]?\d{3}|\d{17}/i.test(text);
      fc.pre(isPlain);
      assert.ok(value.accepts(text), text);
      assert.equal(matcher.accepts(text), isObject, text);
    }),
    { numRuns: 200 },
  );
});

Deno.test("a grammar doesn't let a model write blanks for ever", () => {
  const matcher = new GbnfMatcher(jsonGrammar());
  assert.ok(matcher.accepts(`{\n${" ".repeat(40)}}`));
  assert.ok(!matcher.accepts(`{\n${" ".repeat(41)}}`));
  assert.ok(!matcher.accepts("{\n\n\n}"));
  assert.ok(!matcher.accepts("{} "));
});

Deno.test("a long repetition is made of blocks and stays exact", () => {
  const matcher = matcherOf({ type: "string", minLength: 1103, maxLength: 2517 });
  for (const length of [1102, 1103, 1301, 1302, 1303, 2000, 2302, 2503, 2516, 2517, 2518]) {
    const isValid = 1103 <= length && length <= 2517;
    assert.equal(matcher.accepts(`"${"x".repeat(length)}"`), isValid, `${length}`);
  }
});

/** Schema and what the reason must say. */
const REFUSED: readonly [Schema, RegExp][] = [
  [false, /^#: nothing is valid/],
  [{ not: {} }, /^#\/not: "not" can't/],
  [{ properties: { a: { if: {} } } }, /^#\/properties\/a\/if: /],
  [{ type: "object", patternProperties: {} }, /^#\/patternProperties: /],
  [{ type: "array", uniqueItems: true }, /^#\/uniqueItems: /],
  [{ type: "array", items: { type: "text" } }, /^#\/items\/type: unknown type "text"/],
  [{ type: "array", minItems: 3, maxItems: 2 }, /^#\/minItems: is more than maxItems/],
  [{ type: "array", minItems: ARRAY_ITEMS_MAX + 1 }, /^#\/minItems: is more than/],
  [{ type: "array", prefixItems: [{}], items: false, minItems: 2 }, /^#\/minItems: asks for more/],
  [{ type: "string", minLength: -1 }, /^#\/minLength: must be a whole number/],
  [{ type: "string", minLength: STRING_LENGTH_MAX + 1 }, /^#\/minLength: is more than/],
  [{ type: "string", pattern: "(?=a)" }, /^#\/pattern: look-around/],
  [{ type: "string", pattern: "(a)\\1" }, /^#\/pattern: "\\1"/],
  [{ type: "string", pattern: "\\bword" }, /^#\/pattern: "\\b"/],
  [{ type: "string", pattern: "(a*)*" }, /^#\/pattern: repeats what can be empty/],
  [{ type: "string", pattern: "a^b" }, /^#\/pattern: anchors/],
  [{ type: "string", pattern: "[a" }, /^#\/pattern: /],
  [{ type: "string", pattern: "(a" }, /^#\/pattern: "\)" is missing/],
  [{ type: "string", pattern: "a)" }, /^#\/pattern: unexpected/],
  [{ type: "string", pattern: "*a" }, /^#\/pattern: nothing stands before/],
  [{ type: "string", pattern: "a{3,2}" }, /^#\/pattern: numbers out of order/],
  [{ type: "string", pattern: "a", maxLength: 3 }, /^#\/pattern: can't be combined/],
  [{ type: "string", pattern: "\\0" }, /^#\/pattern: a class holds no character/],
  [{ type: "string", pattern: "(".repeat(40) }, /^#\/pattern: nests too many groups/],
  [{ type: "number", minimum: 0.5 }, /^#: bound 0.5/],
  [{ type: "number", multipleOf: 0.1 }, /^#\/multipleOf: /],
  [{ type: "integer", minimum: 3, maximum: 2 }, /^#: no number is within/],
  [{ type: "integer", minimum: "3" }, /^#\/minimum: must be a number/],
  [{ enum: [] }, /^#\/enum: /],
  [{ enum: Array.from({ length: SCHEMA_ENUM_MAX + 1 }, (_v, i) => i) }, /^#\/enum: holds more/],
  [{ type: "integer", enum: ["a"] }, /^#: no value is of the type/],
  [{ enum: ["a"], minLength: 1 }, /^#\/minLength: can't be combined/],
  [{ $ref: "other.json" }, /^#\/\$ref: only references into/],
  [{ $ref: "#/$defs/none" }, /^#\/\$ref: "#\/\$defs\/none" is not there/],
  [{ anyOf: [{ type: "null" }, { $ref: "#" }] }, /refers to itself/],
  [{ allOf: [{ $ref: "#" }] }, /refers to itself/],
  [{ $ref: "#/$defs/a", $defs: { a: { $ref: "#/$defs/b" }, b: { $ref: "#/$defs/a" } } }, /itself/],
  [{ anyOf: [] }, /^#\/anyOf: must be a list/],
  [{ allOf: [{ type: "string" }, { type: "integer" }] }, /^#\/type: no type suits both/],
  [{ allOf: [{ pattern: "a" }, { pattern: "b" }] }, /^#\/pattern: two different/],
  [{ allOf: [{ enum: [1] }, { enum: [2] }] }, /^#\/enum: no value suits both/],
  [
    {
      allOf: [
        { type: "object", properties: { a: {} }, required: ["a"] },
        { type: "object", properties: { b: {} }, additionalProperties: false },
      ],
    },
    /^#\/additionalProperties: nothing is valid/,
  ],
  [
    { type: "object", properties: { a: {}, b: {} }, minProperties: 1 },
    /^#: can't count members/,
  ],
  [{ unevaluatedProperties: false }, /^#: needs a type/],
];

for (const [schema, reason] of REFUSED) {
  Deno.test(`a grammar is refused for ${JSON.stringify(schema).slice(0, 90)}`, () => {
    const result = schemaToGrammar(schema);
    assert.ok(result.kind === "refused", JSON.stringify(result));
    assert.match(result.reason, reason);
  });
}

Deno.test("a circle of references is found whichever way it is entered", () => {
  // C is met first inside an object, where its circle with A is not yet complete.
  const $defs = {
    A: {
      anyOf: [{ type: "object", properties: { p: { $ref: "#/$defs/B" } } }, { $ref: "#/$defs/C" }],
    },
    B: { anyOf: [{ $ref: "#/$defs/A" }, { type: "null" }] },
    C: { $ref: "#/$defs/B" },
  };
  const result = schemaToGrammar({ $ref: "#/$defs/A", $defs });
  assert.ok(result.kind === "refused");
  assert.match(result.reason, /refers to itself/);
});

Deno.test("a schema is refused when it is too deep or its grammar too large", () => {
  let deep: Schema = { type: "null" };
  for (let depth = 0; depth <= SCHEMA_DEPTH_MAX; depth++) deep = { type: "array", items: deep };
  const lists = (count: number) =>
    Object.fromEntries(
      Array.from({ length: count }, (_v, index) => [`p${index}`, {
        type: "string",
        maxLength: 900 + index,
      }]),
    );
  const named = (count: number) =>
    Object.fromEntries(Array.from({ length: count }, (_v, index) => [`p${index}`, {}]));
  for (
    const [schema, reason] of [
      [deep, /lies deeper than/],
      [{ type: "object", properties: lists(100) }, /repetitions add up/],
      [{ type: "object", properties: named(3000) }, /grammar rules/],
      [
        { enum: Array.from({ length: 500 }, (_v, i) => `${i}`.padEnd(600)) },
        /characters of grammar/,
      ],
    ] as const
  ) {
    const result = schemaToGrammar(schema);
    assert.ok(result.kind === "refused");
    assert.match(result.reason, reason);
  }
});

Deno.test("the tests' GBNF matcher follows choices, repetitions, classes and recursion", () => {
  const matcher = new GbnfMatcher(
    'root ::= "a" ( b | [^x-z"]{2,3} )? "é\\n"\nb ::= "[" b? "]"\n',
  );
  for (const text of ["aé\n", "a[]é\n", "a[[]]é\n", "aqqé\n", "aqqqé\n"]) {
    assert.ok(matcher.accepts(text), text);
  }
  for (const text of ["a", "a[é\n", "aqé\n", "aqqqqé\n", "axxé\n", 'a"qé\n']) {
    assert.ok(!matcher.accepts(text), text);
  }
});
