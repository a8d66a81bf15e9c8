const ID_CHARS = "abcdefghijklmnopqrstuvwxyz0123456789";

/** Small letters and digits, drawn: what follows the prefix of an answer's id. */
export function drawId(length: number): string {
  const draws = crypto.getRandomValues(new Uint8Array(length));
  return Array.from(draws, (draw) => ID_CHARS[draw % ID_CHARS.length]).join("");
}
