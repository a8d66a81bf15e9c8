import assert from "node:assert/strict";
import { ScriptedTerminal } from "../../../tests/harness/scripted_terminal.ts";
import { ProgressView } from "./progress_view.ts";

/** The last picture, without the escapes around it. */
function pictureOf(terminal: ScriptedTerminal): string[] {
  const last = terminal.errText.split("\x1b[?2026h").at(-1) ?? "";
  // deno-lint-ignore no-control-regex
  return last.replaceAll(/\x1b\[[?0-9]*[a-zA-Z]|\r/g, "").split("\n").filter((line) => line !== "");
}

Deno.test("ProgressView updates the row of a status and ends earlier ones", () => {
  const terminal = new ScriptedTerminal({ isTerminal: true });
  const view = new ProgressView(terminal);
  view.show({ status: "pulling manifest" });
  view.show({ status: "pulling ab", total: 10, completed: 1 });
  view.show({ status: "pulling ab", total: 10, completed: 10 });
  view.show({ status: "success" });
  view.end("keep");
  assert.deepEqual(pictureOf(terminal), [
    "pulling manifest",
    `pulling ab: 100% ▕${"█".repeat(24)}▏ 10 B`,
    "success",
  ]);
});

Deno.test("ProgressView leaves nothing behind when it is cleared", () => {
  const terminal = new ScriptedTerminal({ isTerminal: true });
  const view = new ProgressView(terminal);
  view.show({ status: "pulling manifest" });
  view.end("clear");
  assert(terminal.errText.endsWith("\r\x1b[J"));
});

Deno.test("ProgressView paints no more rows than the terminal has", () => {
  const terminal = new ScriptedTerminal({ isTerminal: true, rows: 5 });
  const view = new ProgressView(terminal);
  for (let index = 0; index < 9; index++) view.show({ status: `step ${index}` });
  view.end("keep");
  assert.deepEqual(pictureOf(terminal), ["step 5", "step 6", "step 7", "step 8"]);
});

Deno.test("ProgressView says each status once where no terminal is", () => {
  const terminal = new ScriptedTerminal();
  const view = new ProgressView(terminal);
  view.show({ status: "pulling ab", total: 10, completed: 1 });
  view.show({ status: "pulling ab", total: 10, completed: 9 });
  view.end("keep");
  assert.equal(terminal.errText, "pulling ab\n");
});
