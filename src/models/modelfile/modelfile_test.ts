import assert from "node:assert/strict";
import { formatModelfile, type Modelfile, parseModelfile } from "./mod.ts";

Deno.test("parseModelfile() reads every instruction", () => {
  const modelfile = parseModelfile(`\ufeff# a comment
FROM ./weights.gguf
from ./mmproj.gguf
ADAPTER ./lora.gguf
PARAMETER temperature 0.5
PARAMETER num_ctx 4096
PARAMETER use_mmap false
PARAMETER stop "<|end|>"
PARAMETER stop  two words
PARAMETER mirostat 2
TEMPLATE """{{ .System }}
say "{{ .Prompt }}" """
SYSTEM You are # not a comment
MESSAGE user Hello there
MESSAGE assistant "line one
line two"
LICENSE "MIT"
RENDERER chatml
REQUIRES 0.14.0
`);
  assert.deepEqual(modelfile, {
    from: ["./weights.gguf", "./mmproj.gguf"],
    adapters: ["./lora.gguf"],
    drafts: [],
    template: '{{ .System }}\nsay "{{ .Prompt }}" ',
    system: "You are # not a comment",
    renderer: "chatml",
    requires: "0.14.0",
    parameters: {
      temperature: 0.5,
      num_ctx: 4096,
      use_mmap: false,
      stop: ["<|end|>", "two words"],
    },
    licenses: ["MIT"],
    messages: [
      { role: "user", content: "Hello there" },
      { role: "assistant", content: "line one\nline two" },
    ],
    obsoleteParameters: ["mirostat"],
  });
});

Deno.test("parseModelfile() takes Windows line ends and drops invisible characters", () => {
  const modelfile = parseModelfile("FROM a\r\nSYSTEM x\u200b\u0007\ty\r\n");
  assert.deepEqual(modelfile.from, ["a"]);
  assert.equal(modelfile.system, "x\ty");
});

Deno.test("parseModelfile() refuses in the contract's words", () => {
  const cases: [string, string | RegExp][] = [
    ["", "no FROM line"],
    ["SYSTEM x", "no FROM line"],
    ["FROM", "unexpected EOF"],
    ['FROM a\nSYSTEM """never closed', "unexpected EOF"],
    ["FROM a\nPARAMETER stop", "unexpected EOF"],
    [
      "FROM a\n\nFORM b",
      '(line 3): command must be one of "from", "license", "template", "system", "adapter", ' +
      '"draft", "renderer", "parser", "parameter", "message", or "requires"',
    ],
    ['FROM a\nSYSTEM "x\ny"\nbad z', /^\(line 4\): command must be/],
    [
      "FROM a\nMESSAGE tool x",
      '(line 2): message role must be one of "system", "user", or "assistant"',
    ],
    ["FROM a\nPARAMETER top_q 1", /unknown parameter 'top_q'/],
    ["FROM a\nPARAMETER num_ctx many", /invalid int value \[many\]/],
    ["FROM a\nPARAMETER top_p x", /invalid float value \[x\]/],
    ["FROM a\nREQUIRES soon", /requires must be a valid semver \(e\.g\. 0\.14\.0\)/],
  ];
  for (const [text, message] of cases) {
    assert.throws(() => parseModelfile(text), { code: "invalid_modelfile", message }, text);
  }
});

Deno.test("formatModelfile() writes what parseModelfile() reads", () => {
  const modelfile: Modelfile = {
    from: ["/blobs/sha256-1"],
    adapters: ["/a b"],
    drafts: [],
    template: '{{ .Prompt }}\n"q"',
    system: " padded ",
    parser: "harmony",
    parameters: { stop: ["\n", '"', "x"], temperature: 0.25, num_ctx: 1048576 },
    licenses: ["one\ntwo", "three"],
    messages: [{ role: "user", content: '"quoted" start' }],
    obsoleteParameters: [],
  };
  assert.deepEqual(parseModelfile(formatModelfile(modelfile)), modelfile);
});
