/**
 * Does a cluster stay as it is while others come and go? Three nodes stay, a fourth joins and leaves again and again, and
 * each node's memory, open files and sockets are read between. `deno task bench:soak --minutes 30 --every 10`.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { TestCluster } from "../tests/harness/cluster.ts";

const STAYING = 3;

/** What one process holds. */
interface Holding {
  readonly rssMib: number;
  readonly files: number;
  readonly sockets: number;
}

const { values } = parseArgs({
  args: Deno.args,
  options: {
    minutes: { type: "string", default: "30" },
    every: { type: "string", default: "10" },
  },
});
const endMs = performance.now() + Number(values.minutes) * 60_000;
const everyMs = Number(values.every) * 1_000;

await using cluster = await TestCluster.start(STAYING);
const staying = cluster.names;
const samples: Holding[][] = [];
let turns = 0;
while (performance.now() < endMs) {
  const startedMs = performance.now();
  const guest = await cluster.join();
  await cluster.client(guest).ask("POST", "/api/generate", {
    model: "tiny",
    prompt: "Hello",
    stream: false,
  });
  await cluster.client(guest).request("POST", "/api/cluster/leave");
  await cluster.client(guest).ended();
  turns++;
  samples.push(staying.map((name) => look(cluster.client(name).pid)));
  const restMs = everyMs - (performance.now() - startedMs);
  if (restMs > 0) await new Promise((resolve) => setTimeout(resolve, restMs));
}
report();

function look(pid: number): Holding {
  const status = Deno.readTextFileSync(`/proc/${pid}/status`);
  const rssKib = Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1] ?? NaN);
  const files = [...Deno.readDirSync(`/proc/${pid}/fd`)];
  const targets = files.map(({ name }) => linkOf(`/proc/${pid}/fd/${name}`));
  return {
    rssMib: rssKib / 1024,
    files: files.length,
    sockets: targets.filter((target) => target.startsWith("socket:")).length,
  };
}

function linkOf(path: string): string {
  try {
    return Deno.readLinkSync(path);
  } catch {
    return ""; // Closed between the two looks.
  }
}

function report(): void {
  console.log(`${turns} joins and leaves, one every ${values.every} s; each tenth's mean per node`);
  for (const [index, name] of staying.entries()) {
    const tenths = Array.from({ length: 10 }, (_, tenth) => {
      const from = Math.floor((samples.length * tenth) / 10);
      const to = Math.max(from + 1, Math.floor((samples.length * (tenth + 1)) / 10));
      return samples.slice(from, to).map((row) => row[index]).filter((it) => it !== undefined);
    });
    const mean = (of: (holding: Holding) => number) =>
      tenths.map((part) => Math.round(part.reduce((sum, it) => sum + of(it), 0) / part.length))
        .join(" ");
    console.log(`${name}  RSS MiB ${mean((it) => it.rssMib)}`);
    console.log(`${name}  files   ${mean((it) => it.files)}`);
    console.log(`${name}  sockets ${mean((it) => it.sockets)}`);
  }
}
