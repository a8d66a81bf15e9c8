/**
 * The embedded model with a projector that tells colours apart, made on a node as a client would.
 *
 * @module
 */
import { findOwnNativeFolder } from "../../src/inference/launch/own_natives.ts";
import { colourEye } from "./colour_eye.ts";
import { readTinyGguf, uploadBlob } from "./test_models.ts";
import type { TestNode } from "./node.ts";

/** Why no image can be looked at here, as tests' names end; "" = they can. */
export const MISSING_EYES = findOwnNativeFolder() === ""
  ? " (skipped: libmtmd was not built, `deno task natives` builds it)"
  : "";

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
