import { drawId } from "../draw_id.ts";

const NONCE_LENGTH = 32;
/** Objects inside objects that are shown. */
const DEPTH_MAX = 6;
const STYLE =
  "body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}" +
  "code,pre{font-family:ui-monospace,monospace;font-size:13px}summary{cursor:pointer;padding:.2rem 0}" +
  "details details{margin-left:1.5rem}b{display:inline-block;min-width:4.5rem}" +
  "li{margin:.1rem 0}i{opacity:.6}@media(prefers-color-scheme:dark){body{background:#111;color:#ddd}}";

/** A part of an OpenAPI document, as far as it is shown. */
interface Shown {
  readonly type?: string;
  readonly properties?: Readonly<Record<string, Shown>>;
  readonly items?: Shown;
  readonly anyOf?: readonly Shown[];
  readonly required?: readonly string[];
}

interface Content {
  readonly required?: boolean;
  readonly content?: Readonly<Record<string, { readonly schema: Shown }>>;
}

/** One endpoint. */
export interface Operation {
  readonly tags: readonly string[];
  readonly parameters?: readonly { readonly name: string; readonly in: string }[];
  readonly requestBody?: Content;
  readonly responses: Readonly<Record<string, Content & { readonly description: string }>>;
  readonly "x-odist-scope": string;
  /** What is not shown. */
  readonly [other: string]: unknown;
}

/** What of an OpenAPI document the page shows. */
export interface ShownDocument {
  readonly info: { readonly version: string; readonly description: string };
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
}

/** The document as a page to be read, without a script, and with nothing of another host. */
export function docsPage(document: ShownDocument): Response {
  const nonce = drawId(NONCE_LENGTH);
  const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method, operation }))
  );
  const tags = [...new Set(operations.map(({ operation }) => operation.tags[0] ?? ""))];
  const sections = tags.map((tag) => {
    const own = operations.filter(({ operation }) => operation.tags[0] === tag);
    return `<h2>${escape(tag)}</h2>${own.map(operationText).join("")}`;
  });
  const { version, description } = document.info;
  const html = `<!doctype html><html lang="en"><meta charset="utf-8"><title>odist API</title>` +
    `<meta name="viewport" content="width=device-width"><style nonce="${nonce}">${STYLE}</style>` +
    `<h1>odist ${escape(version)}</h1><p>${escape(description)} ` +
    `<a href="/openapi.json">openapi.json</a></p>${sections.join("")}</html>`;
  return new Response(html, {
    headers: {
      "content-type": "text/html; charset=utf-8",
      "content-security-policy":
        `default-src 'none'; style-src 'nonce-${nonce}'; base-uri 'none'; form-action 'none'; ` +
        "frame-ancestors 'none'",
      "referrer-policy": "no-referrer",
    },
  });
}

function operationText(
  { path, method, operation }: { path: string; method: string; operation: Operation },
): string {
  const { parameters = [], requestBody, responses, "x-odist-scope": scope } = operation;
  const named = parameters.map(({ name, in: where }) =>
    `<li><code>${escape(name)}</code> <i>in the ${escape(where)}</i></li>`
  );
  const answers = Object.entries(responses).map(([status, answer]) =>
    contentText(`${status} ${answer.description}`, answer)
  );
  return `<details><summary><b>${method.toUpperCase()}</b> <code>${escape(path)}</code></summary>` +
    `<ul><li><i>scope</i> ${escape(scope)}</li>${named.join("")}</ul>` +
    (requestBody === undefined ? "" : contentText("Body", requestBody)) + answers.join("") +
    "</details>";
}

function contentText(title: string, { content = {} }: Content): string {
  return Object.entries(content).map(([mediaType, { schema }]) =>
    `<details><summary>${escape(title)} <i>${escape(mediaType)}</i></summary>` +
    `${fieldsText(schema, 0)}</details>`
  ).join("");
}

function fieldsText(schema: Shown, depth: number): string {
  const { properties = {}, items, required = [] } = schema;
  if (items !== undefined) return fieldsText(items, depth);
  const rows = depth > DEPTH_MAX ? [] : Object.entries(properties);
  if (rows.length === 0) return "";
  const shown = rows.map(([name, field]) =>
    `<li><code>${escape(name)}</code> <i>${escape(typeText(field))}` +
    `${required.includes(name) ? ", required" : ""}</i>${fieldsText(field, depth + 1)}</li>`
  );
  return `<ul>${shown.join("")}</ul>`;
}

function typeText({ type, items, anyOf }: Shown): string {
  if (anyOf !== undefined) return anyOf.map(typeText).join(" or ");
  return items === undefined ? type ?? "anything" : `list of ${typeText(items)}`;
}

function escape(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
