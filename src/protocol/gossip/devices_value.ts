import { ByteWriter, type Decoded } from "../bytes.ts";
import { listField, recordField, type ValueOf } from "../field_codec.ts";
import { countField, decodeVersioned, encodeVersioned, shownField } from "./versioned_value.ts";

/** Key of {@link NodeDevices} among a member's gossip values. */
export const NODE_DEVICES_KEY = "devices";
/** Bytes of the value: with it the inventory and the small values still fit a member's 48 KiB. */
const DEVICES_VALUE_BYTES_MAX = 768;
/** Devices in one value. */
const TOLD_DEVICES_MAX = 16;
/** The version byte and two counts. */
const HEAD_BYTES = 4;

const DEVICE = recordField({
  /** As llama.cpp calls it on its node, such as `CUDA0`. */
  name: shownField(24),
  /** As its maker calls it. */
  description: shownField(48),
  /** `gpu`, or `igpu` for one that shares the machine's memory. */
  kind: shownField(8),
  totalBytes: countField(),
  /** What models could take. */
  freeBytes: countField(),
  /** "" where it isn't known. */
  driver: shownField(48),
});

/** A device that computes, beside the machine's cores. */
export type DeviceFacts = Readonly<ValueOf<typeof DEVICE>>;

const NODE_DEVICES = recordField({
  devices: listField(DEVICE, TOLD_DEVICES_MAX),
  /** Devices there was no room for. */
  omitted: countField(),
});

/** What a node computes with beside its cores. */
export type NodeDevices = Readonly<ValueOf<typeof NODE_DEVICES>>;

/** Always decodes. When not all fit, the last ones are only counted. */
export function encodeNodeDevices(devices: readonly DeviceFacts[]): Uint8Array<ArrayBuffer> {
  let bytes = HEAD_BYTES;
  const crowded = devices.findIndex((device, index) => {
    const writer = new ByteWriter();
    DEVICE.write(writer, device);
    bytes += writer.length;
    return index >= TOLD_DEVICES_MAX || bytes > DEVICES_VALUE_BYTES_MAX;
  });
  const kept = crowded < 0 ? devices : devices.slice(0, crowded);
  return encodeVersioned(NODE_DEVICES, { devices: kept, omitted: devices.length - kept.length });
}

/** Never throws, on any bytes. */
export function decodeNodeDevices(bytes: Uint8Array): Decoded<NodeDevices> {
  return decodeVersioned(NODE_DEVICES, bytes);
}
