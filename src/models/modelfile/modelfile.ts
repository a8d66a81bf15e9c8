import { RequestError } from "../../base/mod.ts";
import { MODEL_OPTIONS } from "./model_options.ts";

/** A Modelfile's content (contract 3). Texts are kept as written, paths unresolved. */
export interface Modelfile {
  /** At least one after parsing: paths, or one model name. */
  readonly from: readonly string[];
  readonly adapters: readonly string[];
  readonly drafts: readonly string[];
  readonly template?: string;
  readonly system?: string;
  readonly renderer?: string;
  readonly parser?: string;
  readonly requires?: string;
  /** Typed as the API wants them; `stop` is a list. */
  readonly parameters: Readonly<Record<string, unknown>>;
  readonly licenses: readonly string[];
  readonly messages: readonly { readonly role: string; readonly content: string }[];
  /** Parameters that once meant something: left out of `parameters`, worth a warning. */
  readonly obsoleteParameters: readonly string[];
}

const INSTRUCTIONS = [
  "from",
  "license",
  "template",
  "system",
  "adapter",
  "draft",
  "renderer",
  "parser",
  "parameter",
  "message",
  "requires",
];
const ROLES = ["system", "user", "assistant"];
/** Parameters of old Modelfiles that nothing reads any more. */
const OBSOLETE_PARAMETERS = [
  "numa",
  "low_vram",
  "f16_kv",
  "logits_all",
  "vocab_only",
  "use_mlock",
  "mirostat",
  "mirostat_tau",
  "mirostat_eta",
  "tfs_z",
  "penalize_newline",
  "draft_num_predict",
];

/**
 * Parses a Modelfile.
 *
 * @throws RequestError `invalid_modelfile` in the contract's words, with the line where there is one.
 */
export function parseModelfile(text: string): Modelfile {
  const modelfile = new ModelfileBuilder();
  const reader = new ModelfileReader(text);
  for (let row = reader.next(); row !== undefined; row = reader.next()) modelfile.add(row);
  return modelfile.finish();
}

/** One instruction; `key` is a parameter's name or a message's role. */
interface Instruction {
  readonly name: string;
  readonly key: string;
  readonly value: string;
  /** From 1. */
  readonly line: number;
}

/** Cuts the text into instructions. */
class ModelfileReader {
  readonly #text: string;
  #position = 0;
  #line = 1;

  constructor(text: string) {
    // Windows line ends would otherwise stay in values; other invisible characters hide in copied text.
    this.#text = text.replace(/^\ufeff/, "").replaceAll(/\r\n?/g, "\n")
      .replaceAll(/[^\n\t\P{C}]/gu, "");
  }

  next(): Instruction | undefined {
    this.#skipBlank();
    if (this.#position >= this.#text.length) return undefined;
    const line = this.#line;
    const name = this.#word(/[A-Za-z]*/y).toLowerCase();
    const isAtEnd = this.#position >= this.#text.length;
    if (isAtEnd && INSTRUCTIONS.includes(name)) throw unexpectedEnd();
    if (!INSTRUCTIONS.includes(name) || !this.#skipSpaces()) throw commandError(line);
    const key = this.#key(name, line);
    return { name, key, value: this.#value(), line };
  }

  #key(name: string, line: number): string {
    if (name !== "parameter" && name !== "message") return "";
    const key = this.#word(/\w*/y);
    if (name === "message" && !ROLES.includes(key)) {
      throw failed('message role must be one of "system", "user", or "assistant"', line);
    }
    if (key === "" || !this.#skipSpaces()) throw unexpectedEnd();
    return key;
  }

  /** To the end of the line, or over lines until an opening quote is closed at the end of one. */
  #value(): string {
    const start = this.#position;
    for (let end = start; end < this.#text.length;) {
      const newline = this.#text.indexOf("\n", end);
      end = newline < 0 ? this.#text.length : newline;
      const value = unquote(this.#text.slice(start, end).trim());
      if (value !== undefined) {
        this.#line += this.#text.slice(start, end).split("\n").length - 1;
        this.#position = end;
        return value;
      }
      end++;
    }
    throw unexpectedEnd();
  }

  #skipBlank(): void {
    for (;;) {
      const blank = this.#word(/\s*(?:#[^\n]*)?/y);
      if (blank === "") return;
      this.#line += blank.split("\n").length - 1;
    }
  }

  #skipSpaces(): boolean {
    return this.#word(/[ \t]*/y) !== "";
  }

  #word(pattern: RegExp): string {
    pattern.lastIndex = this.#position;
    const word = pattern.exec(this.#text)?.[0] ?? "";
    this.#position += word.length;
    return word;
  }
}

/** Undefined while an opening quote is not closed. */
function unquote(text: string): string | undefined {
  for (const quote of ['"""', '"']) {
    if (!text.startsWith(quote)) continue;
    const isClosed = text.length >= 2 * quote.length && text.endsWith(quote);
    return isClosed ? text.slice(quote.length, -quote.length) : undefined;
  }
  return text;
}

/** Gathers instructions: some accumulate, of the others the last one counts. */
class ModelfileBuilder {
  readonly #lists: Record<"from" | "adapter" | "draft" | "license", string[]> = {
    from: [],
    adapter: [],
    draft: [],
    license: [],
  };
  readonly #texts: Record<string, string> = {};
  readonly #parameters: Record<string, unknown> = {};
  readonly #obsolete = new Set<string>();
  readonly #messages: { role: string; content: string }[] = [];

