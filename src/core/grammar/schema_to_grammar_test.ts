import assert from "node:assert/strict";
import fc from "fast-check";
import { GbnfMatcher } from "./gbnf_matcher_test.ts";
import { jsonGrammar, type Schema, schemaToGrammar } from "./mod.ts";
import { STRING_LENGTH_MAX } from "./string_rule.ts";
import { ARRAY_ITEMS_MAX } from "./array_rule.ts";
import { SCHEMA_DEPTH_MAX, SCHEMA_ENUM_MAX } from "./schema_to_grammar.ts";

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
  ["items", { type: "array", items: { type: "integer" } }, ["[]", "[1]", "[ 1, 2,3 ]"], [
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
  ["a leap day", { type: "string", format: "date" }, ['"2000-02-29"'], [
    '"2023-02-29"',
    '"1900-02-29"',
  ]],
  ["an email address", { type: "string", format: "email" }, ['"a.b+c@example.org"'], [
    '"a"',
    '"a@b"',
    '".a@b.de"',
    '"a b@c.de"',
  ]],
  ["a URI", { type: "string", format: "uri" }, ['"https://example.org/a?b=c#d"'], [
    '"example"',
    '"https://"',
    '"https://a b.de"',
  ]],
  ["addresses", { anyOf: [{ format: "ipv4" }, { format: "ipv6" }] }, ['"10.0.0.255"', '"::1"'], [
    '"10.0.0.256"',
    '"1:2"',
  ]],
  ["a duration", { type: "string", format: "duration" }, ['"P1DT2H"', '"PT5M"', '"P3W"'], [
    '"P"',
    '"PT"',
    '"5M"',
  ]],
  [
    "a pattern beside lengths",
    {
      type: "string",
      pattern: "^[a-z]+(-[a-z]+)*$",
      minLength: 3,
      maxLength: 6,
    },
    ['"abc"', '"a-b-cd"', '"abcdef"'],
    ['"ab"', '"a-"', '"abcdefg"', '"a-b-"', '"a-b-c-d"'],
  ],
  ["a pattern beside a least length", { type: "string", pattern: "b", minLength: 3 }, [
    '"abc"',
    '"bxxxx"',
  ], ['"ab"', '"axxx"']],
  ["a format beside lengths", { type: "string", format: "email", maxLength: 9 }, ['"a@bcd.ef"'], [
    '"ab@cde.fgh"',
  ]],
  ["a pattern of things that may be empty", { type: "string", pattern: "^(a*b?)*$" }, [
    '""',
    '"aab"',
    '"bab"',
  ], ['"c"']],
  ["bounds with a fraction", { type: "number", minimum: -1.25, exclusiveMaximum: 0.5 }, [
    "-1.25",
    "-1.2",
    "-1",
    "-0.001",
    "0",
    "0.4999",
    "0.05",
  ], ["-1.26", "-2", "0.5", "0.51", "1", "-1.3"]],
  ["a step", { type: "integer", multipleOf: 7 }, ["0", "7", "-14", "1001"], ["1", "8", "07", "-3"]],
  ["a step of ten", { type: "integer", multipleOf: 10, minimum: 20 }, ["20", "100", "12340"], [
    "10",
    "25",
    "-20",
  ]],
  ["a step in bounds", { type: "integer", multipleOf: 4, exclusiveMinimum: 4, maximum: 12 }, [
    "8",
    "12",
  ], ["4", "10", "16"]],
  ["cents", { type: "number", multipleOf: 0.01, minimum: 0 }, ["0", "1.5", "12.34", "0.07"], [
    "0.001",
    "1.234",
    "-1",
  ]],
  [
    "records",
    {
      type: "object",
      propertyNames: { pattern: "^k_[a-z]+$" },
      additionalProperties: { type: "integer" },
    },
    ["{}", '{"k_a":1,"k_bc":2}'],
    ['{"a":1}', '{"k_a":"x"}'],
  ],
  [
    "records with listed names",
    {
      type: "object",
      propertyNames: { $ref: "#/$defs/n" },
      additionalProperties: { type: "null" },
      required: ["b"],
      $defs: { n: { enum: ["a", "b", "c"] } },
    },
    ['{"b":null}', '{"b":null,"a":null,"c":null}'],
    ["{}", '{"b":null,"d":null}', '{"b":1}'],
  ],
  [
    "members by pattern",
    {
      type: "object",
      patternProperties: { "^s": { type: "string" }, "^n": { type: "number" } },
      additionalProperties: false,
    },
    ["{}", '{"s1":"x","n1":2}'],
    ['{"s1":1}', '{"x":1}'],
  ],
  [
    "an optional member that nothing is valid for",
    {
      type: "object",
      properties: { a: { type: "null" }, b: { not: {} } },
    },
    ["{}", '{"a":null}'],
    ['{"b":1}'],
  ],
  [
    "a set of listed values",
    {
      type: "array",
      items: { enum: ["a", "b", "c"] },
      uniqueItems: true,
      minItems: 1,
      maxItems: 2,
    },
    ['["a"]', '["a","c"]', '["b", "c"]', '["c"]'],
    ["[]", '["a","a"]', '["a","b","c"]', '["d"]'],
  ],
  ["a set of any size", { type: "array", items: { type: "boolean" }, uniqueItems: true }, [
    "[]",
    "[true]",
    "[true,false]",
  ], ["[true,true]", "[true,false,true]"]],
  ["many values", { enum: Array.from({ length: 1500 }, (_v, index) => `value-${index}`) }, [
    '"value-0"',
    '"value-1"',
    '"value-10"',
    '"value-1499"',
  ], ['"value-1500"', '"value-"', '"value-01"']],
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

Deno.test("a grammar has white space where printers put it, in short runs, and nowhere else", () => {
  const matcher = new GbnfMatcher(jsonGrammar());
  const value = { a: [1, { b: null }], c: {}, d: "x" };
  for (const indent of [undefined, 1, 2, 4, "\t"]) {
    assert.ok(matcher.accepts(JSON.stringify(value, undefined, indent)), String(indent));
  }
  assert.ok(matcher.accepts('{"a": 1, "b": [1, 2]}'));
  assert.ok(matcher.accepts(`{\n${" ".repeat(20)}}`));
  for (
    const text of [
      `{\n${" ".repeat(21)}}`,
      "{\n\n}",
      "{} ",
      '{"a" : 1}',
      '{"a":  1}',
      '{"a":\n1}',
      '{"a":1 ,"b":2}',
      '{"a":1,  "b":2}',
    ]
  ) assert.ok(!matcher.accepts(text), text);
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
  [{ not: {} }, /^#: nothing is valid/],
  [{ type: "object", properties: { a: { not: {} } }, required: ["a"] }, /a: nothing is valid/],
  [{ type: "string", pattern: 3 }, /^#\/pattern: must be a text/],
  [{ type: "string", pattern: "^a$", minLength: 3 }, /^#\/pattern: no text has such a length/],
  [
    { type: "array", items: { enum: [1, 2] }, uniqueItems: true, minItems: 3 },
    /than there are val/,
  ],
  [{ type: "number", multipleOf: 0 }, /^#\/multipleOf: must be more than 0/],
  [{ type: "object", additionalProperties: false, minProperties: 1 }, /no number of members/],
  [{ allOf: [{ const: 1 }, { const: 2 }] }, /two different "const"/],
  [{ type: "array", items: { type: "text" } }, /^#\/items\/type: unknown type "text"/],
  [{ type: "array", minItems: 3, maxItems: 2 }, /^#\/minItems: is more than maxItems/],
  [{ type: "array", minItems: ARRAY_ITEMS_MAX + 1 }, /^#\/minItems: is more than/],
  [{ type: "array", prefixItems: [{}], items: false, minItems: 2 }, /^#\/minItems: asks for more/],
  [{ type: "string", minLength: -1 }, /^#\/minLength: must be a whole number/],
  [{ type: "string", minLength: STRING_LENGTH_MAX + 1 }, /^#\/minLength: is more than/],
  [{ type: "integer", minimum: 3, maximum: 2 }, /^#: no number is within/],
  [{ type: "integer", minimum: "3" }, /^#\/minimum: must be a number/],
  [{ enum: [] }, /^#\/enum: /],
  [{ enum: Array.from({ length: SCHEMA_ENUM_MAX + 1 }, (_v, i) => i) }, /^#\/enum: holds more/],
  [{ type: "integer", enum: ["a"] }, /^#: no value is of the type/],
  [{ $ref: "other.json" }, /^#\/\$ref: only references into/],
  [{ $ref: "#/$defs/none" }, /^#\/\$ref: "#\/\$defs\/none" is not there/],
  [{ anyOf: [{ type: "null" }, { $ref: "#" }] }, /refers to itself/],
  [{ allOf: [{ $ref: "#" }] }, /refers to itself/],
  [{ $ref: "#/$defs/a", $defs: { a: { $ref: "#/$defs/b" }, b: { $ref: "#/$defs/a" } } }, /itself/],
  [{ anyOf: [] }, /^#\/anyOf: must be a list/],
  [{ allOf: [{ type: "string" }, { type: "integer" }] }, /^#\/type: no type suits both/],
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
];

for (const [schema, reason] of REFUSED) {
  Deno.test(`a grammar is refused for ${JSON.stringify(schema).slice(0, 90)}`, () => {
    const result = schemaToGrammar(schema);
    assert.ok(result.kind === "refused", JSON.stringify(result));
    assert.match(result.reason, reason);
  });
}

/** Schemas that are followed but for something, and what is told of that. */
const IGNORED: readonly [Schema, RegExp][] = [
  [{ type: "string", not: { const: "x" } }, /^#\/not: can't be followed/],
  [{ properties: { a: { type: "null", if: {} } } }, /^#\/properties\/a\/if: /],
  [{ type: "array", uniqueItems: true }, /^#\/uniqueItems: /],
  [{ type: "array", contains: { const: 1 } }, /^#\/contains: /],
  [{ type: "string", pattern: "(?=a)" }, /^#\/pattern: look-around/],
  [{ type: "string", pattern: "(a)\\1" }, /^#\/pattern: "\\1"/],
  [{ type: "string", pattern: "\\bword" }, /^#\/pattern: "\\b"/],
  [{ type: "string", pattern: "a^b" }, /^#\/pattern: anchors/],
  [{ type: "string", pattern: "[a" }, /^#\/pattern: /],
  [{ type: "string", pattern: "(a" }, /^#\/pattern: "\)" is missing/],
  [{ type: "string", pattern: "a)" }, /^#\/pattern: unexpected/],
  [{ type: "string", pattern: "*a" }, /^#\/pattern: nothing stands before/],
  [{ type: "string", pattern: "a{3,2}" }, /^#\/pattern: numbers out of order/],
  [{ type: "string", pattern: "^(a|b)+c*$", maxLength: 3000 }, /^#\/pattern: the lengths beside/],
  [{ type: "string", pattern: "\\0" }, /^#\/pattern: a class holds no character/],
  [{ type: "string", pattern: "(".repeat(40) }, /^#\/pattern: nests too many groups/],
  [{ type: "string", pattern: "a".repeat(9000) }, /^#\/pattern: is longer than/],
  [{ type: "number", multipleOf: 0.7 }, /^#\/multipleOf: /],
  [{ enum: ["a"], minLength: 1 }, /^#\/minLength: isn't looked at/],
  [{ type: "string", allOf: [{ pattern: "a" }, { pattern: "b" }] }, /^#\/pattern: two different/],
  [{ type: "object", properties: { a: {}, b: {} }, minProperties: 1 }, /^#\/minProperties: can't/],
  [
    { type: "object", properties: { a: {} }, patternProperties: { "^x": {} } },
    /^#\/patternProperties: isn't followed/,
  ],
];

for (const [schema, reason] of IGNORED) {
  Deno.test(`a grammar tells what it ignores of ${JSON.stringify(schema).slice(0, 90)}`, () => {
    const result = schemaToGrammar(schema);
    assert.ok(result.kind === "grammar", JSON.stringify(result));
    new GbnfMatcher(result.gbnf);
    assert.match(result.ignored[0] ?? "", reason);
  });
}

Deno.test("a keyword that nobody knows is an annotation", () => {
  const schema = { type: "integer", minimum: 3, unit: "mm", $vocabulary: {}, "x-own": [] };
  const result = schemaToGrammar(schema);
  assert.ok(result.kind === "grammar");
  assert.deepEqual(result.ignored, []);
  assert.ok(!new GbnfMatcher(result.gbnf).accepts("2"));
});

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
