import { assertNever, formatGoDuration, parseGoDuration } from "../base/mod.ts";
import { type HostAddress, type HostFallback, readHost } from "./host_address.ts";
import { LISTED_DEVICES_MAX, type OptionSpec, type OptionValue } from "./option_spec.ts";

/** A value, or what it must be; `warning` tells what a lenient reading passed over. */
export type Parsed =
  | { readonly value: OptionValue; readonly warning?: string }
  | { readonly problem: string };

const BYTE_UNITS: Readonly<Record<string, number>> = {
  "": 1,
  b: 1,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  tb: 1e12,
  kib: 2 ** 10,
  mib: 2 ** 20,
  gib: 2 ** 30,
  tib: 2 ** 40,
};
const TRUE_WORDS = new Set(["true", "yes", "on", "1"]);
const FALSE_WORDS = new Set(["false", "no", "off", "0"]);
/** What Go reads as false; everything else that is set counts as true (contract section 6). */
const GO_FALSE_WORDS = new Set(["0", "f", "F", "false", "FALSE", "False"]);

/** Reads a value as flags, ODIST_* variables and the file give it: wrong and absurd values are refused. */
export function parseStrict(spec: OptionSpec, text: string): Parsed {
  switch (spec.kind) {
    case "address":
      return parseAddress(text);
    case "endpoint":
      return parseEndpoint(text, spec.fallback);
    case "endpoints":
      return parseEndpoints(text, spec.fallback);
    case "text":
      return text === "" || spec.pattern.test(text)
        ? { value: text }
        : { problem: `must be ${formatRange(spec)}` };
    case "folder":
      return text === "" ? { problem: "must name a folder" } : { value: text };
    case "duration":
      return parseDuration(spec, text);
    case "count":
      return checkRange(spec, /^[-+]?\d+$/.test(text) ? Number(text) : NaN);
    case "bytes":
      return parseByteCount(spec, parseBytes(text));
    case "boolean":
      return parseBoolean(text);
    case "choice":
      return spec.choices.includes(text)
        ? { value: text }
        : { problem: `must be one of ${spec.choices.join(", ")}` };
    case "list":
      return { value: Object.freeze(splitList(text)) };
    case "per_device":
      return parsePerDevice(spec, text);
    default:
      return assertNever(spec);
  }
}

/**
 * Reads a value as Ollama reads its variables: a boolean that can't be read is true, anything else that can't be read
 * is passed over with a warning. Undefined: as if it were not set.
 */
export function parseLenient(
  spec: OptionSpec,
  text: string,
): Extract<Parsed, { value: OptionValue }> | { readonly warning: string } {
  const words = spec.alias?.words;
  if (spec.kind === "boolean" || words !== undefined) {
    const asBoolean = GO_FALSE_WORDS.has(text) ? "false" : "true";
    const parsed = parseStrict(spec, words?.[text] ?? words?.[asBoolean] ?? asBoolean);
    if ("value" in parsed) return parsed;
  }
  if (spec.kind === "address") {
    const read = readHost(text);
    if (read?.badPort !== undefined) {
      return {
        value: Object.freeze(read.address),
        warning: `port "${read.badPort}" is not one: port ${read.address.port} is used`,
      };
    }
  }
  const parsed = parseStrict(spec, text);
  return "value" in parsed ? parsed : { warning: `${parsed.problem}: "${text}" is ignored` };
}

/** What an option may be, in the words of errors and of docs/CONFIG.md. */
export function formatRange(spec: OptionSpec): string {
  switch (spec.kind) {
    case "duration":
      return `${formatGoDuration(spec.low)} to ${formatGoDuration(spec.high)}` +
        (spec.endless === undefined ? "" : `, or ${ENDLESS_WORDS[spec.endless]} for no limit`);
    case "count":
      return withAutomatic(spec, `${spec.low} to ${spec.high} ${spec.unit}`);
    case "bytes":
      return withAutomatic(spec, `${formatByteCount(spec.low)} to ${formatByteCount(spec.high)}`);
    case "choice":
      return spec.choices.join(", ");
    case "boolean":
      return "true, false";
    case "address":
      return "an address";
    case "endpoint":
      return "host:port";
    case "endpoints":
      return "any number of host:port, comma-separated";
    case "text":
      return spec.form + (spec.automatic === undefined ? "" : `, or nothing (${spec.automatic})`);
    case "folder":
      return "a folder";
    case "list":
      return `any number of ${spec.unit}`;
    case "per_device":
      return withAutomatic(
        spec,
        `1 to ${LISTED_DEVICES_MAX} ${
          spec.of === "bytes" ? "sizes" : "numbers"
        }, comma-separated, from ${formatPerDevice(spec, [spec.low])} to ${
          formatPerDevice(spec, [spec.high])
        }`,
      );
    default:
      return assertNever(spec);
  }
}

