/**
 * The runtime's cryptography for worlds on virtual time. It runs on threads, which no clock of a test moves: while a world
 * steps it, calls wait for their turn and are made one after another, and what is drawn comes from the world's seed, so that a
 * seed is one course of events.
 *
 * @module
 */
import type { Random } from "../../src/base/mod.ts";

const CALLS = [
  "deriveBits",
  "digest",
  "exportKey",
  "generateKey",
  "importKey",
  "sign",
  "verify",
] as const;

/** Of the worlds that live, the youngest last. */
const draws: Random[] = [];
const waiting: (() => Promise<void>)[] = [];
/** The call that is made now. */
let stepping: Promise<void> | undefined;

for (const name of CALLS) {
  const call: (...of: never[]) => Promise<unknown> = crypto.subtle[name].bind(crypto.subtle);
  Object.defineProperty(crypto.subtle, name, {
    value: (...of: never[]) => {
      if (draws.length === 0) return call(...of);
      const { promise, resolve, reject } = Promise.withResolvers<unknown>();
      waiting.push(() => call(...of).then(resolve, reject));
      return promise;
    },
  });
}

const drawValues = crypto.getRandomValues.bind(crypto);
const drawUuid = crypto.randomUUID.bind(crypto);

Object.defineProperty(crypto, "getRandomValues", {
  value: <T extends ArrayBufferView<ArrayBuffer>>(values: T): T => {
    const random = draws.at(-1);
    if (random === undefined) return drawValues(values);
    const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
    for (let at = 0; at < bytes.length; at++) bytes[at] = random.below(256);
    return values;
  },
});

Object.defineProperty(crypto, "randomUUID", {
  value: () => {
    if (draws.length === 0) return drawUuid();
    const hex = crypto.getRandomValues(new Uint8Array(16)).toHex();
    const parts = [hex.slice(0, 8), hex.slice(8, 12), `4${hex.slice(13, 16)}`];
    return [...parts, `8${hex.slice(17, 20)}`, hex.slice(20)].join("-");
  },
});

/**
 * From now on calls wait for {@link stepCrypto}, and what is drawn is drawn from `random`; until the returned function is
 * called.
 */
export function holdCrypto(random: Random): () => void {
  draws.push(random);
  return () => {
    const at = draws.indexOf(random);
    if (at !== -1) draws.splice(at, 1);
  };
}

/**
 * Makes the call that waits longest; false = none waits. While one is made, whoever else asks waits for its end, or time would
 * pass for it meanwhile.
 */
export async function stepCrypto(): Promise<boolean> {
  if (stepping !== undefined) {
    await stepping;
    return true;
  }
  const next = waiting.shift();
  if (next === undefined) return false;
  stepping = next();
  await stepping;
  stepping = undefined;
  return true;
}
