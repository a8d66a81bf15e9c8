import assert from "node:assert/strict";
import fc from "fast-check";
import { type DevicePlan, type DeviceRoom, type DeviceWish, planDevices } from "./device_plan.ts";
import { estimateMemoryBytes, type MemoryShape } from "./memory.ts";

const GIB = 2 ** 30;
/** Eight billion parameters at four bits and a bit. */
const EIGHT_B: MemoryShape = {
  weightsBytes: 4.9 * GIB,
  blockCount: 32,
  kvHeads: 8,
  keyValueLength: 256,
  contextTokens: 8192,
  slots: 1,
  batchTokens: 512,
  isBatchWhole: false,
  vocabularyTokens: 128_256,
  embeddingLength: 4096,
  kvCacheType: "f16",
};
const WISH: DeviceWish = { shape: EIGHT_B, gpuLayers: -1 };

function room(name: string, roomBytes: number, isShared = false): DeviceRoom {
  return { name, roomBytes, isShared };
}

Deno.test("planDevices() puts a model that fits one device there whole, the main one before the largest", () => {
  const rooms = [room("CUDA0", 8 * GIB), room("CUDA1", 24 * GIB)];
  const plan = planDevices(WISH, rooms);
  assert.equal(plan.layerCount, 33);
  assert.deepEqual(plan.devices.map(({ name }) => name), ["CUDA1"]);
  assert.ok(plan.hostBytes < 0.7 * GIB, `${plan.hostBytes}`);
  const main = planDevices({ ...WISH, mainGpu: 0 }, rooms);
  assert.deepEqual(main.devices.map(({ name, budgetBytes }) => [name, budgetBytes]), [
    ["CUDA0", 8 * GIB],
  ]);
});

Deno.test("planDevices() spreads what fits no device alone, and leaves the rest to the cores", () => {
  const both = planDevices(WISH, [room("CUDA0", 4 * GIB), room("CUDA1", 4 * GIB)]);
  assert.equal(both.layerCount, 33);
  assert.equal(both.devices.length, 2);
  const partly = planDevices(WISH, [room("CUDA0", 4 * GIB)]);
  assert.ok(partly.layerCount > 10 && partly.layerCount < 30, `${partly.layerCount}`);
  assert.ok(partly.hostBytes < estimateMemoryBytes(EIGHT_B));
});

Deno.test("planDevices() takes a number of layers for that number, and none where nothing fits", () => {
  const rooms = [room("CUDA0", 24 * GIB)];
  assert.equal(planDevices({ ...WISH, gpuLayers: 7 }, rooms).layerCount, 7);
  assert.equal(planDevices({ ...WISH, gpuLayers: 999 }, rooms).layerCount, 33);
  const cores = { devices: [], layerCount: 0, hostBytes: estimateMemoryBytes(EIGHT_B) };
  assert.deepEqual(planDevices({ ...WISH, gpuLayers: 0 }, rooms), cores);
  assert.deepEqual(planDevices(WISH, []), cores);
  assert.deepEqual(planDevices(WISH, [room("CUDA0", 1e6), room("CUDA1", -5)]), cores);
});

Deno.test("planDevices() keeps a device's memory free for the projector, or leaves it to the cores", () => {
  const shape = { ...EIGHT_B, projectorBytes: GIB };
  const plans = (gib: number) =>
    [EIGHT_B, shape].map((one) =>
      planDevices({ ...WISH, shape: one }, [room("CUDA0", gib * GIB)])
    ) as [DevicePlan, DevicePlan];
  const [blind, seeing] = plans(24);
  assert.equal(seeing.devices[0]?.bytes, (blind.devices[0]?.bytes ?? 0) + 2 * GIB);
  assert.equal(seeing.hostBytes, blind.hostBytes);
  // This much holds the layers, and not the projector beside them.
  const [whole, tight] = plans(6.5);
  assert.equal(whole.layerCount, 33);
  assert.ok(tight.layerCount < 33 && tight.layerCount > 10, `${tight.layerCount}`);
  for (const { bytes, budgetBytes } of tight.devices) assert.ok(bytes <= budgetBytes);
  const [alone, cramped] = plans(3.5);
  assert.equal(cramped.layerCount, alone.layerCount);
  assert.equal(cramped.hostBytes - alone.hostBytes, 2 * GIB);
  assert.equal(estimateMemoryBytes(shape) - estimateMemoryBytes(EIGHT_B), 2 * GIB);
});

