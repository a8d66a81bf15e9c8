import assert from "node:assert/strict";
import { LOCAL_TEMPLATES } from "../../../tests/harness/local_templates.ts";
import type { TemplateOutcome } from "../template_worker/mod.ts";
import { TemplateInspector } from "./template_inspector.ts";

const TOOLS = { jinjaTemplate: "{% for t in tools %}{{ t.function.name }}{% endfor %}" };
const EXCEEDED: TemplateOutcome = { kind: "exceeded", message: "too much" };

/** Workers that count, and answer with `outcomes` before they do their work. */
function countingWorkers(...outcomes: TemplateOutcome[]) {
  const counted = { runs: 0 };
  const run: typeof LOCAL_TEMPLATES.run = (...asked) => {
    counted.runs++;
    const outcome = outcomes.shift();
    return outcome === undefined ? LOCAL_TEMPLATES.run(...asked) : Promise.resolve(outcome);
  };
  return { counted, workers: { run } };
}

/** A file in memory. */
function memoryFile() {
  const file = {
    bytes: undefined as Uint8Array | undefined,
    read: () => Promise.resolve(file.bytes),
    write: (bytes: Uint8Array) => {
      file.bytes = bytes;
      return Promise.resolve();
    },
  };
  return file;
}

Deno.test("A template is run once, however many ask, and never again after a restart", async () => {
  const { counted, workers } = countingWorkers();
  const file = memoryFile();
  const inspector = await TemplateInspector.open({ workers, file });
  assert.equal(inspector.find(TOOLS), undefined);
  const both = await Promise.all([inspector.inspect(TOOLS), inspector.inspect(TOOLS)]);
  assert.ok(both.every(({ traits }) => traits.capabilities.tools));
  assert.equal(inspector.find(TOOLS)?.traits.kind, "jinja");
  await inspector.saved();
  const after = await TemplateInspector.open({ workers, file });
  const [found] = both;
  assert.equal(JSON.stringify(after.find(TOOLS)), JSON.stringify(found));
  assert.equal(counted.runs, 1);
});

Deno.test("A template that exceeds its limits twice can't be used, until the next start", async () => {
  const { counted, workers } = countingWorkers(EXCEEDED, EXCEEDED);
  const file = memoryFile();
  const inspector = await TemplateInspector.open({ workers, file });
  const { traits, failure } = await inspector.inspect(TOOLS);
  assert.equal(failure, "too much");
  assert.deepEqual(traits.capabilities, { tools: false, thinking: false, insert: false });
  await inspector.inspect(TOOLS);
  assert.equal(counted.runs, 2);
  await inspector.saved();
  assert.equal((await TemplateInspector.open({ workers, file })).find(TOOLS), undefined);
});

Deno.test("A template that was held up once is tried again", async () => {
  const { workers } = countingWorkers(EXCEEDED);
  const { traits } = await new TemplateInspector({ workers }).inspect(TOOLS);
  assert.equal(traits.capabilities.tools, true);
});

Deno.test("A model with a Go template does without a chat template that can't be used", async () => {
  const { workers } = countingWorkers(EXCEEDED, EXCEEDED);
  const inspected = await new TemplateInspector({ workers })
    .inspect({ ...TOOLS, goTemplate: "{{ .Prompt }}{{ .Suffix }}" });
  assert.equal(inspected.failure, undefined);
  assert.equal(inspected.traits.kind, "go");
  assert.equal(inspected.traits.capabilities.insert, true);
});

Deno.test("A damaged file counts as absent, row by row", async () => {
  const { workers } = countingWorkers();
  const file = memoryFile();
  const inspector = await TemplateInspector.open({ workers, file });
  await inspector.inspect(TOOLS);
  await inspector.saved();
  const text = new TextDecoder().decode(file.bytes);
  for (
    const damaged of [
      "",
      "[]",
      "{",
      text.replace(/"version":\d+/, '"version":0'),
      text.replace('"tools":true', '"tools":"yes"'),
      text.replace('"kind":"jinja"', '"kind":"other"'),
      text.replace('"toolCallTag":', '"tag":'),
    ]
  ) {
    assert.notEqual(damaged, text);
    file.bytes = new TextEncoder().encode(damaged);
    assert.equal((await TemplateInspector.open({ workers, file })).find(TOOLS), undefined);
  }
  file.bytes = new TextEncoder().encode(text);
  assert.notEqual((await TemplateInspector.open({ workers, file })).find(TOOLS), undefined);
});
