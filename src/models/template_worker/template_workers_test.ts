import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { REAL_CLOCK } from "../../../tests/harness/stored_models.ts";
import type { Clock } from "../../ports/mod.ts";
import type { PromptInput } from "../template/mod.ts";
import { templateWorkersOf } from "../../../tests/harness/runners.ts";
import { createTemplateWorkers, type TemplateWorkers } from "./template_workers.ts";
import { LOSSES_MAX } from "./worker_limits.ts";

const MAIN = fileURLToPath(new URL("./main.ts", import.meta.url));
const COMMAND = [Deno.execPath(), "run", "--quiet", "--no-lock", MAIN];
const input: PromptInput = {
  messages: [{ role: "user", content: "hi" }],
  date: new Date(Date.UTC(2026, 10, 29, 12)),
};
const PLAIN = { jinjaTemplate: "{{ messages[0].content }}!" };
const ENDLESS = {
  jinjaTemplate: "{% set r = range(10000) %}{% for a in r %}{% for b in r %}{% for c in r %}" +
    "{% endfor %}{% endfor %}{% endfor %}",
};
/** One array of 128 MiB, which no time is needed for. */
const LARGE = {
  jinjaTemplate:
    '{% set n = namespace(s="x ") %}{% for i in range(24) %}{% set n.s = n.s + n.s %}{% endfor %}' +
    '{{ n.s.split(" ") | length }}',
};

async function withWorkers(use: (workers: TemplateWorkers) => Promise<void>): Promise<void> {
  const workers = createTemplateWorkers({ command: COMMAND, clock: REAL_CLOCK });
  try {
    await use(workers);
  } finally {
    await workers.close();
  }
}

Deno.test("A worker renders what the template makes of the conversation", () =>
  withWorkers(async (workers) => {
    const outcome = await workers.run(PLAIN, input, "model");
    assert.equal(outcome.kind === "answer" && outcome.prompt?.text, "hi!");
    const dated = { jinjaTemplate: "{{ strftime_now('%F') }}" };
    const day = await workers.run(dated, input, "model");
    assert.equal(day.kind === "answer" && day.prompt?.text, "2026-11-29");
    const inspected = await workers.run(PLAIN, null, "model");
    assert.equal(inspected.kind === "answer" && inspected.prompt, undefined);
  }));

Deno.test("A template that does not compile is refused in its own words", () =>
  withWorkers(async (workers) => {
    const outcome = await workers.run({ goTemplate: "{{ .Prompt" }, input, "request");
    assert.equal(outcome.kind, "refused");
    assert.match(outcome.kind === "refused" ? outcome.message : "", /unclosed action/);
  }));

Deno.test("A template that takes too long ends after its limit, and the next one runs", () =>
  withWorkers(async (workers) => {
    await workers.run(PLAIN, input, "model");
    const startedMs = performance.now();
    const outcome = await workers.run(ENDLESS, input, "model");
    assert.deepEqual(outcome, {
      kind: "exceeded",
      message: "the template takes more than 250 ms",
    });
    assert.ok(performance.now() - startedMs < 2_000);
    assert.equal((await workers.run(PLAIN, input, "model")).kind, "answer");
  }));

Deno.test("A template that fills the memory ends alone", () =>
  withWorkers(async (workers) => {
    const outcome = await workers.run(LARGE, input, "model");
    assert.equal(outcome.kind, "exceeded");
    assert.equal((await workers.run(PLAIN, input, "model")).kind, "answer");
  }));

Deno.test("Renderings that go together are told apart, and one that takes too long costs the others nothing", () =>
  withWorkers(async (workers) => {
    // Proven by a short conversation, endless by a long one.
    const LONG = {
      jinjaTemplate: `{% if messages[0].content == "long" %}${ENDLESS.jinjaTemplate}{% endif %}` +
        "{{ messages[0].content }}!",
    };
    const saying = (content: string) => ({ ...input, messages: [{ role: "user", content }] });
    await Promise.all([workers.run(PLAIN, input, "model"), workers.run(LONG, input, "model")]);
    const outcomes = await Promise.all(
      ["a", "long", "b", "c"].map((content, index) =>
        workers.run(index % 2 === 1 ? LONG : PLAIN, saying(content), "model")
      ),
    );
    const shown = outcomes.map((one) => one.kind === "answer" ? one.prompt?.text : one.message);
    assert.deepEqual(shown, ["a!", "the template takes more than 250 ms", "b!", "c!"]);
  }));

