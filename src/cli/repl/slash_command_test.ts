import assert from "node:assert/strict";
import { completionsOf, parseSlashCommand } from "./slash_command.ts";

Deno.test("parseSlashCommand reads every command of the contract", () => {
  const rows: readonly (readonly [string, unknown])[] = [
    ["/set history", { kind: "set", change: { name: "history", on: true } }],
    ["/set nohistory", { kind: "set", change: { name: "history", on: false } }],
    ["/set wordwrap", { kind: "set", change: { name: "wordWrap", on: true } }],
    ["/set nowordwrap", { kind: "set", change: { name: "wordWrap", on: false } }],
    ["/set verbose", { kind: "set", change: { name: "verbose", on: true } }],
    ["/set quiet", { kind: "set", change: { name: "verbose", on: false } }],
    ["/set format json", { kind: "set", change: { name: "jsonFormat", on: true } }],
    ["/set noformat", { kind: "set", change: { name: "jsonFormat", on: false } }],
    ["/set think", { kind: "set", change: { name: "think", level: true } }],
    ["/set think high", { kind: "set", change: { name: "think", level: "high" } }],
    ["/set nothink", { kind: "set", change: { name: "think", level: false } }],
    ["/set system Be  brief", { kind: "set", change: { name: "system", text: "Be  brief" } }],
    ["/set parameter seed 7", {
      kind: "set",
      change: { name: "parameter", key: "seed", value: 7 },
    }],
    ['/set parameter stop A "B"', {
      kind: "set",
      change: { name: "parameter", key: "stop", value: ["A", "B"] },
    }],
    ["/set parameter use_mmap false", {
      kind: "set",
      change: { name: "parameter", key: "use_mmap", value: false },
    }],
    ["/SHOW Info", { kind: "show", part: "info" }],
    ["/load other", { kind: "load", model: "other" }],
    ["/save mine", { kind: "save", model: "mine" }],
    ["/clear", { kind: "clear" }],
    ["/list", { kind: "list" }],
    ["/bye", { kind: "bye" }],
    ["/exit", { kind: "bye" }],
    ["/?", { kind: "help", topic: "commands" }],
    ["/help /set", { kind: "help", topic: "set" }],
    ["/? shortcuts", { kind: "help", topic: "shortcuts" }],
    ["/set", { kind: "help", topic: "set" }],
    ["/show", { kind: "help", topic: "show" }],
  ];
  for (const [line, wanted] of rows) assert.deepEqual(parseSlashCommand(line), wanted, line);
});

Deno.test("parseSlashCommand says what is wrong and what was meant", () => {
  const rows: readonly (readonly [string, RegExp])[] = [
    ["/x", /^Unknown command '\/x'\. Type \/\? for help$/],
    ["/lost", /Did you mean 'list'\?/],
    ["/set verbos", /Unknown command '\/set verbos'\. Did you mean 'verbose'\?/],
    ["/set parameter seed x", /'seed' must be a whole number, not 'x'/],
    ["/set parameter seed 1.5", /must be a whole number/],
    ["/set parameter temperature hot", /must be a number/],
    ["/set parameter temperature 1 2", /must be a number, not '1 2'/],
    ["/set parameter use_mmap 1", /must be true or false/],
    ["/set parameter temprature 1", /unknown parameter 'temprature', did you mean 'temperature'/],
    ["/set parameter seed", /^Usage/],
    ["/set system", /^Usage/],
    ["/set format xml", /^Usage/],
    ["/set think deeply", /^Usage/],
    ["/load", /^Usage/],
    ["/save a b", /^Usage/],
  ];
  for (const [line, wanted] of rows) {
    const command = parseSlashCommand(line);
    assert(command.kind === "mistake", line);
    assert.match(command.text, wanted, line);
  }
});

Deno.test("completionsOf completes the last word of a command", () => {
  assert.deepEqual(completionsOf("/s"), ["/set", "/show", "/save"]);
  assert.deepEqual(completionsOf("/show mo"), ["/show modelfile"]);
  assert.deepEqual(completionsOf("/set wo"), ["/set wordwrap"]);
  assert.deepEqual(completionsOf("/set format j"), []);
});
