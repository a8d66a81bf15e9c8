import { basename, dirname, join, relative, resolve } from "node:path";
import { RequestError } from "../../base/mod.ts";

/** One file a Modelfile names; `name` is what the node calls it. */
export interface ModelFile {
  readonly name: string;
  readonly path: string;
}

/** What FROM lines come to. */
export type ModelSource =
  | { readonly kind: "model"; readonly name: string }
  | { readonly kind: "files"; readonly files: readonly ModelFile[] };

/** Weights in a folder: the first pattern that any file matches wins. */
const WEIGHTS = [/\.gguf$/, /\.safetensors$/, /^pytorch_model.*\.bin$/, /\.pth$/];
/** What belongs to weights that are no GGUF. */
const COMPANIONS = /\.json$|^tokenizer\.model$|^chat_template\.jinja$/;
const LOOKS_LIKE_PATH = /^[.~/\\]|^[a-z]:[\\/]|\.(gguf|safetensors|bin|pth)$/i;

/**
 * Tells files from a model's name. Paths are relative to the Modelfile; `~` is `home`.
 *
 * @throws RequestError `invalid_modelfile` for a path where nothing is, and for a name beside files.
 */
export async function findSource(
  from: readonly string[],
  place: { readonly modelfile: string; readonly home: string },
): Promise<ModelSource> {
  const files: ModelFile[] = [];
  for (const text of from) {
    const found = await findFiles(text, place);
    if (found !== undefined) files.push(...found);
    else if (from.length === 1 && !LOOKS_LIKE_PATH.test(text)) return { kind: "model", name: text };
    else throw missing("FROM", text, place.modelfile);
  }
  return { kind: "files", files };
}

/** The files of ADAPTER or DRAFT lines; throws as {@link findSource}. */
export async function findPartFiles(
  instruction: "ADAPTER" | "DRAFT",
  given: readonly string[],
  place: { readonly modelfile: string; readonly home: string },
): Promise<readonly ModelFile[]> {
  const files: ModelFile[] = [];
  for (const text of given) {
    const found = await findFiles(text, place);
    if (found === undefined) throw missing(instruction, text, place.modelfile);
    files.push(...found);
  }
  return files;
}

async function findFiles(
  text: string,
  place: { readonly modelfile: string; readonly home: string },
): Promise<readonly ModelFile[] | undefined> {
  const path = text === "~" || text.startsWith("~/")
    ? join(place.home, text.slice(1))
    : resolve(dirname(place.modelfile), text);
  try {
    const { isDirectory } = await Deno.stat(path);
    return isDirectory ? await listFolder(path) : [{ name: basename(path), path }];
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) {
      return undefined;
    }
    throw error;
  }
}

async function listFolder(folder: string): Promise<readonly ModelFile[]> {
  const names: string[] = [];
  for await (const entry of Deno.readDir(folder)) if (entry.isFile) names.push(entry.name);
  const pattern = WEIGHTS.find((weights) => names.some((name) => weights.test(name)));
  if (pattern === undefined) {
    const text = `There are no model files in ${folder}: wanted *.gguf or *.safetensors`;
    throw new RequestError("invalid_modelfile", text);
  }
  const isGguf = pattern === WEIGHTS[0];
  return names.filter((name) => pattern.test(name) || (!isGguf && COMPANIONS.test(name))).sort()
    .map((name) => ({ name: relative(folder, join(folder, name)), path: join(folder, name) }));
}

function missing(instruction: string, text: string, modelfile: string): RequestError {
  const place = `relative to ${dirname(modelfile)}`;
  const reason = `${instruction} ${text}: there is no such file or folder (${place})`;
  return new RequestError("invalid_modelfile", reason);
}
