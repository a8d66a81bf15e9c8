import { invalidRequest, RequestError } from "../base/mod.ts";
import { displayModelName, type ModelName, parseKeptName } from "../protocol/mod.ts";

/** Who asks for a model: the wording of a refusal differs (contract 1.3). */
export type Asker =
  | "generate"
  | "chat"
  | "embed"
  | "embeddings"
  | "show"
  | "delete"
  | "push"
  | "pull"
  | "create";

/** A name as a client wrote it, taken apart (contract 1.2). */
export interface ModelReference {
  readonly name: ModelName;
  /** `local` was asked for: a stub for a remote model counts as not found. */
  readonly isLocalOnly: boolean;
  /** Trimmed, otherwise as written. */
  readonly raw: string;
}

/**
 * Parses a model name from a request.
 *
 * @throws RequestError `model_required`, `invalid_model_name`, or 403 for models that only the vendor's cloud has.
 */
export function parseReference(text: string, asker: Asker): ModelReference {
  const raw = text.trim();
  if (raw === "") throw missingName(asker);
  const { bare, source } = splitSource(raw);
  const name = parseKeptName(bare);
  if (name === undefined) throw badName(raw, asker);
  if (source === "cloud") {
    throw new RequestError(
      "unsupported_capability",
      "ollama cloud is disabled: remote model is unavailable",
      { status: 403 },
    );
  }
  return { name, isLocalOnly: source === "local", raw };
}

/** As {@link parseReference}, for a name that something is to be stored under. @throws as that, and for a node's own name. */
export function parseTarget(text: string, asker: Asker): ModelReference {
  const reference = parseReference(text, asker);
  checkStorable(reference.name);
  return reference;
}

/** @throws RequestError `invalid_model_name` for a name with `@node`, which only says where a model is kept. */
export function checkStorable(name: ModelName): void {
  if (name.node === undefined) return;
  const text = `"${
    displayModelName(name)
  }" is a model that node ${name.node} keeps: name it without @`;
  throw new RequestError("invalid_model_name", text);
}

/** The refusal of a name that nothing is stored under, in the asker's words. */
export function modelNotFound(reference: ModelReference, asker: Asker): RequestError {
  switch (asker) {
    case "embed":
    case "embeddings":
      return new RequestError(
        "model_not_found",
        `model "${reference.raw}" not found, try pulling it first`,
      );
    case "show":
    case "push":
      return new RequestError(
        "model_not_found",
        `model '${displayModelName(reference.name)}' not found`,
      );
    default:
      return new RequestError("model_not_found", `model '${reference.raw}' not found`);
  }
}

function missingName(asker: Asker): RequestError {
  if (asker === "generate" || asker === "embed") {
    return new RequestError("model_not_found", "model '' not found");
  }
  if (asker === "pull" || asker === "create") {
    return new RequestError("invalid_model_name", "invalid model name");
  }
  return new RequestError("model_required", "model is required");
}

function badName(raw: string, asker: Asker): RequestError {
  const text = asker === "delete" ? `name "${raw}" is invalid` : "invalid model name";
  return new RequestError("invalid_model_name", text);
}

/** Cuts the source suffix off: `:cloud`, `:local` in any case, or a tag that ends in `-cloud`. */
function splitSource(
  raw: string,
): { readonly bare: string; readonly source: "cloud" | "local" | undefined } {
  const match = /^(.*):(cloud|local)$/i.exec(raw);
  const [, before = raw, word] = match ?? [];
  const source = word?.toLowerCase() === "cloud"
    ? "cloud" as const
    : word === undefined
    ? undefined
    : "local" as const;
  const inner = /:(cloud|local)$|:[^/:]*-cloud$/i.exec(before);
  if (source === undefined) {
    return inner === null
      ? { bare: raw, source }
      : { bare: before.replace(/-cloud$/i, ""), source: "cloud" };
  }
  if (inner === null) return { bare: before, source };
  const innerSource = inner[0].toLowerCase() === ":local" ? "local" : "cloud";
  if (innerSource === source) return { bare: before.slice(0, inner.index), source };
  throw invalidRequest(`use either :local or :cloud, not both: "${raw}"`);
}
