import assert from "node:assert/strict";
import { appUnderTest, parseLines } from "../../tests/harness/http_app.ts";

Deno.test("POST /api/generate streams one line per chunk and ends with done=true", async () => {
  const { send } = appUnderTest({ words: ["Hel", "lo"] });
  const response = await send("POST", "/api/generate", { model: "M", prompt: "hi" });
  assert.equal(response.status, 200);
  assert.equal(response.headers.get("content-type"), "application/x-ndjson");
  const lines = parseLines(await response.text());
  assert.deepEqual(lines, [
    { model: "M", created_at: "2026-01-02T03:04:05.678Z", response: "Hel", done: false },
    { model: "M", created_at: "2026-01-02T03:04:05.678Z", response: "lo", done: false },
    {
      model: "M",
      created_at: "2026-01-02T03:04:05.678Z",
      response: "",
      done: true,
      done_reason: "stop",
      context: [1, 2, 3],
      total_duration: 5_000_000,
      load_duration: 1_000_000,
      prompt_eval_count: 7,
      prompt_eval_duration: 2_000_000,
      eval_count: 3,
      eval_duration: 2_000_000,
    },
  ]);
});
