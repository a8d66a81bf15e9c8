import { MODEL_OPTIONS, type ModelOptionType } from "../../models/modelfile/mod.ts";
import type { AnswerContent } from "./answer_schema.ts";
import type { ApiFamily, Route } from "../routes.ts";
import type { Operation, ShownDocument } from "./docs_page.ts";
import type { ProbedRoute } from "./probe.ts";
import type { FieldKind, FieldRow, Recording } from "./recording_fields.ts";

type Schema = Readonly<Record<string, unknown>>;

const KIND_SCHEMAS: Readonly<Record<Exclude<FieldKind, "fields" | "fields_list">, Schema>> = {
  any: {},
  string: { type: "string" },
  boolean: { type: "boolean" },
  number: { type: "number" },
  integer: { type: "integer" },
  list: { type: "array", items: {} },
  strings: { type: "array", items: { type: "string" } },
  integers: { type: "array", items: { type: "integer" } },
  object: { type: "object" },
  string_map: { type: "object", additionalProperties: { type: "string" } },
};

const OPTION_SCHEMAS: Readonly<Record<ModelOptionType, Schema>> = {
  integer: KIND_SCHEMAS.integer,
  float32: KIND_SCHEMAS.number,
  boolean: KIND_SCHEMAS.boolean,
  array: KIND_SCHEMAS.strings,
};

/** One endpoint and what was found of it. */
export interface DescribedRoute {
  readonly family: ApiFamily;
  readonly route: Route;
  readonly found: ProbedRoute;
}

/** The OpenAPI document of these endpoints. */
export function openApiDocument(
  routes: readonly DescribedRoute[],
  version: string,
): ShownDocument {
  const paths: Record<string, Record<string, Operation>> = {};
  for (const described of routes) {
    const { method, path } = described.route;
    const shown = path.replaceAll(/:(\w+)/g, "{$1}");
    (paths[shown] ??= {})[method.toLowerCase()] = operation(described, shown);
  }
  const document = {
    openapi: "3.1.0",
    info: {
      title: "odist",
      version,
      description: "Made from what the endpoints read. Names of fields match in any case, " +
        "null counts as absent, and unknown fields are ignored.",
    },
    paths,
    components: { securitySchemes: { key: { type: "http", scheme: "bearer" } } },
  };
  return document;
}

function operation({ family, route, found }: DescribedRoute, path: string): Operation {
  const names = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name ?? "");
  const parameters = [
    ...names.map((name) => ({ name, in: "path", required: true, schema: KIND_SCHEMAS.string })),
    ...found.query.map((name) => ({ name, in: "query", schema: KIND_SCHEMAS.string })),
  ];
  return {
    operationId: `${route.method.toLowerCase()}${path.replaceAll(/[^A-Za-z0-9]+/g, "_")}`,
    tags: [family.name],
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(found.fields === undefined ? {} : {
      requestBody: {
        required: found.required.length > 0,
        content: { "application/json": { schema: objectSchema(found.fields, found.required) } },
      },
    }),
    // From other machines; this one's own clients need no key.
    security: route.scope === "open" ? [] : [{ key: [] }, {}],
    "x-odist-scope": route.scope,
    responses: {
      "2XX": { description: "Done", ...contentField(found.answers) },
      default: { description: "Refused or failed", ...contentField(found.failures) },
    },
  };
}

function contentField(answers: readonly AnswerContent[]): Schema {
  if (answers.length === 0) return {};
  return {
    content: Object.fromEntries(answers.map(({ mediaType, schema }) => [mediaType, { schema }])),
  };
}

function objectSchema(fields: Recording, required: readonly string[] = []): Schema {
  const rows = [...fields.rows].filter(([, row]) => row.kinds.size > 0);
  const properties = Object.fromEntries(rows.map(([name, row]) => [name, fieldSchema(name, row)]));
  return { type: "object", properties, ...(required.length === 0 ? {} : { required }) };
}

function fieldSchema(name: string, row: FieldRow): Schema {
  if (name === "options" && row.kinds.has("object")) return optionsSchema();
  // Read as it was sent, and again as what it then must be.
  const kinds = [...row.kinds].filter((kind) => kind !== "any" || row.kinds.size === 1);
  const schemas = kinds.map((kind) => kindSchema(kind, row));
  return schemas.length === 1 ? schemas[0] ?? {} : { anyOf: schemas };
}

function kindSchema(kind: FieldKind, row: FieldRow): Schema {
  const bound = row.itemsMax === undefined ? {} : { maxItems: row.itemsMax };
  switch (kind) {
    case "fields":
      return objectSchema(row.inner);
    case "fields_list":
      return { type: "array", items: objectSchema(row.inner), ...bound };
    case "strings":
      return { ...KIND_SCHEMAS.strings, ...bound };
    default:
      return KIND_SCHEMAS[kind];
  }
}

function optionsSchema(): Schema {
  const properties = Object.entries(MODEL_OPTIONS)
    .map(([name, type]) => [name, OPTION_SCHEMAS[type]]);
  return { type: "object", properties: Object.fromEntries(properties) };
}
