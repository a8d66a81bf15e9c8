import { crc32 } from "node:zlib";
import type { Disk } from "../ports/mod.ts";
import { ByteReader, ByteWriter } from "../protocol/mod.ts";
import { SECTOR_BYTES } from "./wal_record.ts";

/** Beside the segments, because what is lost of them takes their own word with it. */
const NAME = "synced.bin";
const MAGIC = 0x4e59534f; // "OSYN"
/** Written by turns, so that a write a crash tears leaves the one before. */
const SLOTS = 2;

/**
 * How far a log was synced at least: the sequence of a batch whose sync had ended before this was written. Without it a
 * segment whose end is zeros, or a log without its last segment, looks like one that never had more. Not synced by itself:
 * a crash may leave an older one, never a newer one than the segments hold.
 */
export class WalWatermark {
  readonly #disk: Disk;
  #slot = 0;
  #sequence = -1;

  private constructor(disk: Disk) {
    this.#disk = disk;
  }

  /** The watermark of a log, to be raised to what was recovered: logs of older versions have none yet. */
  static async open(disk: Disk): Promise<WalWatermark> {
    const bytes = await disk.read(NAME);
    if (bytes === undefined || bytes.length < SLOTS * SECTOR_BYTES) {
      await disk.create(NAME, new Uint8Array(SLOTS * SECTOR_BYTES));
      await disk.sync(NAME);
      await disk.syncFolder();
    }
    return new WalWatermark(disk);
  }

  /** The batch with this sequence is synced. */
  async raise(log: { readonly logId: string; readonly sequence: number }): Promise<void> {
    if (log.sequence <= this.#sequence) return;
    this.#sequence = log.sequence;
    this.#slot = (this.#slot + 1) % SLOTS;
    await this.#disk.write(NAME, { at: this.#slot * SECTOR_BYTES, bytes: encode(log) });
  }

  async sync(): Promise<void> {
    await this.#disk.sync(NAME);
  }
}

/** The last sequence that is known to have been synced of a log; 0 when nothing is known. */
export async function readWatermark(disk: Disk, logId: string): Promise<number> {
  const bytes = await disk.read(NAME) ?? new Uint8Array(0);
  let sequence = 0;
  for (let slot = 0; slot < SLOTS; slot++) {
    const sector = bytes.subarray(slot * SECTOR_BYTES, (slot + 1) * SECTOR_BYTES);
    sequence = Math.max(sequence, decode(sector, logId));
  }
  return sequence;
}

function encode(log: { readonly logId: string; readonly sequence: number }): Uint8Array {
  const { logId, sequence } = log;
  const low = sequence % 2 ** 32;
  const writer = new ByteWriter(SECTOR_BYTES).uint32(MAGIC).hex64(logId);
  writer.uint32(low).uint32(Math.floor(sequence / 2 ** 32));
  const sector = new Uint8Array(SECTOR_BYTES);
  sector.set(writer.finish());
  const sum = crc32(sector.subarray(0, SECTOR_BYTES - 4));
  sector.set(new ByteWriter(4).uint32(sum).finish(), SECTOR_BYTES - 4);
  return sector;
}

function decode(sector: Uint8Array, logId: string): number {
  const reader = new ByteReader(sector);
  if (reader.uint32() !== MAGIC || reader.hex64() !== logId) return 0;
  const sequence = reader.uint32() + reader.uint32() * 2 ** 32;
  const sum = new ByteReader(sector.subarray(SECTOR_BYTES - 4)).uint32();
  return reader.fault === undefined && sum === crc32(sector.subarray(0, SECTOR_BYTES - 4))
    ? sequence
    : 0;
}
