import assert from "node:assert/strict";
import { startNode } from "../harness/node.ts";

const STABLE = "You are kind and brief, and you count stones. ".repeat(10);
const RULE = "drop:x-request-id:";
/** Fewer tokens than the stable text has, and more than a template puts before it. */
const SOME_TOKENS = 60;

interface Message {
  readonly role: string;
  readonly content: string;
}

/** What an agent sends in its second turn: another first line of its system text, the same rest, and what was said. */
function turns(name: string): readonly (readonly Message[])[] {
  const system = (turn: number): Message => {
    return { role: "system", content: `x-request-id: ${turn} ${name}\n${STABLE} You are ${name}.` };
  };
  const asked = { role: "user", content: "Why is the sky blue?" };
  const answered = { role: "assistant", content: "The sky is blue because air scatters light." };
  return [
    [system(1), asked],
    [system(2), asked, answered, { role: "user", content: "And the sea?" }],
  ];
}

Deno.test("a turn re-uses what was computed of the one before though its system text begins with another line, where a rule says so", async () => {
  await using node = await startNode();
  const parameters = { volatile_lines: [RULE] };
  await node.ask("/api/create", { model: "ruled", from: "tiny", parameters, stream: false });
  const fixed = { stream: false, options: { num_predict: 4, temperature: 0 } };

  const native = async (name: string, changes: object) => {
    const answers: Record<string, unknown>[] = [];
    for (const messages of turns(name)) {
      answers.push(await node.ask("/api/chat", { model: "tiny", ...fixed, messages, ...changes }));
    }
    return answers[1]?.prompt_cache as {
      readonly reused: number;
      readonly recomputed: number;
      readonly end: string;
      readonly volatile_lines?: unknown;
    };
  };
  const without = await native("Ada", {});
  assert.equal(without.end, "differs");
  assert.equal(without.volatile_lines, undefined);
  assert.ok(without.reused < SOME_TOKENS, `${without.reused} reused without a rule`);

  const options = { ...fixed.options, volatile_lines: [RULE] };
  for (const changes of [{ options }, { model: "ruled" }]) {
    const ruled = await native(`Bo ${JSON.stringify(changes.model ?? "")}`, changes);
    assert.ok(ruled.reused > SOME_TOKENS, `${ruled.reused} reused`);
    assert.ok(ruled.recomputed < SOME_TOKENS, `${ruled.recomputed} recomputed`);
    assert.deepEqual(ruled.volatile_lines, { dropped: 1, moved: 0 });
  }

  const header = { "x-odist-volatile-lines": JSON.stringify([RULE]) };
  const anthropic = async (name: string, headers: Record<string, string>) => {
    const answers: Response[] = [];
    for (const [system, ...messages] of turns(name)) {
      const body = { model: "tiny", max_tokens: 4, system: system?.content, messages };
      answers.push(await node.post("/v1/messages", body, { headers }));
    }
    const [first, second] = answers;
    await first?.body?.cancel();
    assert.equal(second?.status, 200);
    const { usage } = await second.json();
    return {
      reused: usage.cache_read_input_tokens,
      told: second.headers.get("x-odist-volatile-lines"),
    };
  };
  const unruled = await anthropic("Cy", {});
  assert.ok(unruled.reused < SOME_TOKENS, `${unruled.reused} reused without the header`);
  assert.equal(unruled.told, null);
  const ruled = await anthropic("Di", header);
  assert.ok(ruled.reused > SOME_TOKENS, `${ruled.reused} reused with the header`);
  assert.equal(ruled.told, "dropped=1; moved=0");
});

Deno.test("what an answer says of its prompt's beginning is what explains its route, and what is counted", async () => {
  await using node = await startNode();
  const [first = [], second = []] = turns("Eve");
  const body = { model: "tiny", stream: false, options: { num_predict: 4 } };
  await node.ask("/api/chat", { ...body, messages: first });
  const headers = { "x-request-id": "second" };
  const answer = await node.post("/api/chat", { ...body, messages: second }, { headers });
  const { prompt_cache: told, prompt_eval_count: count } = await answer.json();
  assert.equal(told.reused + told.recomputed, count);
  const { routes } = await (await node.get("/api/cluster/explain/second")).json();
  assert.deepEqual(routes.at(-1).prompt_cache, {
    prompt_tokens: count,
    matched_tokens: told.matched,
    reused_tokens: told.reused,
    source: told.source,
    end: told.end,
  });
  assert.ok(told.reused > 0);
  const metrics = await (await node.get("/metrics")).text();
  const [, cached] =
    /^odist_prompt_tokens_cached_total\{.*source="slot".*\} (\d+)$/m.exec(metrics) ?? [];
  assert.equal(Number(cached), told.reused);
});
