import { hexOf } from "../../base/mod.ts";
import { goElements, GoFloat, goFloatText, goText, goTypeName, type GoValue } from "./value.ts";

/** Widths and precisions above this are ignored, so that a template can't ask for gigabytes of blanks. */
const PRINTF_WIDTH_MAX = 1000;
const VERB = /%([-+# 0]*)(\*|[0-9]+)?(?:\.(\*|[0-9]*))?([\s\S])/gu;

interface Format {
  readonly flags: string;
  readonly width: number | undefined;
  readonly precision: number | undefined;
  readonly verb: string;
}

/** Go's `fmt.Sprintf` for the values a template can hold. */
export function goSprintf(format: string, values: readonly GoValue[]): string {
  const rest = [...values];
  let starred = false;
  const star = (written: string | undefined): number | undefined => {
    if (written === undefined) return undefined;
    if (written === "*") {
      starred = true;
      const value = rest.shift();
      return typeof value === "number" ? Math.min(value, PRINTF_WIDTH_MAX) : undefined;
    }
    return Math.min(Number(written), PRINTF_WIDTH_MAX);
  };
  let used = 0;
  const text = format.replace(VERB, (_all, flags: string, width, precision, verb: string) => {
    const read: Format = { flags, width: star(width), precision: star(precision), verb };
    if (verb === "%") return "%";
    if (rest.length === 0) return `%!${verb}(MISSING)`;
    used++;
    return pad(formatOne(rest.shift(), read), read);
  });
  const noVerb = /(?:^|[^%])(?:%%)*%$/.test(format) ? text.replace(/%$/, "%!(NOVERB)") : text;
  if (rest.length === 0 || (starred && used === 0)) return noVerb;
  const extra = rest.map((value) =>
    value === undefined ? "<nil>" : `${goTypeName(value)}=${goText(value)}`
  );
  return `${noVerb}%!(EXTRA ${extra.join(", ")})`;
}

/** Go's `fmt.Sprint`: a blank between operands when neither is text. */
export function goSprint(values: readonly GoValue[]): string {
  let text = "";
  values.forEach((value, index) => {
    const before = values[index - 1];
    if (index > 0 && typeof value !== "string" && typeof before !== "string") text += " ";
    text += goText(value);
  });
  return text;
}

function formatOne(value: GoValue, format: Format): string {
  const list = "sqdxXqeEfFgGc".includes(format.verb) ? goElements(value) : undefined;
  if (list !== undefined && format.verb !== "v") {
    return `[${list.map((item) => formatOne(item, format)).join(" ")}]`;
  }
  if (format.verb === "v") return withSign(goText(value), { value, flags: format.flags });
  if (format.verb === "T") return value === undefined ? "<nil>" : goTypeName(value);
  if (value === undefined) return `%!${format.verb}(<nil>)`;
  const written = typeof value === "string"
    ? formatText(value, format)
    : typeof value === "number"
    ? formatInteger(value, format)
    : value instanceof GoFloat
    ? formatFloat(value.value, format)
    : format.verb === "s" && typeof value === "object"
    ? goText(value)
    : format.verb === "t" && typeof value === "boolean"
    ? String(value)
    : undefined;
  return written ?? `%!${format.verb}(${goTypeName(value)}=${goText(value)})`;
}

function formatText(text: string, format: Format): string | undefined {
  const cut = format.precision === undefined ? text : [...text].slice(0, format.precision).join("");
  switch (format.verb) {
    case "s":
      return cut;
    case "q":
      return JSON.stringify(cut);
    case "x":
    case "X": {
      const hex = hexOf(new TextEncoder().encode(cut));
      return format.verb === "X" ? hex.toUpperCase() : hex;
    }
    default:
      return undefined;
  }
}

function formatInteger(value: number, format: Format): string | undefined {
  const bases: Readonly<Record<string, number>> = { d: 10, x: 16, X: 16, o: 8, b: 2 };
  const base = bases[format.verb];
  if (base !== undefined) {
    const prefix = format.flags.includes("#") && base === 16 ? `0${format.verb}` : "";
    const digits = Math.abs(value).toString(base).padStart(format.precision ?? 0, "0");
    const shown = prefix + (format.verb === "X" ? digits.toUpperCase() : digits);
    return withSign(value < 0 ? `-${shown}` : shown, { value, flags: format.flags });
  }
  const valid = value >= 0 && value <= 0x10ffff;
  const character = valid ? String.fromCodePoint(value) : "\ufffd";
  if (format.verb === "c") return character;
  if (format.verb === "q") return `'${character}'`;
  if (format.verb === "U") return `U+${value.toString(16).toUpperCase().padStart(4, "0")}`;
  return undefined;
}

function formatFloat(value: number, format: Format): string | undefined {
  const precision = Math.min(format.precision ?? 6, 100);
  const sign = (text: string) => withSign(text, { value, flags: format.flags });
  switch (format.verb) {
    case "f":
    case "F":
      return sign(value.toFixed(precision));
    case "e":
    case "E": {
      const text = value.toExponential(precision).replace(/e([+-])(\d)$/, "e$10$2");
      return sign(format.verb === "E" ? text.toUpperCase() : text);
    }
    case "g":
      if (format.precision === undefined) return sign(goFloatText(value));
      return sign(goFloatText(Number(value.toPrecision(Math.max(1, precision)))));
    default:
      return undefined;
  }
}

function withSign(text: string, of: { value: GoValue; flags: string }): string {
  const isNumber = typeof of.value === "number" || of.value instanceof GoFloat;
  if (!isNumber || text.startsWith("-")) return text;
  if (of.flags.includes("+")) return `+${text}`;
  return of.flags.includes(" ") ? ` ${text}` : text;
}

function pad(text: string, format: Format): string {
  const missing = Math.abs(format.width ?? 0) - [...text].length;
  if (missing <= 0) return text;
  if (format.flags.includes("-") || (format.width ?? 0) < 0) return text + " ".repeat(missing);
  const zeros = format.flags.includes("0") && "dxXobeEfFgGsqv".includes(format.verb);
  if (!zeros) return " ".repeat(missing) + text;
  const signed = /^[+-]/.exec(text)?.[0] ?? "";
  return signed + "0".repeat(missing) + text.slice(signed.length);
}
