import assert from "node:assert/strict";
import { compileTemplate } from "./mod.ts";

/** What a template prints of one user's message "hi". */
function printed(template: string): string {
  const compiled = compileTemplate({ jinjaTemplate: template + "{# hi #}" });
  return compiled.render({ messages: [{ role: "user", content: "hi" }], date: new Date(0) }).text;
}

for (
  const [template, expected] of [
    // Filters that the library has for texts alone.
    ["{{ none | string }}|{{ nothing | string }}|{{ 5 | string }}", "None||5"],
    ["{{ ['a', 'b'] | upper }}{{ none | upper }}{{ nothing | trim }}", '["A", "B"]'],
    ["{{ [3, 1, 2] | min }}{{ [3, 1, 2] | max }}{{ [3, 1] | sum }}", "134"],
    ["{{ 'ab' | list | join('-') }}{{ {'k': 1} | list | join }}", "a-bk"],
    ["{{ nothing | length }}{{ nothing | default }}{{ none | items | length }}", "00"],
    ["{{ ['a', 'b'] | map('upper') | join(', ') }}", "A, B"],
    ["{{ [] | first }}{{ 'xy' | first }}{{ 'xy' | last }}", "xy"],
    // Methods of Python.
    ["{{ 'xxaxx'.strip('x') }}{{ 'abc'.find('c') }}{{ ','.join(['a', 'b']) }}", "a2a,b"],
    ["{{ 'prefix'.removeprefix('pre') }}{{ 'a.txt'.removesuffix('.txt') }}", "fixa"],
    ["{% set l = [1] %}{{ l.append(2) }}{{ l | length }}{{ l.pop() }}", "22"],
    ["{{ nothing.get('k', 'd') }}{{ nothing.items() | length }}{{ nothing.strip() }}", "d0"],
    // Loops over anything, taken apart.
    ["{% for k, v in {'a': 1} %}{{ k }}{{ v }}{% endfor %}", "a1"],
    ["{% for a, b in ['xy'] %}{{ b }}{{ a }}{% endfor %}", "yx"],
    ["{% for c in 'ab' %}[{{ c }}]{% endfor %}{% for c in nothing %}!{% endfor %}", "[a][b]"],
    ["{% for c in 'aba' if c == 'a' %}{{ loop.index }}{% endfor %}", "12"],
    // Operators with values that are not there.
    ["{{ 'a' ~ none ~ nothing ~ 1 }}{{ 'a' + nothing }}", "aNone1a"],
    ["{{ 'x' in none }}{{ none in ['x'] }}{{ 'x' not in none }}", "falsefalsetrue"],
    // Keys that are no texts.
    ["{% for k, v in {16: 'a', 2: 'b'} | dictsort %}{{ k + 1 }}{{ v }}{% endfor %}", "3b17a"],
    ["{{ {512: 'x'}[512] }}{{ {'a': 1}[['b']] }}", "x"],
  ] as const
) {
  Deno.test(`Chat templates have what the library lacks: ${template}`, () => {
    assert.equal(printed(template), expected);
  });
}

Deno.test("A chat template that adds a text and a list fails, as it does in Python", () => {
  assert.throws(() => printed("{{ 'a' + [1] }}"), { code: "invalid_template" });
});