/** What a worker is asked in one go, as it says itself. */
async function questionsOf(
  contents: readonly string[],
  answer: string,
): Promise<readonly (readonly { readonly key: string; readonly sources?: unknown }[])[]> {
  const file = await Deno.makeTempFile({ suffix: ".ts" });
  const log = `${file}.log`;
  await Deno.writeTextFile(
    file,
    `console.log('{"kind":"ready"}');
    for await (const chunk of Deno.stdin.readable) {
      const lines = new TextDecoder().decode(chunk).trim().split("\\n");
      Deno.writeTextFileSync(${JSON.stringify(log)}, "[" + lines.join() + "]\\n", { append: true });
      const said = lines.map((line) => JSON.parse(line)).map((asked) => JSON.stringify(${answer}));
      await Deno.stdout.write(new TextEncoder().encode(said.join("\\n") + "\\n"));
    }`,
  );
  const command = [Deno.execPath(), "run", "--quiet", "--no-config", "-A", file];
  const workers = createTemplateWorkers({ command, clock: REAL_CLOCK });
  try {
    await workers.run(PLAIN, input, "model");
    await Promise.all(contents.map((content) => {
      return workers.run(PLAIN, { ...input, messages: [{ role: "user", content }] }, "model");
    }));
  } finally {
    await workers.close();
    await Deno.remove(file);
  }
  const text = await Deno.readTextFile(log);
  await Deno.remove(log);
  return text.trim().split("\n").map((line) => JSON.parse(line));
}

const ANSWERED = '{ kind: "answer", traits: {}, prompt: { text: "" } }';

Deno.test("A worker is told a template once, and asked for what waits in one go", async () => {
  const asked = await questionsOf(["a", "b", "c", "d"], ANSWERED);
  const told = asked.map((questions) => questions.map(({ sources }) => sources !== undefined));
  assert.deepEqual(told, [[true], [false], [false, false, false]]);
});

Deno.test("A worker that has forgotten a template is told it again", async () => {
  const forgets = `asked.sources === undefined ? { kind: "forgotten" } : ${ANSWERED}`;
  const asked = await questionsOf(["a"], forgets);
  assert.deepEqual(asked.map(([question]) => question?.sources !== undefined), [true, false, true]);
});

Deno.test("Templates that rendered before do not wait for ones that never did", () =>
  withWorkers(async (workers) => {
    await workers.run(PLAIN, input, "model");
    // Two at once, so that there is a second worker.
    await Promise.all([workers.run(PLAIN, input, "model"), workers.run(ENDLESS, input, "model")]);
    await Promise.all([1, 2, 3, 4].map(() => workers.run(PLAIN, input, "model")));
    const order: string[] = [];
    const bombs = ["a", "b", "c", "d"].map(async (name) => {
      await workers.run({ jinjaTemplate: `${ENDLESS.jinjaTemplate}${name}` }, input, "request");
      order.push("bomb");
    });
    const known = workers.run(PLAIN, input, "model").then(() => order.push("known"));
    const fresh = workers.run({ jinjaTemplate: "new" }, input, "model").then(() =>
      order.push("model")
    );
    await Promise.all([...bombs, known, fresh]);
    assert.equal(order[0], "known", order.join());
    // One bomb ran already; the others came from requests, and a model's template goes first.
    assert.ok(order.indexOf("model") <= 2, order.join());
  }));

Deno.test("More renderings than may wait are refused", () =>
  withWorkers(async (workers) => {
    const running = Array.from({ length: 256 }, () => workers.run(PLAIN, input, "model"));
    assert.throws(() => workers.run(PLAIN, input, "model"), { code: "queue_full" });
    await Promise.all(running);
  }));

Deno.test("A conversation that is too long to be handed over is refused with the figure", () =>
  withWorkers(async (workers) => {
    const content = "x".repeat(16 * 1024 * 1024);
    const outcome = await workers.run(
      PLAIN,
      { ...input, messages: [{ role: "user", content }] },
      "model",
    );
    assert.match(outcome.kind === "refused" ? outcome.message : "", /at most 16777216/);
  }));

Deno.test("A worker that can't be started fails what waits, once each", async () => {
  const command = [Deno.execPath(), "eval", "Deno.exit(3)"];
  const workers = createTemplateWorkers({ command, clock: REAL_CLOCK });
  const asked = [1, 2, 3].map(() => workers.run(PLAIN, input, "model"));
  const outcomes = await Promise.allSettled(asked);
  assert.ok(outcomes.every(({ status }) => status === "rejected"));
  await workers.close();
});

Deno.test({
  name: "A worker that others end costs its rendering nothing, unless they go on and on",
  ignore: Deno.build.os === "windows",
  fn: () =>
    withWorkers(async (workers) => {
      let asked = workers.run(PLAIN, input, "model");
      for (const pid of await templateWorkersOf(Deno.pid)) Deno.kill(pid, "SIGKILL");
      assert.equal((await asked).kind, "answer");
      let killed = 0;
      asked = workers.run(
        { jinjaTemplate: `${ENDLESS.jinjaTemplate} {# held up #}` },
        input,
        "model",
      );
      let isDone = false;
      asked.finally(() => isDone = true).catch(() => {});
      while (!isDone) {
        for (const pid of await templateWorkersOf(Deno.pid)) {
          killed++;
          try {
            Deno.kill(pid, "SIGKILL");
          } catch (error) {
            // It ended meanwhile.
            if (!(error instanceof Deno.errors.NotFound)) throw error;
          }
        }
      }
      assert.ok(killed > LOSSES_MAX, `${killed}`);
      assert.equal((await workers.run(PLAIN, input, "model")).kind, "answer");
    }),
});

