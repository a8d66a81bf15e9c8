/**
 * Asks a member for commits, so many at a time, and measures each. `odist_client.ts ADDRESS IN_FLIGHT WARMUP_MS RUN_MS`;
 * prints its figures as JSON.
 *
 * @module
 */
import { percentile } from "../measuring/stats.ts";
import {
  ANSWER_BYTES,
  type ClientFigures,
  KEYS,
  readRecords,
  RecordWriter,
  REQUEST_BYTES,
} from "./commit_wire.ts";

const [address = "", inFlight = "", warmupMs = "", runMs = ""] = Deno.args;
const [hostname = "", port = ""] = address.split(":");
const connection = await Deno.connect({ hostname, port: Number(port) });
connection.setNoDelay(true);
const requests = new RecordWriter(connection.writable);
const sentAt = new Map<number, number>();
const tookMs: number[] = [];
let failures = 0;
let next = 0;
const beginMs = performance.now() + Number(warmupMs);
const endMs = beginMs + Number(runMs);

function ask(): void {
  const id = next++;
  const request = new Uint8Array(REQUEST_BYTES).fill(0x61 + id % 26);
  const view = new DataView(request.buffer);
  view.setUint32(0, id);
  view.setUint32(4, id % KEYS);
  sentAt.set(id, performance.now());
  requests.write(request);
}

for (let worker = 0; worker < Number(inFlight); worker++) ask();
await readRecords(connection.readable, {
  recordBytes: ANSWER_BYTES,
  take(answer) {
    const nowMs = performance.now();
    const id = answer.getUint32(0);
    const askedMs = sentAt.get(id) ?? nowMs;
    sentAt.delete(id);
    if (nowMs >= endMs) return finish();
    if (askedMs >= beginMs) {
      if (answer.getUint32(4) === 0) tookMs.push(nowMs - askedMs);
      else failures++;
    }
    ask();
  },
});

function finish(): never {
  const sorted = tookMs.toSorted((a, b) => a - b);
  const figures: ClientFigures = {
    commits: tookMs.length,
    failures,
    seconds: Number(runMs) / 1_000,
    p50Ms: percentile(sorted, 0.5),
    p99Ms: percentile(sorted, 0.99),
  };
  console.log(JSON.stringify(figures));
  Deno.exit(0);
}
