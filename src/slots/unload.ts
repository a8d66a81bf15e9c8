import type { PeerAddress } from "../ports/mod.ts";
import {
  choiceShape,
  hashHexShape,
  objectShape,
  textShape,
  unionShape,
  wireErrorShape,
} from "../protocol/mod.ts";
import {
  answering,
  askPeer,
  type QuestionParts,
  readAnswer,
  type StreamHandler,
} from "../calls/mod.ts";
import { modelKeyOf, type UnloadTarget } from "./lease.ts";
import type { SchedulerDriver } from "./scheduler_driver.ts";
import { type FindDefinition, getHeldDefinition } from "../library/mod.ts";

/** Streams that ask to unload. */
export const UNLOAD_PURPOSE = "unload";

const unloadShape = objectShape({
  name: textShape(1024),
  manifestDigest: hashHexShape,
  mode: choiceShape(["generate", "embed"]),
});
const replyShape = unionShape({
  unloaded: objectShape({}),
  refused: objectShape({ error: wireErrorShape }),
});

/** Unloads models of this node that a client of another one wants out of memory. */
export function unloadServer(
  findDefinition: FindDefinition,
  driver: Pick<SchedulerDriver, "requestUnload">,
): StreamHandler {
  return answering(unloadShape, async (asked) => {
    const definition = await getHeldDefinition(findDefinition, asked);
    driver.requestUnload({ modelKey: modelKeyOf(definition, asked.mode) });
    return { kind: "unloaded" };
  });
}

/** Asks another node to unload a model. @throws as {@link describeModel}. */
export async function unloadModelAt(
  parts: QuestionParts,
  peer: PeerAddress,
  model: Pick<UnloadTarget, "name" | "manifestDigest" | "mode">,
): Promise<void> {
  const { name, manifestDigest, mode } = model;
  const opening = { purpose: UNLOAD_PURPOSE, name, manifestDigest, mode };
  await askPeer(
    parts,
    { peer, opening },
    (message) => readAnswer(replyShape, "unloaded", message),
  );
}
