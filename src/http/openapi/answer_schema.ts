/** A JSON Schema that says no more than which types and fields there are. */
export interface AnswerSchema {
  readonly type?: string;
  readonly properties?: Readonly<Record<string, AnswerSchema>>;
  readonly items?: AnswerSchema;
}

/** What is sent in one form. */
export interface AnswerContent {
  readonly mediaType: string;
  /** Of one line or event, where there are many. */
  readonly schema: AnswerSchema;
}

/** What one answer and another one of the same form say. */
export function bothContents(one: AnswerContent, other: AnswerContent | undefined): AnswerContent {
  return other === undefined ? one : { ...one, schema: merged(other.schema, one.schema) };
}

/** Reads an answer to its end; undefined when it has no body in a form that is known. */
export async function contentOf(response: Response): Promise<AnswerContent | undefined> {
  const text = await response.text();
  const [mediaType = ""] = (response.headers.get("content-type") ?? "").split(";");
  if (text === "") return undefined;
  switch (mediaType) {
    case "application/json":
      return { mediaType, schema: schemaOf(JSON.parse(text)) };
    case "application/x-ndjson":
      return { mediaType, schema: together(text.trim().split("\n")) };
    case "text/event-stream": {
      const data = [...text.matchAll(/^data: (\{.*)$/gm)].map(([, json = ""]) => json);
      return { mediaType, schema: together(data) };
    }
    default:
      return { mediaType, schema: { type: "string" } };
  }
}

function together(texts: readonly string[]): AnswerSchema {
  return texts.map((text) => schemaOf(JSON.parse(text))).reduce(merged, {});
}

function schemaOf(value: unknown): AnswerSchema {
  if (value === null || value === undefined) return {};
  if (Array.isArray(value)) {
    return { type: "array", items: value.map(schemaOf).reduce(merged, {}) };
  }
  if (typeof value === "object") {
    const entries = Object.entries(value).map(([name, inner]) => [name, schemaOf(inner)]);
    return { type: "object", properties: Object.fromEntries(entries) };
  }
  // Whether a number is always a whole one, one of them doesn't tell.
  return { type: typeof value };
}

/** What both say; where they contradict each other nothing is said. */
function merged(one: AnswerSchema, other: AnswerSchema): AnswerSchema {
  if (one.type === undefined || other.type === undefined) {
    return one.type === undefined ? other : one;
  }
  if (one.type !== other.type) return {};
  if (one.type === "array") {
    return { type: "array", items: merged(one.items ?? {}, other.items ?? {}) };
  }
  if (one.type !== "object") return one;
  const properties: Record<string, AnswerSchema> = { ...one.properties };
  for (const [name, schema] of Object.entries(other.properties ?? {})) {
    properties[name] = merged(properties[name] ?? {}, schema);
  }
  return { type: "object", properties };
}
