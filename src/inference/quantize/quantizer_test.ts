import assert from "node:assert/strict";
import { join } from "node:path";
import { createQuantizer } from "../mod.ts";

const JOB = { sourcePath: "/in", targetPath: "/out", target: "Q8_0" } as const;
const QUIET = { signal: new AbortController().signal, onProgress: () => {} };

/** A quantizer whose process runs the given script instead of llama.cpp. */
async function withScript(
  script: string,
  use: (quantizer: ReturnType<typeof createQuantizer>) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "odist-quantizer-" });
  const path = join(folder, "script.ts");
  await Deno.writeTextFile(path, script);
  const command = [Deno.execPath(), "run", "--quiet", "-A", path];
  try {
    await use(createQuantizer({ command, env: {}, threads: 3 }));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("Quantizer tells progress by tensors", () =>
  withScript(
    `console.error("loading\\n[   1/   4] a\\n[   4/   4] b\\ndone");
     if (Deno.args.join(" ") !== "--quantize /in /out Q8_0 3") Deno.exit(9);`,
    async (quantizer) => {
      const seen: number[] = [];
      await quantizer.quantize(JOB, {
        ...QUIET,
        onProgress: (fraction) => void seen.push(fraction),
      });
      assert.deepEqual(seen, [0.25, 1]);
    },
  ));

Deno.test("Quantizer fails with the reason its process gave", () =>
  withScript(
    `console.error("some line\\nfailed: no room"); Deno.exit(1);`,
    async (quantizer) => {
      await assert.rejects(quantizer.quantize(JOB, QUIET), {
        code: "quantize_failed",
        message: "Cannot quantize to Q8_0: failed: no room",
      });
    },
  ));

Deno.test("Quantizer stops its process when nobody wants the result", () =>
  withScript(
    `console.error("[ 1/ 9] a"); await Deno.stdin.read(new Uint8Array(1));
     setInterval(() => {}, 1_000);`,
    async (quantizer) => {
      const leaving = new AbortController();
      const work = quantizer.quantize(JOB, {
        signal: leaving.signal,
        onProgress: () => leaving.abort(new Error("left")),
      });
      await assert.rejects(work, { message: "left" });
    },
  ));
