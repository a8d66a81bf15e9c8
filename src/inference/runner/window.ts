import { isImageToken } from "../../protocol/mod.ts";

/** How a context window is filled. All counts in tokens. */
export interface WindowLimits {
  readonly contextTokens: number;
  /** Tokens at the front that are never dropped; -1 = the whole prompt. */
  readonly keepTokens: number;
}

/** Tokens that stay free behind what is kept, so that a shift always has something to drop. */
const ROOM_TOKENS = 4;

/** Tokens kept at the front in fact: at most all but {@link ROOM_TOKENS} of the window. */
export function keptTokens(promptCount: number, limits: WindowLimits): number {
  const wanted = limits.keepTokens < 0 ? promptCount : Math.min(limits.keepTokens, promptCount);
  return Math.max(0, Math.min(wanted, limits.contextTokens - ROOM_TOKENS));
}

/**
 * A prompt that fits the window: its middle is cut, the front that is kept and the newest tokens stay. Of the room behind
 * the front half stays free: a full window would be shifted to that before the second token of the answer.
 */
export function truncatePrompt(prompt: readonly number[], limits: WindowLimits): readonly number[] {
  const { contextTokens } = limits;
  if (prompt.length <= contextTokens) return prompt;
  const kept = keptTokens(prompt.length, limits);
  const newest = contextTokens - kept - shiftTokens(kept, contextTokens);
  return [...prompt.slice(0, kept), ...prompt.slice(prompt.length - newest)];
}

/** How many tokens behind the kept ones a full window drops: half of them, at least one. */
export function shiftTokens(kept: number, contextTokens: number): number {
  return Math.max(1, Math.floor((contextTokens - kept) / 2));
}

/** What a full window drops, from and to where: no image is torn, as half of one can't be computed again. */
export function shiftRange(
  window: readonly number[],
  kept: number,
  contextTokens: number,
): { readonly from: number; readonly to: number } {
  const to = kept + shiftTokens(kept, contextTokens);
  return { from: imageStart(window, kept), to: imageEnd(window, to) };
}

/** Where the image begins that a cut at `at` would tear; else `at`. */
export function imageStart(window: readonly number[], at: number): number {
  let start = at;
  while (tears(window, start)) start--;
  return start;
}

function imageEnd(window: readonly number[], at: number): number {
  let end = at;
  while (tears(window, end)) end++;
  return end;
}

function tears(window: readonly number[], at: number): boolean {
  const token = window[at];
  return token !== undefined && isImageToken(token) && window[at - 1] === token;
}

/**
 * The window as it stands after `prompt` and then `emitted`, token by token, with a shift whenever one more would not
 * fit: what a continued answer must see so that it continues from the same window.
 */
export function replayWindow(
  prompt: readonly number[],
  emitted: readonly number[],
  limits: WindowLimits,
): number[] {
  const window = [...prompt];
  const kept = keptTokens(prompt.length, limits);
  for (const token of emitted) {
    window.push(token);
    if (window.length > limits.contextTokens) {
      const { from, to } = shiftRange(window, kept, limits.contextTokens);
      window.splice(from, to - from);
    }
  }
  return window;
}