Deno.test("Closed workers are gone, and what waited fails", async () => {
  const workers = createTemplateWorkers({ command: COMMAND, clock: REAL_CLOCK });
  const waiting = workers.run(PLAIN, input, "model");
  await Promise.all([assert.rejects(waiting, { code: "stopping" }), workers.close()]);
  assert.throws(() => workers.run(PLAIN, input, "model"), { code: "stopping" });
});

/** Runs a program in a worker's place and returns what it says of itself. */
async function sayOf(expression: string, clock: Clock = REAL_CLOCK): Promise<unknown> {
  const file = await Deno.makeTempFile({ suffix: ".ts" });
  await Deno.writeTextFile(
    file,
    `import { getHeapStatistics } from "node:v8";
    console.log('{"kind":"ready"}');
    for await (const _ of Deno.stdin.readable) {
      console.log(JSON.stringify({ kind: "refused", message: String(${expression}) }));
    }`,
  );
  const command = [Deno.execPath(), "run", "--quiet", "--no-config", "-A", file];
  const workers = createTemplateWorkers({ command, clock });
  try {
    const outcome = await workers.run(PLAIN, null, "model");
    return outcome.kind === "refused" ? outcome.message : outcome;
  } finally {
    await workers.close();
    await Deno.remove(file);
  }
}

/** Elsewhere the clock counts alone. */
const knowsProcessorTime = Deno.build.os === "linux";

Deno.test({
  name: "A rendering that a busy machine holds up is not ended for it",
  ignore: !knowsProcessorTime,
  // As a node has them: without all, it may not read there itself.
  permissions: { read: true, write: true, run: true, env: true },
  fn: async () => {
    const said = await sayOf("await new Promise((resolve) => setTimeout(resolve, 600, 'late'))");
    assert.equal(said, "late");
  },
});

/** Ten times as fast as the real one. */
const FAST_CLOCK: Clock = {
  ...REAL_CLOCK,
  monotonicMs: () => REAL_CLOCK.monotonicMs() * 10,
  after: (delayMs, run) => REAL_CLOCK.after(delayMs / 10, run),
};
const SILENCE = "await new Promise(() => setInterval(() => {}, 1000))";

Deno.test({
  name:
    "A worker that uses no processor at all is ended in the end, and no template is blamed for it",
  ignore: !knowsProcessorTime,
  fn: async () => {
    await assert.rejects(sayOf(SILENCE, FAST_CLOCK), {
      code: "runner_lost",
      message: "the process that renders templates got no processor for 10000 ms",
    });
  },
});

Deno.test({
  name: "Where no system tells what a process uses, silence is what a template takes",
  ignore: knowsProcessorTime,
  fn: async () => {
    const message = "the template takes more than 250 ms";
    assert.deepEqual(await sayOf(SILENCE), { kind: "exceeded", message });
  },
});

Deno.test("A worker is given none of the node's secrets", async () => {
  Deno.env.set("ODIST_KEY", "secret");
  try {
    const names = await sayOf("Object.keys(Deno.env.toObject())");
    assert.ok(typeof names === "string" && names.includes("DENO_V8_FLAGS"));
    assert.ok(!names.includes("ODIST_KEY"), names);
  } finally {
    Deno.env.delete("ODIST_KEY");
  }
});

Deno.test("A worker's heap ends at 64 MiB", async () => {
  assert.equal(Number(await sayOf("getHeapStatistics().heap_size_limit")), 64 * 2 ** 20);
});

Deno.test("A worker gives up all permissions before it reads a template", async () => {
  const module = new URL("./mod.ts", import.meta.url).href;
  const script = `import { serveTemplates } from "${module}";
    serveTemplates();
    const names = ["read", "write", "net", "env", "run", "ffi", "sys"];
    console.log(names.map((name) => Deno.permissions.querySync({ name }).state).join());`;
  const config = fileURLToPath(new URL("../../../deno.json", import.meta.url));
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "-A",
      "--quiet",
      "--no-lock",
      `--config=${config}`,
      `data:application/typescript,${encodeURIComponent(script)}`,
    ],
    stdin: "null",
  }).output();
  const [ready, states = ""] = new TextDecoder().decode(stdout).split("\n");
  assert.equal(ready, '{"kind":"ready"}');
  assert.deepEqual(states.split(","), Array(7).fill("prompt"));
});
