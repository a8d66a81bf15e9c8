import { Fields, type InlineMedia } from "../wire/mod.ts";

/** As what a field is read; `any`: as it was sent, and only then looked at. */
export type FieldKind =
  | "any"
  | "string"
  | "boolean"
  | "number"
  | "integer"
  | "list"
  | "strings"
  | "integers"
  | "object"
  | "string_map"
  | "fields"
  | "fields_list";

/** What is known of one field. */
export interface FieldRow {
  readonly kinds: Set<FieldKind>;
  itemsMax: number | undefined;
  /** Of the objects in it. */
  readonly inner: Recording;
}

/** The fields of one object, in the order in which they were first read. */
export class Recording {
  readonly rows = new Map<string, FieldRow>();

  row(name: string): FieldRow {
    const row = this.rows.get(name) ??
      { kinds: new Set<FieldKind>(), itemsMax: undefined, inner: new Recording() };
    this.rows.set(name, row);
    return row;
  }
}

/** What a field holds while it is looked on; undefined = it is absent. */
export type SampleOf = (path: string, kind: FieldKind) => unknown;

/** Fields that write down by which names and as what they are read. */
export class RecordingFields extends Fields {
  readonly #recording: Recording;
  readonly #sample: SampleOf;
  readonly #place: string;

  constructor(recording: Recording, sample: SampleOf, place = "") {
    super({});
    this.#recording = recording;
    this.#sample = sample;
    this.#place = place;
  }

  override raw(name: string): unknown {
    return this.#read(name, "any");
  }
  override string(name: string): string | undefined {
    return this.#read(name, "string") as string | undefined;
  }
  override boolean(name: string): boolean | undefined {
    return this.#read(name, "boolean") as boolean | undefined;
  }
  override number(name: string): number | undefined {
    return this.#read(name, "number") as number | undefined;
  }
  override integer(name: string): number | undefined {
    return this.#read(name, "integer") as number | undefined;
  }
  override list(name: string): readonly unknown[] | undefined {
    return this.#read(name, "list") as readonly unknown[] | undefined;
  }
  override strings(name: string, countMax: number): readonly string[] | undefined {
    return this.#read(name, "strings", countMax) as readonly string[] | undefined;
  }
  override media(name: string, countMax: number): readonly (string | InlineMedia)[] | undefined {
    this.#read(name, "strings", countMax);
    return undefined;
  }
  override integers(name: string): readonly number[] | undefined {
    return this.#read(name, "integers") as readonly number[] | undefined;
  }
  override object(name: string): Readonly<Record<string, unknown>> | undefined {
    return this.#read(name, "object") as Readonly<Record<string, unknown>> | undefined;
  }
  override stringMap(name: string): Readonly<Record<string, string>> | undefined {
    return this.#read(name, "string_map") as Readonly<Record<string, string>> | undefined;
  }
  override fields(name: string): Fields {
    this.#read(name, "fields");
    return this.#inner(name);
  }
  override fieldsList(name: string, countMax: number): readonly Fields[] | undefined {
    const isThere = this.#read(name, "fields_list", countMax) !== undefined;
    return isThere ? [this.#inner(name)] : undefined;
  }
  override has(name: string): boolean {
    return this.#read(name, "any") !== undefined;
  }

  #inner(name: string): RecordingFields {
    const { inner } = this.#recording.row(name);
    return new RecordingFields(inner, this.#sample, `${this.#place}${name}.`);
  }

  #read(name: string, kind: FieldKind, itemsMax?: number): unknown {
    const row = this.#recording.row(name);
    row.kinds.add(kind);
    row.itemsMax ??= itemsMax;
    return this.#sample(`${this.#place}${name}`, kind);
  }
}
