/** How many tokens of a text are wanted at least. */
export interface WantedTokens {
  /** At the front; Infinity = the whole text. */
  readonly first: number;
  /** At the end. */
  readonly last: number;
}

/** Where the first attempt cuts; ordinary text has 3 to 5 characters a token. */
const CHARACTERS_PER_TOKEN = 8;
/** Tokens next to a cut that may differ from those of the whole text: a cut can go through a word. */
const MARGIN_TOKENS = 64;

/**
 * The tokens of a text, or of its front and its end when it has many more than wanted: the wanted ones are as in the
 * whole text, there are more than `first + last`, and what is missing lies between them.
 *
 * llama.cpp takes about a second for a megabyte and the runner does nothing else meanwhile, so that the time for a text
 * that won't fit anyway must not grow with its length.
 */
export function tokenizeEnds(
  text: string,
  wanted: WantedTokens,
  tokenize: (text: string, place: "front" | "end") => number[],
): number[] {
  const front = tokenizePart(
    { wantedTokens: wanted.first, charactersMax: text.length },
    (characters) => tokenize(text.slice(0, characters), "front"),
  );
  if (front.isAll || wanted.last === 0) return front.tokens;
  const end = tokenizePart(
    { wantedTokens: wanted.last, charactersMax: text.length - front.characters },
    (characters) => tokenize(text.slice(text.length - characters), "end"),
  );
  // The two parts met: the text is not that long after all.
  return end.isAll ? tokenize(text, "front") : [...front.tokens, ...end.tokens];
}

interface Part {
  readonly tokens: number[];
  readonly characters: number;
  /** Whether it was as long as it may be. */
  readonly isAll: boolean;
}

/** Longer and longer parts until one has the wanted tokens and a margin. */
function tokenizePart(
  limits: { readonly wantedTokens: number; readonly charactersMax: number },
  tokenize: (characters: number) => number[],
): Part {
  const enough = limits.wantedTokens + MARGIN_TOKENS;
  for (let wanted = enough * CHARACTERS_PER_TOKEN;; wanted *= 2) {
    const characters = Math.min(wanted, limits.charactersMax);
    const isAll = characters === limits.charactersMax;
    const tokens = tokenize(characters);
    if (isAll || tokens.length >= enough) return { tokens, characters, isAll };
  }
}
