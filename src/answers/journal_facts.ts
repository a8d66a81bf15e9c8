import { invalidRequest } from "../base/mod.ts";
import type { AnswerFact } from "../core/answers/mod.ts";
import { type AnswerToken, PREFIX_ENDS, PREFIX_SOURCES } from "../protocol/mod.ts";

/** Characters of the facts behind one chunk at most: a prompt's tokens are among them once. */
const FACTS_CHARS_MAX = 64 * 1024 * 1024;

/** Bytes stand in an object of their own, as JSON has none. */
interface WrittenBytes {
  readonly base64: string;
}

/** What an answer was told, as text that only {@link readFacts} reads. */
export function writeFacts(facts: readonly AnswerFact[]): string {
  return JSON.stringify(
    facts,
    (_, value: unknown) =>
      value instanceof Uint8Array ? { base64: value.toBase64() } satisfies WrittenBytes : value,
  );
}

/**
 * Reads facts of another node's. That they follow from each other is for the answer's machine to see.
 *
 * @throws RequestError `invalid_request` for what {@link writeFacts} never makes.
 */
export function readFacts(text: string): readonly AnswerFact[] {
  if (text.length > FACTS_CHARS_MAX) throw malformed("too long");
  let value: unknown;
  try {
    value = JSON.parse(text, (_, one: unknown) => isWrittenBytes(one) ? bytesOf(one) : one);
  } catch (cause) {
    throw malformed(String(cause));
  }
  if (!Array.isArray(value) || !value.every(isFact)) throw malformed("not what is told");
  return value;
}

function isWrittenBytes(value: unknown): value is WrittenBytes {
  return isRecord(value) && typeof value["base64"] === "string" && Object.keys(value).length === 1;
}

function bytesOf({ base64 }: WrittenBytes): Uint8Array {
  return Uint8Array.fromBase64(base64);
}

/** Of each kind, what the machine reads of it. */
const FIELDS: Readonly<Record<AnswerFact["kind"], (fact: Fields) => boolean>> = {
  begun: () => true,
  slot_held: (fact) =>
    (fact["nodeId"] === undefined || typeof fact["nodeId"] === "string") &&
    areNumbers(fact, ["loadNs", "nowMs"]),
  run_started: (fact) =>
    areTokenIds(fact["promptTokens"]) && areNumbers(fact, ["cachedTokens"]) &&
    (fact["prefix"] === undefined || isPrefixUse(fact["prefix"])),
  tokens_came: (fact) => areTokens(fact["tokens"]) && areNumbers(fact, ["nowMs"]),
  run_finished: (fact) =>
    ["end", "length", "cancelled"].includes(String(fact["reason"])) &&
    areNumbers(fact, ["prefillNs", "decodeNs"]) &&
    (fact["drafts"] === undefined || isDraftUse(fact["drafts"])),
  prompt_shortened: (fact) => fact["shorter"] === undefined || isShorter(fact["shorter"]),
  failed: (fact) => fact["code"] === undefined || typeof fact["code"] === "string",
  handed_over: () => true,
  abandoned: () => false,
};

type Fields = Readonly<Record<string, unknown>>;

function isFact(value: unknown): value is AnswerFact {
  if (!isRecord(value)) return false;
  const kind = String(value["kind"]);
  return Object.hasOwn(FIELDS, kind) && FIELDS[kind as AnswerFact["kind"]](value);
}

function areTokens(value: unknown): value is readonly AnswerToken[] {
  return Array.isArray(value) &&
    value.every((token: unknown) =>
      isRecord(token) && isTokenId(token["token"]) && token["bytes"] instanceof Uint8Array &&
      isLogprob(token["logprob"]) && areTop(token["topLogprobs"])
    );
}

function areTop(value: unknown): boolean {
  return value === undefined || areTokens(value);
}

function isDraftUse(value: unknown): boolean {
  return isRecord(value) && areNumbers(value, ["drafted", "accepted"]);
}

function isPrefixUse(value: unknown): boolean {
  const isOne = (names: readonly string[], name: unknown) => names.includes(String(name));
  return isRecord(value) && areNumbers(value, ["matchedTokens"]) &&
    isOne(PREFIX_SOURCES, value["source"]) && isOne(PREFIX_ENDS, value["end"]);
}

/** Minus infinity is null in JSON, and no alternative that a reader could use. */
function isLogprob(value: unknown): boolean {
  return value === undefined || value === null || typeof value === "number";
}

function isShorter(value: unknown): boolean {
  if (!isRecord(value) || !isRecord(value["prompt"])) return false;
  const { kind, text, addSpecial, tokens, tokensBefore = [] } = value["prompt"];
  const isPrompt = kind === "text"
    ? typeof text === "string" && typeof addSpecial === "boolean" && areTokenIds(tokensBefore)
    : kind === "tokens" && areTokenIds(tokens);
  const { images = [] } = value;
  const areImages = Array.isArray(images) && images.every((one) => one instanceof Uint8Array);
  return isPrompt && areImages && ["truncate", "refuse"].includes(String(value["onLongPrompt"]));
}

function areTokenIds(value: unknown): boolean {
  return Array.isArray(value) && value.every(isTokenId);
}

function isTokenId(value: unknown): boolean {
  return Number.isInteger(value) && Number(value) >= 0;
}

function areNumbers(fact: Fields, names: readonly string[]): boolean {
  return names.every((name) => typeof fact[name] === "number");
}

function isRecord(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function malformed(reason: string) {
  return invalidRequest(`the journal of an answer can't be read: ${reason}`);
}
