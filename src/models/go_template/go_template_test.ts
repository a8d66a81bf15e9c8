import assert from "node:assert/strict";
import { RequestError } from "../../base/mod.ts";
import goCases from "./go_cases.json" with { type: "json" };
import {
  executeGoTemplate,
  GO_FUNCTION_NAMES,
  goFromJson,
  GoMap,
  GoStruct,
  type GoValue,
  parseGoTemplate,
} from "./mod.ts";
import { GoFloat } from "./value.ts";
import { TEMPLATE_DEPTH_MAX } from "./parser.ts";

const DATES = { today: "2026-03-01", yesterday: "2026-02-28" };

function map(fields: Record<string, GoValue>): GoMap {
  return new GoMap(new Map(Object.entries(fields)));
}

/** The data that Go's own engine was given when it made go_cases.json. */
const DATA = map({
  A: 1,
  S: "hi <b> & 'q'",
  N: "",
  L: ["a", "b", "c"],
  E: [],
  M: map({ y: 2, x: 1 }),
  T: true,
  F: new GoFloat(1.5),
  Msgs: [
    map({ Role: "user", Content: "x" }),
    map({ Role: "assistant", Content: "" }),
    map({ Role: "user", Content: "z" }),
  ],
});

function run(source: string, root: GoValue = DATA): string {
  return executeGoTemplate(parseGoTemplate(source, GO_FUNCTION_NAMES), { root, dates: DATES });
}

function failure(source: string): string {
  try {
    run(source);
  } catch (error) {
    assert.ok(error instanceof RequestError && error.code === "invalid_template");
    return error.message;
  }
  return "no failure";
}

Deno.test("Go templates print and fail exactly as Go 1.26's text/template does", async (t) => {
  for (const [source = "", outcome, expected] of goCases) {
    await t.step(
      JSON.stringify(source),
      () => assert.equal(outcome === "ok" ? run(source) : failure(source), expected),
    );
  }
});

Deno.test("a Go template reads missing keys and fields of nil as nil", () => {
  assert.equal(run("{{ .Nope.Deeper }}{{ if .Nope.Deeper }}x{{ end }}"), "<no value>");
});

Deno.test("a Go template knows json, dates and TypeScript types", () => {
  assert.equal(
    run("{{ json . }}", goFromJson({ b: [1, 1.5, null, "<é>"], a: { z: true } })),
    '{"a":{"z":true},"b":[1,1.5,null,"\\u003cé\\u003e"]}',
  );
  assert.equal(run('{{ currentDate }} {{ yesterdayDate "x" }}'), "2026-03-01 2026-02-28");
  assert.equal(run('{{ toTypeScriptType "x" }}'), "any");
});

Deno.test("a Go struct prints its fields, or JSON when it says so", () => {
  const fields = {
    A: { json: "a", value: 1 },
    B: { json: "b", omitsEmpty: true, value: "" },
    C: { json: "", value: "hidden" },
  };
  assert.equal(run("{{ . }}|{{ json . }}|{{ .A }}", new GoStruct(fields)), '{1  hidden}|{"a":1}|1');
  assert.equal(run("{{ . }}", new GoStruct(fields, { printsJson: true })), '{"a":1}');
});

Deno.test("a Go template that would never end is stopped", () => {
  assert.match(
    failure("{{ range 99999999 }}{{ range 99999999 }}{{ end }}{{ end }}"),
    /more than \d+ steps/,
  );
  assert.match(failure('{{ define "t" }}{{ template "t" }}{{ end }}{{ template "t" }}'), /depth/);
  assert.match(
    failure(`{{ range 99999999 }}${"x".repeat(100_000)}{{ end }}`),
    /more than \d+ characters/,
  );
});

Deno.test("a Go template that is nested too deep is refused", () => {
  const deep = "{{ if true }}".repeat(TEMPLATE_DEPTH_MAX + 1);
  assert.match(failure(deep), /nested deeper than/);
  assert.match(failure(`{{ ${"(".repeat(5000)} }}`), /nested deeper than/);
});