  add(row: Instruction): void {
    switch (row.name) {
      case "from":
      case "adapter":
      case "draft":
      case "license":
        this.#lists[row.name].push(row.value);
        break;
      case "parameter":
        this.#addParameter(row);
        break;
      case "message":
        this.#messages.push({ role: row.key, content: row.value });
        break;
      default:
        checkText(row);
        this.#texts[row.name] = row.value;
    }
  }

  finish(): Modelfile {
    const { from, adapter, draft, license } = this.#lists;
    if (from.length === 0) throw failed("no FROM line");
    return {
      from,
      adapters: adapter,
      drafts: draft,
      ...this.#texts,
      parameters: this.#parameters,
      licenses: license,
      messages: this.#messages,
      obsoleteParameters: [...this.#obsolete],
    };
  }

  #addParameter({ key, value, line }: Instruction): void {
    if (OBSOLETE_PARAMETERS.includes(key)) {
      this.#obsolete.add(key);
      return;
    }
    const type = Object.hasOwn(MODEL_OPTIONS, key) ? MODEL_OPTIONS[key] : undefined;
    if (type === undefined) throw failed(`unknown parameter '${key}'`, line);
    if (type === "array") {
      const known = this.#parameters[key];
      this.#parameters[key] = [...(Array.isArray(known) ? known : []), value];
    } else {
      this.#parameters[key] = parseParameter(value, type, line);
    }
  }
}

function parseParameter(
  value: string,
  type: "integer" | "float32" | "boolean",
  line: number,
): number | boolean {
  if (type === "boolean") {
    if (/^(1|t|true)$/i.test(value)) return true;
    if (/^(0|f|false)$/i.test(value)) return false;
    throw failed(`invalid bool value [${value}]`, line);
  }
  const number = value.trim() === "" ? NaN : Number(value);
  if (type === "integer" && !/^[+-]?\d+$/.test(value)) {
    throw failed(`invalid int value [${value}]`, line);
  }
  if (!Number.isFinite(number)) throw failed(`invalid float value [${value}]`, line);
  return number;
}

function checkText({ name, value, line }: Instruction): void {
  if (name === "requires" && !/^v?\d+\.\d+(\.\d+)?([-+].*)?$/.test(value)) {
    throw failed("requires must be a valid semver (e.g. 0.14.0)", line);
  }
}

function commandError(line: number): RequestError {
  const names = INSTRUCTIONS.map((name) => `"${name}"`);
  const list = `${names.slice(0, -1).join(", ")}, or ${names.at(-1)}`;
  return failed(`command must be one of ${list}`, line);
}

function unexpectedEnd(): RequestError {
  return failed("unexpected EOF");
}

function failed(text: string, line?: number): RequestError {
  return new RequestError(
    "invalid_modelfile",
    line === undefined ? text : `(line ${line}): ${text}`,
  );
}

/** Writes a Modelfile that {@link parseModelfile} reads back, in the order of `ollama show --modelfile`. */
export function formatModelfile(modelfile: Modelfile): string {
  const lines: string[] = [];
  const add = (instruction: string, value: string | undefined) => {
    if (value !== undefined) lines.push(`${instruction} ${quote(value)}`);
  };
  for (const from of modelfile.from) add("FROM", from);
  for (const adapter of modelfile.adapters) add("ADAPTER", adapter);
  for (const draft of modelfile.drafts) add("DRAFT", draft);
  add("TEMPLATE", modelfile.template);
  add("SYSTEM", modelfile.system);
  add("RENDERER", modelfile.renderer);
  add("PARSER", modelfile.parser);
  add("REQUIRES", modelfile.requires);
  for (const [key, value] of Object.entries(modelfile.parameters)) {
    for (const item of Array.isArray(value) ? value : [value]) {
      add(`PARAMETER ${key}`, String(item));
    }
  }
  for (const license of modelfile.licenses) add("LICENSE", license);
  for (const { role, content } of modelfile.messages) add(`MESSAGE ${role}`, content);
  return `${lines.join("\n")}\n`;
}

/** Quotes only what a plain line would lose. */
function quote(value: string): string {
  const isPlain = value !== "" && !value.includes("\n") && value.trim() === value &&
    !value.startsWith('"');
  if (isPlain) return value;
  return value.includes('"') ? `"""${value}"""` : `"${value}"`;
}

/**
 * What a Modelfile says besides files, as fields of `POST /api/create`; what it doesn't say stays as it is in the model it
 * builds on.
 */
export function settingsOf(modelfile: Modelfile): Readonly<Record<string, unknown>> {
  const { template, system, renderer, parser, requires } = modelfile;
  const texts = Object.fromEntries(
    Object.entries({ template, system, renderer, parser, requires })
      .filter(([, text]) => text !== undefined),
  );
  const { parameters, licenses, messages } = modelfile;
  return {
    ...texts,
    ...(Object.keys(parameters).length === 0 ? {} : { parameters }),
    ...(licenses.length === 0 ? {} : { license: licenses }),
    ...(messages.length === 0 ? {} : { messages }),
  };
}
