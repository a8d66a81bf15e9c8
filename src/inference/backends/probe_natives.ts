import { errorMessage, UnavailableError } from "../../base/mod.ts";
import { launchEnvironment } from "../../confinement/mod.ts";
import type { DeviceFacts } from "../../protocol/mod.ts";

/** Native libraries that take longer to open than this hang. */
const PROBE_TIMEOUT_MS = 20_000;
/** Characters of what a probe said before it died. */
const REASON_CHARACTERS_MAX = 500;

/** What llama.cpp's libraries are on this machine. */
export interface ProbedNatives {
  /** llama.cpp's version, platform and the instruction sets in use. */
  readonly build: string;
  readonly devices: readonly DeviceFacts[];
  /** Libraries that drive devices and can't here. */
  readonly unusable: readonly { readonly library: string; readonly reason: string }[];
  readonly folder: string;
  /** Of each library of odist's own build, why it doesn't serve, or "". */
  readonly own: Readonly<Record<string, string>>;
  /** What keeps a process that opens them from the rest of the machine. */
  readonly confinement: string;
}

/** How a runner process is started. */
export interface ProbeStart {
  /** Program and arguments. */
  readonly command: readonly string[];
  /** Added to what a runner may know of this process's own environment. */
  readonly env: Readonly<Record<string, string>>;
  /** Default 20 s. */
  readonly timeoutMs?: number;
}

/**
 * Has a runner process open the libraries, which may end it, and say what they are.
 *
 * @throws UnavailableError `load_failed` with what the process said last.
 */
export async function probeNatives(
  { command, env, timeoutMs = PROBE_TIMEOUT_MS }: ProbeStart,
): Promise<ProbedNatives> {
  const [program = "", ...args] = command;
  const child = new Deno.Command(program, {
    args: [...args, "--probe"],
    clearEnv: true,
    env: launchEnvironment(Deno.env.toObject(), env),
    stdin: "null",
    signal: AbortSignal.timeout(timeoutMs),
  });
  const decoder = new TextDecoder();
  const { success, code, signal, stdout, stderr } = await child.output().catch((error) => {
    throw failed(`cannot start a runner process: ${errorMessage(error)}`);
  });
  const said = decoder.decode(stderr);
  if (!success) {
    const end = signal === "SIGTERM"
      ? `it did not end within ${timeoutMs / 1000} s`
      : signal === null
      ? `it ended with code ${code}`
      : `it died of ${signal}`;
    throw failed([lastLine(said), end].filter((text) => text !== "").join("; "));
  }
  try {
    // It is this very program that says it.
    return JSON.parse(lastLine(decoder.decode(stdout))) as ProbedNatives;
  } catch (cause) {
    throw failed("what it said makes no sense", cause);
  }
}

function failed(reason: string, cause?: unknown): UnavailableError {
  return new UnavailableError("load_failed", `Cannot open its libraries: ${reason}`, { cause });
}

function lastLine(text: string): string {
  // The colours of an uncaught error are of no use inside another line.
  // deno-lint-ignore no-control-regex
  const plain = text.replaceAll(/\x1b\[[0-9;]*m/g, "");
  const lines = plain.split("\n").map((line) => line.trim()).filter((line) => line !== "");
  const last = lines.at(-1) ?? "";
  return last.startsWith("{") ? last : last.slice(0, REASON_CHARACTERS_MAX);
}
