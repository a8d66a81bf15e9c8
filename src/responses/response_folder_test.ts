import assert from "node:assert/strict";
import { SimulatedDisk } from "../../tests/sim/simulated_disk.ts";
import { Random } from "../base/mod.ts";
import type { KeptResponse } from "../calls/mod.ts";
import { ResponseFolder } from "./response_folder.ts";

const FAR_MS = 1e12;
/** So long that its file comes after that of what replaces it. */
const BEGUN = "begun, and far from done";

function response(text: string, isFinal = true): KeptResponse {
  return { json: new TextEncoder().encode(text), maker: "n", makerRun: "r", isFinal };
}

function textOf(found: KeptResponse | undefined): string | undefined {
  return found && new TextDecoder().decode(found.json);
}

/** Where time stands still until it is set. */
function clockAt(nowMs: number) {
  return { at: nowMs, nowMs: () => nowMs, set: (ms: number) => void (nowMs = ms) };
}

Deno.test("ResponseFolder finds what it kept, also when it is opened again", async () => {
  const disk = new SimulatedDisk();
  const clock = clockAt(0);
  const folder = await ResponseFolder.open(disk, { clock });
  await folder.keep("resp_a", response("one", false), FAR_MS);
  await folder.keep("resp_a", response("two"), FAR_MS);
  await folder.keep("resp_a", response("late", false), FAR_MS);
  await folder.keep("resp_b", response("other"), FAR_MS);
  assert.equal(await folder.remove("resp_b"), true);
  assert.equal(await folder.remove("resp_b"), false);
  const again = await ResponseFolder.open(disk, { clock });
  for (const one of [folder, again]) {
    assert.equal(textOf(await one.find("resp_a")), "two");
    assert.equal(await one.find("resp_b"), undefined);
    assert.equal(one.size, 1);
  }
});

Deno.test("ResponseFolder forgets a response after its time", async () => {
  const disk = new SimulatedDisk();
  const clock = clockAt(0);
  const folder = await ResponseFolder.open(disk, { clock });
  await folder.keep("resp_a", response("a"), 100);
  clock.set(99);
  assert.equal(textOf(await folder.find("resp_a")), "a");
  clock.set(100);
  assert.equal(await folder.find("resp_a"), undefined);
  await ResponseFolder.open(disk, { clock });
  assert.deepEqual(await disk.list(), []);
});

Deno.test("ResponseFolder keeps within its counts and bytes, and lets go whose time is over first", async () => {
  const clock = clockAt(0);
  const few = await ResponseFolder.open(new SimulatedDisk(), { clock, responsesMax: 2 });
  const small = await ResponseFolder.open(new SimulatedDisk(), { clock, bytesMax: 2_500 });
  for (const folder of [few, small]) {
    for (const [index, id] of ["resp_a", "resp_b", "resp_c"].entries()) {
      await folder.keep(id, response("x".repeat(1_000)), FAR_MS - index);
    }
    assert.equal(folder.size, 2);
    assert.equal(await folder.find("resp_b"), undefined);
  }
});

Deno.test("ResponseFolder takes a damaged file for none, and files of others for nothing", async () => {
  const disk = new SimulatedDisk();
  await disk.create("resp_a.999999999999.4.final", new TextEncoder().encode("junk"));
  await disk.create("notes.txt", new Uint8Array(1));
  await disk.create(".tmp-response", new Uint8Array(1));
  const folder = await ResponseFolder.open(disk, { clock: clockAt(0) });
  assert.equal(await folder.find("resp_a"), undefined);
  assert.deepEqual(await disk.list(), ["notes.txt", "resp_a.999999999999.4.final"]);
});

Deno.test("ResponseFolder holds what it acknowledged, whenever its machine crashes", async () => {
  const disk = new SimulatedDisk();
  const random = new Random(5);
  const clock = clockAt(0);
  const folder = await ResponseFolder.open(disk, { clock });
  let acknowledged: string | undefined;
  const crashes: { readonly survivor: SimulatedDisk; readonly atLeast: string | undefined }[] = [];
  disk.onOperation = () => {
    for (let draw = 0; draw < 8; draw++) {
      crashes.push({ survivor: disk.crash(random), atLeast: acknowledged });
    }
  };
  await folder.keep("resp_a", response(BEGUN, false), FAR_MS);
  acknowledged = BEGUN;
  await folder.keep("resp_a", response("done"), FAR_MS);
  acknowledged = "done";
  await folder.keep("resp_b", response("other"), FAR_MS);
  const allowed = new Map<string | undefined, readonly (string | undefined)[]>([
    [undefined, [undefined, BEGUN]],
    [BEGUN, [BEGUN, "done"]],
    ["done", ["done"]],
  ]);
  for (const { survivor, atLeast } of crashes) {
    const found = await (await ResponseFolder.open(survivor, { clock })).find("resp_a");
    assert.ok(allowed.get(atLeast)?.includes(textOf(found)), `${atLeast}: ${textOf(found)}`);
  }
  assert.ok(crashes.length > 80, String(crashes.length));
});
