import type { FieldCodec } from "./field_codec.ts";

/**
 * What a key may do. `use`: generate, chat, embed, and look at models and the cluster. `models`: create, copy, pull, push,
 * upload and delete. `admin`: members, settings, keys, logs and snapshots. `join`: tokens with which machines become members.
 * The order is the bit on the wire: only ever appended to.
 */
export const SCOPES = ["use", "models", "admin", "join"] as const;
/** One of {@link SCOPES}. */
export type Scope = (typeof SCOPES)[number];

/** At least one, each once, in the order of {@link SCOPES}. */
export const scopesField: FieldCodec<readonly Scope[]> = {
  write: (writer, scopes) => {
    const bits = SCOPES.map((scope, bit) => scopes.includes(scope) ? 1 << bit : 0);
    writer.varint(bits.reduce<number>((mask, bit) => mask | bit, 0));
  },
  read: (reader) => {
    const mask = reader.varint((1 << SCOPES.length) - 1);
    if (mask === 0) reader.fail("no scope");
    return SCOPES.filter((_, bit) => (mask & (1 << bit)) !== 0);
  },
};

/** The scopes in a list of words; undefined when a word is none, or there is none. */
export function parseScopes(words: readonly string[]): readonly Scope[] | undefined {
  const known: readonly string[] = SCOPES;
  if (words.length === 0 || !words.every((word) => known.includes(word))) return undefined;
  return SCOPES.filter((scope) => words.includes(scope));
}
