/**
 * The embedded model with a projector that tells colours apart, made on a node as a client would.
 *
 * @module
 */
import { colourEye } from "./colour_eye.ts";
import { lackingOwnNatives } from "./own_natives.ts";
import { readTinyGguf, uploadBlob } from "./test_models.ts";
import type { TestNode } from "./node.ts";

const lacking = lackingOwnNatives();
/** Why no image can be looked at here, as tests' names end; "" = they can. */
export const MISSING_EYES = lacking === undefined ? "" : ` (skipped: ${lacking})`;

/** Creates `model` from the embedded weights and a projector; `width` makes it one of another model. */
export async function createSeeing(
  node: Pick<TestNode, "get" | "ask">,
  model: string,
  { width }: { readonly width?: number } = {},
): Promise<void> {
  const weights = await readTinyGguf();
  const projector = await colourEye(weights, width === undefined ? {} : { width });
  const files = {
    "model.gguf": await uploadBlob(node, weights),
    "projector.gguf": await uploadBlob(node, projector),
  };
  await node.ask("/api/create", { model, files, stream: false });
}