Deno.test("planDevices() counts what lies on a device that is the machine's own memory twice over, as it is one", () => {
  const own = planDevices(WISH, [room("Vulkan0", 24 * GIB, true)]);
  const apart = planDevices(WISH, [room("Vulkan0", 24 * GIB)]);
  assert.equal(own.hostBytes - apart.hostBytes, own.devices[0]?.bytes);
});

Deno.test("planDevices() never plans more than there is room for, and more room is never fewer layers", () => {
  const sizes = fc.array(fc.double({ min: -1, max: 12, noNaN: true }), { maxLength: 4 });
  fc.assert(fc.property(sizes, fc.integer({ min: -1, max: 40 }), (gib, gpuLayers) => {
    const rooms = gib.map((size, index) => room(`D${index}`, size * GIB));
    const plan = planDevices({ ...WISH, gpuLayers }, rooms);
    for (const { bytes, budgetBytes } of plan.devices) {
      assert.ok(bytes <= Math.max(1, budgetBytes + 1));
    }
    assert.ok(plan.layerCount <= (gpuLayers < 0 ? 33 : gpuLayers));
    const wider = rooms.map((one) => ({ ...one, roomBytes: one.roomBytes + GIB }));
    assert.ok(planDevices({ ...WISH, gpuLayers }, wider).layerCount >= plan.layerCount);
  }));
});

function shared(name: string, gib: number, share: number): DeviceRoom {
  return { ...room(name, gib * GIB), share };
}

Deno.test("planDevices() shares layers out as it is told to, also what would fit one device", () => {
  const rooms = [shared("CUDA0", 24, 3), shared("CUDA1", 24, 0), shared("CUDA2", 24, 1)];
  const plan = planDevices(WISH, rooms);
  assert.deepEqual(plan.devices.map(({ name, layers }) => [name, layers]), [
    ["CUDA0", 25],
    ["CUDA2", 8],
  ]);
  assert.equal(plan.layerCount, 33);
  const counted = planDevices({ ...WISH, gpuLayers: 8 }, rooms);
  assert.deepEqual(counted.devices.map(({ layers }) => layers), [6, 2]);
  const main = planDevices({ ...WISH, mainGpu: 1 }, rooms);
  assert.deepEqual(main.devices.map(({ name, layers }) => [name, layers]), [["CUDA1", undefined]]);
  const cores = { devices: [], layerCount: 0, hostBytes: estimateMemoryBytes(EIGHT_B) };
  assert.deepEqual(planDevices(WISH, [shared("CUDA0", 0.1, 1), shared("CUDA1", 24, 1)]), cores);
});

Deno.test("planDevices() shares out as many layers as fit, and not one more", () => {
  const one = fc.record({
    gib: fc.double({ min: 0, max: 12, noNaN: true }),
    share: fc.integer({ min: 0, max: 9 }),
  });
  fc.assert(fc.property(fc.array(one, { minLength: 1, maxLength: 4 }), (list) => {
    fc.pre(list.some(({ share }) => share > 0));
    const rooms = list.map(({ gib, share }, index) => shared(`D${index}`, gib, share));
    const sum = list.reduce((total, { share }) => total + share, 0);
    const { devices, layerCount } = planDevices(WISH, rooms);
    assert.equal(devices.reduce((total, { layers = 0 }) => total + layers, 0), layerCount);
    for (const { name, layers = 0, bytes, budgetBytes } of devices) {
      assert.ok(bytes <= budgetBytes, `${bytes} of ${budgetBytes}`);
      const share = rooms.find((room) => room.name === name)?.share ?? 0;
      assert.ok(Math.abs(layers - (share / sum) * layerCount) <= 1);
    }
    for (let more = layerCount + 1; more <= 33; more++) {
      const wider = planDevices({ ...WISH, gpuLayers: more }, rooms);
      assert.ok(wider.devices.some(({ bytes, budgetBytes }) => bytes > budgetBytes), `${more}`);
    }
  }));
});
