import assert from "node:assert/strict";
import { join } from "node:path";
import { runCommand } from "../../../tests/harness/cli.ts";
import { llamaFile } from "../../../tests/harness/gguf_file.ts";
import { llama70bHeader } from "../../../tests/harness/llama_70b.ts";
import { parseCluster } from "./cluster_file.ts";

const NODES = {
  leader: "desk",
  nodes: [
    { name: "desk", memory: "20GiB", speed: "40GB" },
    { name: "tower", memory: "24GiB", speed: "50GB", round_trip_ms: 0.4 },
    { name: "attic", memory: "12GiB", speed: "10GB", round_trip_ms: 1.5 },
  ],
};

/** Runs `plan` for a model of 70 billion parameters on the described nodes. */
async function plan(
  nodes: unknown,
  given: { readonly args?: readonly string[]; readonly model?: Uint8Array } = {},
) {
  const folder = await Deno.makeTempDir();
  try {
    const [model, file] = [join(folder, "model.gguf"), join(folder, "nodes.json")];
    await Deno.writeFile(model, given.model ?? llama70bHeader());
    await Deno.writeTextFile(file, typeof nodes === "string" ? nodes : JSON.stringify(nodes));
    return await runCommand(["plan", model, "--nodes", file, ...given.args ?? []]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("plan shares 70 billion parameters among nodes by their header alone, and says that it only plans", async () => {
  const { code, out, err } = await plan(NODES);
  assert.deepEqual([code, err], [0, ""]);
  assert.match(out, /^llama, 70\.6B parameters, Q4_K_M: 80 layers, 39 GiB of weights; 1 x 4096 /);
  assert.match(out, /\ntower +host +0-\d+ \(\d+\) /);
  assert.match(out, /\ndesk \(leads\) +host +\d+-79 \(\d+\) /);
  assert.match(
    out,
    /\nExpected: \d\.\d tokens\/s of one answer, while the window is empty\n {2}= 1000 ms/,
  );
  assert.match(
    out,
    /\nBytes a token and link: 35 KB \(window empty\) to 42 KB \(full\) to a worker, 32 KB back/,
  );
  assert.match(out, /\nA plan only: odist does not run a model split over nodes yet\.\n/);
  assert.match(out, /The file holds no weights/);
});

Deno.test("plan --json gives figures that add up", async () => {
  const { code, out } = await plan(NODES, { args: ["--json", "--context", "8192"] });
  assert.equal(code, 0);
  const { model, kind, can_run, leader, shards, expected } = JSON.parse(out);
  assert.deepEqual([kind, can_run, leader, model.layers], ["split", false, "desk", 80]);
  type Row = Readonly<Record<string, number>>;
  const sumOf = (key: string) => shards.reduce((sum: number, row: Row) => sum + (row[key] ?? 0), 0);
  assert.equal(sumOf("layers"), 80);
  // Window x blocks x KV heads x both heads' length x 2 bytes.
  assert.equal(sumOf("kv_bytes"), 8_192 * 80 * 8 * 256 * 2);
  for (const row of shards) {
    assert.equal(row.total_bytes, row.weights_bytes + row.kv_bytes + row.other_bytes);
    assert.ok(row.total_bytes <= row.free_bytes);
  }
  const ms = sumOf("ms_per_token") + expected.output_ms + expected.links_ms;
  assert.ok(Math.abs(ms - expected.ms_per_token) < 1e-6);
  assert.ok(Math.abs(expected.tokens_per_second - 1_000 / ms) < 1e-6);
  // What the known file of this shape has, but for its vocabulary.
  assert.ok(Math.abs(model.weights_bytes / 42_520_395_072 - 1) < 0.001);
});

Deno.test("plan needs no split where one node has room, and plans one where it is asked for", async () => {
  const nodes = [...NODES.nodes, { name: "rack", memory: "64GiB" }];
  const whole = await plan({ nodes });
  assert.match(whole.out, /\nrack \(leads\) +host +0-79 \(80\) /);
  assert.match(whole.out, /rack holds it whole: no split is needed\.\n/);
  assert.match(whole.out, /Speed was not given, but assumed, of rack\./);
  assert.doesNotMatch(whole.out, /A plan only|Bytes a token/);
  const split = await plan({ nodes }, { args: ["--shard", "--leader", "rack", "--json"] });
  const { kind, shards } = JSON.parse(split.out);
  assert.equal(kind, "split");
  assert.equal(shards.at(-1).node, "rack");
});

Deno.test("plan says that a device is planned for, not computed on", async () => {
  const desk = { name: "desk", memory: "8GiB", device: { memory: "48GiB", speed: "900GB" } };
  const { out } = await plan({ nodes: [desk] });
  assert.match(out, /\ndesk \(leads\) +device +0-79 \(80\) /);
  assert.match(out, /odist does not compute on devices yet/);
  assert.equal(
    JSON.parse((await plan({ nodes: [desk] }, { args: ["--json"] })).out).can_run,
    false,
  );
});

Deno.test("plan refuses what doesn't fit with the wanted and the present bytes, and leaves the reserve free", async () => {
  const small = { nodes: NODES.nodes.slice(0, 2) };
  const { code, out, err } = await plan(small, { args: ["--context", "32768"] });
  assert.deepEqual([code, out], [1, ""]);
  assert.match(
    err,
    /^Error: The model does not fit: it needs 50 GiB \(\d+ bytes\), the nodes together have 43 GiB \(\d+ bytes\)\n/,
  );
  const json = await plan(small, { args: ["--context", "32768", "--json"] });
  const { kind, reason, wanted_bytes, present_bytes } = JSON.parse(json.out);
  assert.deepEqual([json.code, kind, reason], [1, "refused", "memory"]);
  assert.ok(wanted_bytes > present_bytes);
  const reserved = await plan(small, {
    args: ["--context", "32768", "--json", "--memory-reserve", "1GiB"],
  });
  assert.equal(present_bytes - JSON.parse(reserved.out).present_bytes, 2 * 768 * 2 ** 20);
});

Deno.test("plan refuses files that it can't plan for, with the reason", async () => {
  const rows: readonly (readonly [Uint8Array, RegExp])[] = [
    [new TextEncoder().encode("no model at all, this file"), /it does not begin with GGUF/],
    [llamaFile({ "general.type": "adapter" }), /its kind is adapter, wanted is a model/],
    [llamaFile({ "split.count": 3, "split.no": 1 }), /it is part 2 of 3/],
    [llamaFile({ "llama.block_count": 300 }), /it has 300 layers, at most 256 are planned/],
    [llamaFile({}), /it has 2 blocks and 1 tensors/],
  ];
  for (const [model, wanted] of rows) {
    const { code, err } = await plan(NODES, { model });
    assert.equal(code, 1);
    assert.match(err, wanted);
  }
  const missing = await runCommand(["plan", "/nonexistent/model.gguf"]);
  assert.equal(missing.code, 2);
  assert.match(missing.err, /required option '--nodes <FILE>' not specified/);
});

Deno.test("plan refuses a description of nodes that it can't follow, naming the field", async () => {
  const desk = { name: "desk", memory: "1GiB" };
  const rows: readonly (readonly [unknown, RegExp])[] = [
    ["{", /nodes\.json is no JSON/],
    [[], /the file must be an object with leader, nodes: current value is \[\]/],
    [{ nodes: [] }, /nodes must be a list of 1 to 64: current value is \[\]/],
    [
      { nodes: [{ ...desk, memory: "lots" }] },
      /nodes\[0\]\.memory must be .*: current value is lots/,
    ],
    [{ nodes: [{ ...desk, sped: "1GB" }] }, /nodes\[0\] must be .*sped \(did you mean speed\?\)/],
    [
      { nodes: [{ ...desk, speed: 0 }] },
      /nodes\[0\]\.speed must be bytes a second .*: current value is 0/,
    ],
    [{ nodes: [{ ...desk, device: { memory: -1 } }] }, /nodes\[0\]\.device\.memory .*-1/],
    [{ nodes: [{ ...desk, round_trip_ms: "1" }] }, /nodes\[0\]\.round_trip_ms must be 0 to 60000/],
    [{ nodes: [{ ...desk, name: "a\u001b[2J" }] }, /nodes\[0\]\.name must be 1 to 64 printable/],
    [{ nodes: [desk, desk] }, /name must be one of its own for each node: current value is desk/],
    [{ nodes: [desk], leader: "dsk" }, /leader must be one of desk: current value is dsk/],
  ];
  for (const [nodes, wanted] of rows) {
    const { code, out, err } = await plan(nodes);
    assert.deepEqual([code, out], [2, ""], err);
    assert.match(err, wanted);
  }
});

Deno.test("a leader that is asked for wins over the one that is described", () => {
  assert.equal(parseCluster(NODES, "attic").leader, "attic");
  assert.equal(parseCluster(NODES, undefined).leader, "desk");
  assert.equal(parseCluster({ nodes: NODES.nodes.slice(1) }, undefined).leader, "tower");
});
