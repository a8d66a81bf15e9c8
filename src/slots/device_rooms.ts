import type { DeviceRoom, InstanceView } from "../core/scheduler/mod.ts";
import type { Devices } from "../ports/mod.ts";
import type { DeviceFacts } from "../protocol/mod.ts";

/** What lies on a device, by its name. */
type DeviceBytes = readonly { readonly name: string; readonly bytes: number }[];

/** What a node's user wants of its devices, in their order. */
export interface DeviceWishes {
  /** To stay free; the last one holds for all that follow. */
  readonly reserveBytes: readonly number[];
  /** Of a model's layers, in proportion; 0 and what is missing = none. All 0 = as they fit. */
  readonly shares: readonly number[];
}

/**
 * What models may take of this machine's devices. Drivers are asked when a model was loaded or something went wrong; between
 * that, what this node loads and unloads is known by its plan, and what others take is believed to stay.
 */
export class DeviceRooms {
  readonly #devices: Devices;
  readonly #wishes: DeviceWishes;
  /** What others took when it was last looked at. */
  readonly #othersBytes = new Map<string, number>();

  constructor(devices: Devices, wishes: DeviceWishes) {
    this.#devices = devices;
    this.#wishes = wishes;
  }

  rooms(): readonly DeviceRoom[] {
    const { reserveBytes, shares } = this.#wishes;
    const devices = this.#devices.list();
    const isSharedOut = devices.some((_, index) => (shares[index] ?? 0) > 0);
    return devices.map(({ name, totalBytes, kind }, index) => ({
      name,
      roomBytes: totalBytes - this.#others(name) -
        (reserveBytes[index] ?? reserveBytes.at(-1) ?? 0),
      isShared: kind === "igpu",
      ...isSharedOut && { share: shares[index] ?? 0 },
    }));
  }

  /** What a model may take of a device beside those that are there; 0 = there is no such device. */
  roomOn(name: string, instances: readonly Pick<InstanceView, "devices">[]): number {
    const { roomBytes: room = 0, share } = this.rooms().find((other) => other.name === name) ?? {};
    if (share === 0) return 0;
    const taken = sumOf(instances.flatMap(({ devices }) => devices)).get(name) ?? 0;
    return Math.max(0, room - taken);
  }

  /** The devices, with what is free now. */
  told(instances: readonly Pick<InstanceView, "devices">[]): readonly DeviceFacts[] {
    const taken = sumOf(instances.flatMap(({ devices }) => devices));
    return this.#devices.list().map((device) => ({
      ...device,
      freeBytes: Math.max(
        0,
        device.totalBytes - this.#others(device.name) - (taken.get(device.name) ?? 0),
      ),
    }));
  }

  /** Drivers said what is free while this node's own models took `own`. One without an account of it says that all is. */
  noteFree(
    free: readonly { readonly name: string; readonly freeBytes: number }[],
    own: DeviceBytes,
  ): void {
    const taken = sumOf(own);
    const totals = new Map(this.#devices.list().map(({ name, totalBytes }) => [name, totalBytes]));
    for (const { name, freeBytes } of free) {
      const others = (totals.get(name) ?? 0) - freeBytes - (taken.get(name) ?? 0);
      this.#othersBytes.set(name, Math.max(0, others));
    }
  }

  /**
   * Looks at the machine anew.
   *
   * @returns Whether other devices are there than before.
   */
  async look(own: DeviceBytes = []): Promise<boolean> {
    const before = namesOf(this.#devices.list());
    await this.#devices.look();
    const devices = this.#devices.list();
    this.noteFree(devices, own);
    return namesOf(devices) !== before;
  }

  #others(name: string): number {
    return this.#othersBytes.get(name) ?? 0;
  }
}

function namesOf(devices: readonly DeviceFacts[]): string {
  return devices.map(({ name }) => name).join();
}

function sumOf(rows: DeviceBytes): ReadonlyMap<string, number> {
  const sums = new Map<string, number>();
  for (const { name, bytes } of rows) sums.set(name, (sums.get(name) ?? 0) + bytes);
  return sums;
}