/** A number of bytes in the largest unit that divides it: `256MiB`. */
export function formatByteCount(bytes: number): string {
  for (const unit of ["TiB", "GiB", "MiB", "KiB"]) {
    const size = BYTE_UNITS[unit.toLowerCase()] ?? 1;
    if (bytes >= size && bytes % size === 0) return `${bytes / size}${unit}`;
  }
  return String(bytes);
}

/** As users write it. */
export function formatPerDevice(
  { of }: Pick<Extract<OptionSpec, { kind: "per_device" }>, "of">,
  values: readonly number[],
): string {
  return values.map((value) => of === "bytes" ? formatByteCount(value) : String(value)).join(",");
}

const ENDLESS_WORDS = { negative: "a negative value", zero_or_negative: "0" } as const;

function withAutomatic(spec: { readonly automatic?: string }, range: string): string {
  return spec.automatic === undefined ? range : `${range}, or 0 (${spec.automatic})`;
}

function parseAddress(text: string): Parsed {
  const read = readHost(text);
  if (read === undefined) {
    return { problem: "must be host:port, http://host:port or odist://host:port" };
  }
  if (read.badPort !== undefined) return { problem: "must have a port from 0 to 65535" };
  return { value: Object.freeze<HostAddress>(read.address) };
}

/** Without a scheme and a path, which mean nothing to what is not HTTP. */
function parseEndpoint(
  text: string,
  fallback: HostFallback,
): { readonly value: HostAddress } | { readonly problem: string } {
  const read = text.includes("/") ? undefined : readHost(text, fallback);
  if (read === undefined) return { problem: "must be host:port" };
  if (read.badPort !== undefined) return { problem: "must have a port from 0 to 65535" };
  return { value: Object.freeze<HostAddress>(read.address) };
}

function parseEndpoints(text: string, fallback: HostFallback): Parsed {
  const addresses: HostAddress[] = [];
  for (const part of splitList(text)) {
    const parsed = parseEndpoint(part, fallback);
    if ("problem" in parsed) return { problem: `${parsed.problem}, comma-separated` };
    addresses.push(parsed.value);
  }
  return { value: Object.freeze(addresses) };
}

function splitList(text: string): string[] {
  return text.split(",").map((part) => part.trim()).filter(Boolean);
}

/** A Go duration, or a plain number of seconds as Ollama takes it. */
function parseDuration(spec: Extract<OptionSpec, { kind: "duration" }>, text: string): Parsed {
  const isSeconds = /^[-+]?\d+(\.\d+)?$/.test(text);
  const durationMs = isSeconds ? Number(text) * 1_000 : parseGoDuration(text) ?? NaN;
  const isEndless = durationMs < 0 && spec.endless !== undefined ||
    durationMs === 0 && spec.endless === "zero_or_negative";
  return isEndless ? { value: Infinity } : checkRange(spec, durationMs);
}

/** `24GiB`, `800 MB`, `4096`: whole bytes, NaN for anything else. */
export function parseBytes(text: string): number {
  const [, amount, unit = ""] = /^(\d+(?:\.\d+)?)\s*([a-z]*)$/i.exec(text) ?? [];
  const unitBytes = BYTE_UNITS[unit.toLowerCase()];
  if (amount === undefined || unitBytes === undefined) return NaN;
  return Math.round(Number(amount) * unitBytes);
}

function parseByteCount(spec: Extract<OptionSpec, { kind: "bytes" }>, bytes: number): Parsed {
  const { high, formerly } = spec;
  if (formerly === undefined || !(bytes > high && bytes <= formerly.high)) {
    return checkRange(spec, bytes);
  }
  const least = `${formatByteCount(bytes)} counts as ${formatByteCount(high)}, the most it may be`;
  return { value: high, warning: `${least} now: ${formerly.instead}` };
}

function parsePerDevice(
  spec: Extract<OptionSpec, { kind: "per_device" }>,
  text: string,
): Parsed {
  const read = spec.of === "bytes" ? parseBytes : parseNumber;
  const values = text.split(",").map((part) => read(part.trim()));
  const isInside = values.every((value) => value >= spec.low && value <= spec.high);
  if (isInside && values.length <= LISTED_DEVICES_MAX) return { value: Object.freeze(values) };
  return { problem: `must be ${formatRange(spec)}` };
}

function parseNumber(text: string): number {
  return /^\d+(?:\.\d+)?$/.test(text) ? Number(text) : NaN;
}

function parseBoolean(text: string): Parsed {
  const word = text.toLowerCase();
  if (TRUE_WORDS.has(word)) return { value: true };
  return FALSE_WORDS.has(word) ? { value: false } : { problem: "must be true or false" };
}

function checkRange(
  spec: Extract<OptionSpec, { kind: "duration" | "count" | "bytes" }>,
  value: number,
): Parsed {
  const isAutomatic = value === 0 && spec.automatic !== undefined;
  const isInside = value >= spec.low && value <= spec.high;
  return isAutomatic || isInside ? { value } : { problem: `must be ${formatRange(spec)}` };
}
