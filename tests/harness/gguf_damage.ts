import { joinBytes, type Random } from "../../src/base/mod.ts";

/** Numbers that counts, sizes and types of a damaged file like to be. */
const EXTREMES = [
  0n,
  1n,
  0x7fn,
  0xffn,
  0xffffn,
  0x7fffffffn,
  0xffffffffn,
  1n << 53n,
  (1n << 63n) - 1n,
  (1n << 64n) - 1n,
];

/**
 * A copy of a GGUF file with one to four faults below `headerBytes`, where all that is parsed lies: flipped bytes, extreme
 * numbers, runs put in, taken out or doubled, and now and then a cut.
 */
export function damageGguf(
  bytes: Uint8Array,
  options: { readonly random: Random; readonly headerBytes: number },
): Uint8Array<ArrayBuffer> {
  const { random } = options;
  let damaged = bytes.slice();
  // Faults that move what follows end at the next text; without them, a fault gets as far as the model's use.
  const kinds = random.chance(2, 3) ? KEEP_PLACES : [...KEEP_PLACES, ...MOVE_THE_REST];
  for (let fault = random.between(1, 4); fault > 0; fault--) {
    const at = random.below(Math.min(options.headerBytes, damaged.length - 8));
    damaged = kinds[random.below(kinds.length)]?.(damaged, at, random) ?? damaged;
  }
  return random.chance(1, 8) ? damaged.slice(0, random.below(damaged.length)) : damaged;
}

type Damage = (bytes: Uint8Array, at: number, random: Random) => Uint8Array<ArrayBuffer>;

const KEEP_PLACES: readonly Damage[] = [
  (bytes, at, random) => {
    const copy = bytes.slice();
    copy[at] = random.below(256);
    return copy;
  },
  (bytes, at, random) => {
    const copy = bytes.slice();
    const value = EXTREMES[random.below(EXTREMES.length)] ?? 0n;
    const view = new DataView(copy.buffer);
    if (random.chance(1, 2)) view.setBigUint64(at, value, true);
    else view.setUint32(at, Number(value & 0xffffffffn), true);
    return copy;
  },
];
const MOVE_THE_REST: readonly Damage[] = [
  (bytes, at, random) =>
    joinBytes([bytes.subarray(0, at), bytes.subarray(at + random.between(1, 16))]),
  (bytes, at, random) => {
    const run = bytes.subarray(at, at + random.between(1, 64));
    return joinBytes([bytes.subarray(0, at), run, bytes.subarray(at)]);
  },
  (bytes, at, random) => {
    const noise = new Uint8Array(random.between(1, 16)).map(() => random.below(256));
    return joinBytes([bytes.subarray(0, at), noise, bytes.subarray(at)]);
  },
];
