import { errorMessage, printableText, RequestError } from "../../base/mod.ts";
import { IMAGES_BYTES_MAX } from "../../protocol/mod.ts";
import { type JsonObject, type NodeClient, textsOf } from "../client/mod.ts";
import type { Terminal } from "../terminal/mod.ts";

/** An absolute or `./` path of an image, in quotes or with its spaces behind backslashes. */
const IMAGE_PATH =
  /(["'])((?:[a-z]:[\\/]|\.{0,2}\/|~\/)[^"'\n]+?\.(?:png|jpe?g|gif|bmp|webp))\1|(?:^|(?<=\s))((?:[a-z]:[\\/]|\.{0,2}\/|~\/)(?:\\ |\S)+?\.(?:png|jpe?g|gif|bmp|webp))(?=[\s.,;:!?)]|$)/gi;

/** A prompt, with the images that its paths name in their places. */
export interface SeenPrompt {
  readonly text: string;
  /** Base64; absent = none, so that it need not be sent. */
  readonly images?: readonly string[];
}

/**
 * Reads the images whose paths stand in a prompt, where the model sees any; a path where nothing is stays text.
 *
 * @throws RequestError `bad_usage` for a file that can't be read or is too large.
 */
export async function seeImages(
  prompt: string,
  how: {
    readonly model: string;
    readonly client: Pick<NodeClient, "ask">;
    readonly terminal: Terminal;
    /** What the node knows of the model; asked for where it matters and isn't given. */
    readonly facts?: JsonObject;
    readonly home?: string;
  },
): Promise<SeenPrompt> {
  const found = [...prompt.matchAll(IMAGE_PATH)];
  if (found.length === 0) return { text: prompt };
  const facts = how.facts ?? await how.client.ask("POST", "/api/show", { model: how.model });
  if (!textsOf(facts, "capabilities").includes("vision")) return { text: prompt };
  const images: string[] = [];
  let text = "";
  let at = 0;
  for (const { 0: written, 2: quoted, 3: bare = "", index } of found) {
    const path = (quoted ?? bare.replaceAll("\\ ", " ")).replace(/^~(?=\/)/, how.home ?? "~");
    const bytes = await readImage(path);
    if (bytes === undefined) continue;
    images.push(bytes.toBase64());
    text += `${prompt.slice(at, index)}[img]`;
    at = index + written.length;
    how.terminal.err.write(`Added image '${printableText(path)}'\n`);
  }
  return images.length === 0 ? { text: prompt } : { text: text + prompt.slice(at), images };
}

async function readImage(path: string): Promise<Uint8Array | undefined> {
  try {
    const { size } = await Deno.stat(path);
    if (size > IMAGES_BYTES_MAX) {
      throw new RequestError(
        "bad_usage",
        `${path} has ${size} bytes: at most ${IMAGES_BYTES_MAX} are taken`,
      );
    }
    return await Deno.readFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    if (error instanceof RequestError) throw error;
    throw new RequestError(
      "bad_usage",
      `cannot read ${path}: ${printableText(errorMessage(error))}`,
      {
        cause: error,
      },
    );
  }
}
