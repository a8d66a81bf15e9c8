import assert from "node:assert/strict";
import type { DeviceFacts } from "../protocol/mod.ts";
import { DeviceRooms, type DeviceWishes } from "./device_rooms.ts";

const CARD: DeviceFacts = {
  ...{ name: "CUDA0", description: "d", kind: "gpu", driver: "" },
  ...{ totalBytes: 100, freeBytes: 70 },
};

/** Devices as a test says they are seen next. */
function scene(first: readonly DeviceFacts[], wishes: Partial<DeviceWishes> = {}) {
  const seen = { now: [] as readonly DeviceFacts[], next: first };
  const rooms = new DeviceRooms({
    list: () => seen.now,
    look: () => {
      seen.now = seen.next;
      return Promise.resolve();
    },
  }, { reserveBytes: [10], shares: [0], ...wishes });
  return { rooms, seen };
}

Deno.test("DeviceRooms keeps what others take and the reserve from models, and not what models took themselves", async () => {
  const { rooms, seen } = scene([CARD]);
  assert.equal(await rooms.look(), true);
  assert.deepEqual(rooms.rooms(), [{ name: "CUDA0", roomBytes: 60, isShared: false }]);
  const own = [{ name: "CUDA0", bytes: 40 }];
  rooms.noteFree([{ name: "CUDA0", freeBytes: 30 }], own);
  assert.equal(rooms.rooms()[0]?.roomBytes, 60);
  assert.equal(rooms.told([{ devices: own }])[0]?.freeBytes, 30);
  assert.equal(rooms.told([])[0]?.freeBytes, 70);
  seen.next = [{ ...CARD, freeBytes: 5 }];
  assert.equal(await rooms.look(own), false);
  assert.equal(rooms.rooms()[0]?.roomBytes, 35);
});

Deno.test("DeviceRooms goes by the plan where a driver has no account of what is free", async () => {
  const { rooms } = scene([{ ...CARD, kind: "igpu", freeBytes: 100 }]);
  await rooms.look();
  const own = [{ name: "CUDA0", bytes: 40 }];
  rooms.noteFree([{ name: "CUDA0", freeBytes: 100 }], own);
  assert.deepEqual(rooms.rooms(), [{ name: "CUDA0", roomBytes: 90, isShared: true }]);
  assert.equal(rooms.told([{ devices: own }])[0]?.freeBytes, 60);
});

Deno.test("DeviceRooms tells when a device vanished", async () => {
  const { rooms, seen } = scene([CARD]);
  await rooms.look();
  seen.next = [];
  assert.equal(await rooms.look(), true);
  assert.deepEqual([rooms.rooms(), rooms.told([])], [[], []]);
});

Deno.test("DeviceRooms keeps a reserve of its own on each device, the last one on all that follow", async () => {
  const cards = ["CUDA0", "CUDA1", "CUDA2"].map((name) => ({ ...CARD, name }));
  const { rooms } = scene(cards, { reserveBytes: [10, 25] });
  await rooms.look();
  assert.deepEqual(rooms.rooms().map(({ roomBytes }) => roomBytes), [60, 45, 45]);
});

Deno.test("DeviceRooms shares devices out as it is told to, and lends nothing of one that gets nothing", async () => {
  const cards = ["CUDA0", "CUDA1", "CUDA2"].map((name) => ({ ...CARD, name }));
  const { rooms } = scene(cards, { shares: [0, 3] });
  await rooms.look();
  assert.deepEqual(rooms.rooms().map(({ share }) => share), [0, 3, 0]);
  assert.deepEqual(["CUDA0", "CUDA1"].map((name) => rooms.roomOn(name, [])), [0, 60]);
  // What is told of a device that is not there shares nothing out.
  const { rooms: one } = scene([CARD], { shares: [0, 3] });
  await one.look();
  assert.deepEqual(one.rooms().map(({ share }) => share), [undefined]);
  assert.equal(one.roomOn("CUDA0", []), 60);
});
