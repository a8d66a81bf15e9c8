/**
 * The runtime's cryptography for worlds on virtual time. It runs on threads, which no clock of a test moves: while a world
 * steps it, calls wait for their turn and are made one after another, so that a seed is one course of events.
 *
 * @module
 */
const CALLS = [
  "deriveBits",
  "digest",
  "exportKey",
  "generateKey",
  "importKey",
  "sign",
  "verify",
] as const;

let worlds = 0;
const waiting: (() => Promise<void>)[] = [];

for (const name of CALLS) {
  const call: (...of: never[]) => Promise<unknown> = crypto.subtle[name].bind(crypto.subtle);
  Object.defineProperty(crypto.subtle, name, {
    value: (...of: never[]) => {
      if (worlds === 0) return call(...of);
      const { promise, resolve, reject } = Promise.withResolvers<unknown>();
      waiting.push(() => call(...of).then(resolve, reject));
      return promise;
    },
  });
}

/** From now on calls wait for {@link stepCrypto}; until the returned function is called. */
export function holdCrypto(): () => void {
  worlds++;
  return () => void worlds--;
}

/** Makes the call that waits longest; false = none waits. */
export async function stepCrypto(): Promise<boolean> {
  const next = waiting.shift();
  await next?.();
  return next !== undefined;
}
