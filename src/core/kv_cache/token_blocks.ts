/** Tokens that are named together; a shorter rest has no name. */
export const TOKEN_BLOCK = 64;
/** Bytes of one name. */
const BLOCK_NAME_BYTES = 8;

const FNV_PRIME = 0x01000193;
/** Two that differ: 32 bits alone would meet by chance. */
const SEEDS = [0x811c9dc5, 0x2545f491] as const;

/**
 * Names of a prefix's beginnings, one for each that is whole blocks long: each stands for all tokens before its end. They
 * find a prefix, and prove nothing: who uses it compares the tokens.
 */
export function tokenBlocks(tokens: ArrayLike<number>): Uint8Array<ArrayBuffer> {
  const count = Math.floor(tokens.length / TOKEN_BLOCK);
  const names = new DataView(new ArrayBuffer(count * BLOCK_NAME_BYTES));
  let [one, two]: [number, number] = [...SEEDS];
  for (let at = 0; at < count * TOKEN_BLOCK; at++) {
    const token = tokens[at] ?? 0;
    one = stir(one, token);
    two = stir(two, ~token);
    if ((at + 1) % TOKEN_BLOCK !== 0) continue;
    const name = Math.floor(at / TOKEN_BLOCK) * BLOCK_NAME_BYTES;
    names.setUint32(name, one, true);
    names.setUint32(name + 4, two, true);
  }
  return new Uint8Array(names.buffer);
}

/** Of how many tokens these are the names. */
export function namedTokens(names: Uint8Array): number {
  return Math.floor(names.length / BLOCK_NAME_BYTES) * TOKEN_BLOCK;
}

/** How many leading tokens have these names; less than the two prefixes share by a block at most. */
export function sharedBlockTokens(tokens: ArrayLike<number>, names: Uint8Array): number {
  const own = tokenBlocks(tokens);
  const limit = Math.min(own.length, names.length);
  let at = 0;
  while (at < limit && own[at] === names[at]) at++;
  return namedTokens(names.subarray(0, at));
}

/** Each bit of a token reaches all bits of the name within two of these. */
function stir(name: number, token: number): number {
  const mixed = Math.imul(name ^ token, FNV_PRIME);
  return mixed ^ (mixed >>> 15);
}
