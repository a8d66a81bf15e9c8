import { UnavailableError } from "../../base/mod.ts";
import { launchEnvironment } from "../../confinement/mod.ts";
import type { Quantizer } from "../../ports/mod.ts";
import type { RunnerStart } from "../runner_process.ts";
import { failureLines, TextTail } from "../text_tail.ts";

/** llama.cpp says a line per tensor; the reason of an end stands in the last ones. */
const STDERR_BYTES_KEPT = 32 * 1024;
/** How llama.cpp counts tensors: `[  30/  56] blk.3.attn_k.weight …`. */
const TENSOR_LINE = /^\[\s*(\d+)\/\s*(\d+)\]/;

/** Quantises in a process of its own, as llama.cpp may end it; `threads` >= 1 are llama.cpp's. */
export function createQuantizer(options: RunnerStart & { readonly threads: number }): Quantizer {
  return {
    async quantize(job, { signal, onProgress }) {
      signal.throwIfAborted();
      const [program = "", ...args] = options.command;
      const words = [job.sourcePath, job.targetPath, job.target, String(options.threads)];
      const child = new Deno.Command(program, {
        args: [...args, "--quantize", ...words],
        clearEnv: true,
        env: launchEnvironment(Deno.env.toObject(), options.env),
        stdin: "null",
        stdout: "null",
        stderr: "piped",
        signal,
      }).spawn();
      const tail = new TextTail(STDERR_BYTES_KEPT);
      await readProgress(child.stderr, tail, onProgress);
      const status = await child.status;
      signal.throwIfAborted();
      if (status.success) return;
      const said = failureLines(tail.text());
      throw new UnavailableError(
        "quantize_failed",
        `Cannot quantize to ${job.target}: ${said === "" ? `exit code ${status.code}` : said}`,
      );
    },
  };
}

async function readProgress(
  stderr: ReadableStream<Uint8Array>,
  tail: TextTail,
  onProgress: (fraction: number) => void,
): Promise<void> {
  const decoder = new TextDecoder();
  let line = "";
  for await (const chunk of stderr) {
    tail.push(chunk);
    const lines = (line + decoder.decode(chunk, { stream: true })).split("\n");
    line = (lines.pop() ?? "").slice(0, STDERR_BYTES_KEPT);
    for (const whole of lines) {
      const [, done, total] = TENSOR_LINE.exec(whole) ?? [];
      if (done !== undefined) onProgress(Number(done) / Number(total));
    }
  }
}
