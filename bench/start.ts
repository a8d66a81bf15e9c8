/**
 * How long from starting the process to `/ready`, and what does an idle node cost? Linux only, because it reads /proc.
 *
 * Usage: `deno task bench:start [--odist FILE] [--starts 10] [--idle-seconds 20] [--out FOLDER]`.
 *
 * @module
 */
import { join } from "node:path";
import { parseArgs } from "node:util";
import { describeMachine, readProcessCost } from "./measuring/machine.ts";
import { artifactsFolder, odistCommand, startServer } from "./measuring/servers.ts";
import { fixed, median, percentile, sum } from "./measuring/stats.ts";

const MEBIBYTE = 2 ** 20;

interface StartOptions {
  readonly odist: string | undefined;
  readonly starts: number;
  readonly idleSeconds: number;
  readonly outFolder: string;
  readonly dataFolder: string;
}

function start(options: StartOptions) {
  return startServer(odistCommand({
    binary: options.odist,
    dataFolder: options.dataFolder,
    logPath: join(options.outFolder, "odist.log"),
    settings: {},
  }));
}

async function measureStarts(options: StartOptions): Promise<number[]> {
  const readyMs: number[] = [];
  for (let count = 0; count <= options.starts; count++) {
    await using server = await start(options);
    // The first start fills caches and makes the data folder.
    if (count > 0) readyMs.push(server.readyMs);
  }
  return readyMs;
}

/** Memory and processor share of a node that nobody asks anything. */
async function measureIdle(
  options: StartOptions,
): Promise<{ readonly residentBytes: number; readonly cpuShare: number }> {
  await using server = await start(options);
  // The collector runs once more before the node is at rest.
  await new Promise((resolve) => setTimeout(resolve, 5_000));
  const before = readProcessCost(server.pid);
  await new Promise((resolve) => setTimeout(resolve, options.idleSeconds * 1_000));
  const after = readProcessCost(server.pid);
  return {
    residentBytes: sum([...after.residentBytes.values()]),
    cpuShare: (after.cpuSeconds - before.cpuSeconds) / options.idleSeconds,
  };
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    args: Deno.args.filter((argument) => argument !== "--"),
    options: {
      odist: { type: "string" },
      starts: { type: "string", default: "10" },
      "idle-seconds": { type: "string", default: "20" },
      out: { type: "string", default: artifactsFolder("bench-start") },
    },
  });
  const options = {
    odist: values.odist,
    starts: Number(values.starts),
    idleSeconds: Number(values["idle-seconds"]),
    outFolder: values.out,
    dataFolder: await Deno.makeTempDir({ prefix: "odist-bench-" }),
  };
  await Deno.mkdir(options.outFolder, { recursive: true });
  try {
    const conditions = await describeMachine();
    const readyMs = await measureStarts(options);
    const idle = await measureIdle(options);
    const lines = [
      "# Start and idle cost",
      "",
      `- process start to /ready: p50 ${fixed(median(readyMs), 0)} ms, p95 ` +
      `${fixed(percentile(readyMs, 0.95), 0)} ms, ${options.starts} starts after one uncounted`,
      `- idle memory: ${fixed(idle.residentBytes / MEBIBYTE, 1)} MiB resident`,
      `- idle processor: ${
        fixed(idle.cpuShare * 100, 2)
      } % of one core over ${options.idleSeconds} s`,
      `- started: ${options.odist ?? "from source"}`,
      ...Object.entries(conditions).map(([name, value]) => `- ${name}: ${value}`),
      "",
    ];
    await Deno.writeTextFile(join(options.outFolder, "start.md"), lines.join("\n"));
    const result = { conditions, readyMs, ...idle };
    await Deno.writeTextFile(
      join(options.outFolder, "start.json"),
      JSON.stringify(result, null, 1),
    );
    console.log(lines.join("\n"));
  } finally {
    await Deno.remove(options.dataFolder, { recursive: true });
  }
}

if (import.meta.main) await main();
