/** The form of a JSON value: the name of a type, of each key, or of the first item. A key ending in `?` may be missing. */
export type Shape = string | readonly [] | readonly [Shape] | { readonly [key: string]: Shape };

/** What is compared of an answer. */
export interface Answered {
  readonly status: number;
  /** Without parameters; undefined = not looked at. */
  readonly type?: string;
  /** Of the whole, or of the last line or event. */
  readonly shape?: Shape;
  /** Exact `error`; undefined = any text. */
  readonly error?: string;
  /** Headers by lower-case names; null = not sent. Of two answers those of the first are compared. */
  readonly headers?: Readonly<Record<string, string | null>>;
  /** Values of the body by their places, such as `choices.0.text`. Of two answers those of the first are compared. */
  readonly values?: Readonly<Record<string, unknown>>;
}

/** One field that differs. */
export interface Difference {
  /** `status`, `type`, `error`, or the place in the body. */
  readonly field: string;
  readonly wanted: string;
  readonly got: string;
}

/** The form of a value. Lists are as their first item. */
export function shapeOf(value: unknown): Shape {
  if (value === null) return "null";
  if (Array.isArray(value)) return value.length === 0 ? [] : [shapeOf(value[0])];
  if (typeof value !== "object") return typeof value;
  return Object.fromEntries(Object.entries(value).map(([key, entry]) => [key, shapeOf(entry)]));
}

/** Field by field. */
export function differencesOf(wanted: Answered, got: Answered): readonly Difference[] {
  const found: Difference[] = [];
  const note = (field: string, one: unknown, other: unknown) =>
    found.push({ field, wanted: JSON.stringify(one), got: JSON.stringify(other) });
  if (wanted.status !== got.status) note("status", wanted.status, got.status);
  if (wanted.type !== undefined && wanted.type !== got.type) note("type", wanted.type, got.type);
  if (wanted.error !== undefined && wanted.error !== got.error) {
    note("error", wanted.error, got.error);
  }
  for (const [name, value] of Object.entries(wanted.headers ?? {})) {
    const other = got.headers?.[name] ?? null;
    if (value !== other) note(`headers.${name}`, value, other);
  }
  for (
    const [place, value] of Object.entries(wanted.status === got.status ? wanted.values ?? {} : {})
  ) {
    const other = got.values?.[place];
    if (JSON.stringify(value) !== JSON.stringify(other)) note(`values.${place}`, value, other);
  }
  // Of answers with other statuses the bodies say nothing of each other.
  if (wanted.status === got.status && wanted.shape !== undefined) {
    compareShapes(wanted.shape, got.shape ?? "nothing", "body", note);
  }
  return found;
}

type Note = (field: string, wanted: unknown, got: unknown) => void;

function compareShapes(wanted: Shape, got: Shape, place: string, note: Note): void {
  // An empty list is like any.
  if (Array.isArray(wanted) && Array.isArray(got)) {
    const [one] = wanted;
    const [other] = got;
    if (one !== undefined && other !== undefined) compareShapes(one, other, `${place}[]`, note);
    return;
  }
  if (!isKeyed(wanted) || !isKeyed(got)) {
    if (wanted === "any" || (wanted === "object" && isKeyed(got))) return;
    if (JSON.stringify(wanted) !== JSON.stringify(got)) note(place, wanted, got);
    return;
  }
  for (const [key, shape] of Object.entries(wanted)) {
    const name = key.replace(/\?$/, "");
    const other = got[name];
    if (other !== undefined) compareShapes(shape, other, `${place}.${name}`, note);
    else if (name === key) note(`${place}.${name}`, shape, "absent");
  }
  for (const [key, shape] of Object.entries(got)) {
    if (!(key in wanted) && !(`${key}?` in wanted)) note(`${place}.${key}`, "absent", shape);
  }
}

function isKeyed(shape: Shape): shape is { readonly [key: string]: Shape } {
  return typeof shape === "object" && !Array.isArray(shape);
}
