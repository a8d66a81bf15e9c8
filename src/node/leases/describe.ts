import { PeerError, RequestError, UnavailableError } from "../../base/mod.ts";
import type { ModelDefinition } from "../../models/mod.ts";
import type { Clock, PeerAddress, PeerStream, Transport } from "../../ports/mod.ts";
import {
  choiceShape,
  objectShape,
  readShape,
  type ShapeOf,
  textOfShape,
  textShape,
  unionShape,
  unknownShape,
} from "../../protocol/mod.ts";
import { MessageStream } from "../cluster/message_stream.ts";
import { openPurpose, refuse, type StreamHandler } from "../cluster/stream_router.ts";
import { fromWireError, wireErrorShape } from "../cluster/wire_error.ts";
import { modelKeyOf } from "../model_need.ts";
import type { SchedulerDriver } from "../scheduler_driver.ts";
import { decodeDefinition, encodeDefinition } from "./definition_codec.ts";
import type { UnloadTarget } from "./lease.ts";
import { required } from "./lease_messages.ts";

/** Streams that ask for a definition, and those that ask to unload. */
export const DESCRIBE_PURPOSE = "describe";
export const UNLOAD_PURPOSE = "unload";

/** Questions of one peer at once. */
const QUESTIONS_PER_PEER_MAX = 16;
/** How long a question may take, its connection included. Milliseconds; definitions are read from disk. */
const QUESTION_WAIT_MS = 5_000;
const DIGEST_HEX = /^[0-9a-f]{64}$/;

const questionShape = objectShape({
  name: textShape(1024),
  manifestDigest: textOfShape<string>(64, (text) => DIGEST_HEX.test(text)),
});
const unloadShape = objectShape({
  name: textShape(1024),
  manifestDigest: textOfShape<string>(64, (text) => DIGEST_HEX.test(text)),
  mode: choiceShape(["generate", "embed"]),
});
const replyShape = unionShape({
  described: objectShape({ definition: unknownShape }),
  unloaded: objectShape({}),
  refused: objectShape({ error: wireErrorShape }),
});

/** Finds this node's own definition of a model; undefined when it is not whole here. */
export type FindDefinition = (
  model: { readonly name: string; readonly manifestDigest: string },
) => Promise<ModelDefinition | undefined>;

/** Tells other nodes what a model is that they don't hold. */
export class DescribeServer implements StreamHandler {
  readonly streamsPerPeerMax = QUESTIONS_PER_PEER_MAX;
  readonly #findDefinition: FindDefinition;

  constructor(findDefinition: FindDefinition) {
    this.#findDefinition = findDefinition;
  }

  async serve(stream: PeerStream, opening: unknown): Promise<void> {
    const asked = required(questionShape, opening);
    await answer(stream, async () => {
      const definition = await getDefinition(this.#findDefinition, asked);
      return { kind: "described", definition: encodeDefinition(definition) };
    });
  }
}

/** Unloads models of this node that a client of another one wants out of memory. */
export class UnloadServer implements StreamHandler {
  readonly streamsPerPeerMax = QUESTIONS_PER_PEER_MAX;
  readonly #findDefinition: FindDefinition;
  readonly #driver: Pick<SchedulerDriver, "requestUnload">;

  constructor(findDefinition: FindDefinition, driver: Pick<SchedulerDriver, "requestUnload">) {
    this.#findDefinition = findDefinition;
    this.#driver = driver;
  }

  async serve(stream: PeerStream, opening: unknown): Promise<void> {
    const asked = required(unloadShape, opening);
    await answer(stream, async () => {
      const definition = await getDefinition(this.#findDefinition, asked);
      this.#driver.requestUnload({ modelKey: modelKeyOf(definition, asked.mode) });
      return { kind: "unloaded" };
    });
  }
}

/** What asking takes. */
export interface QuestionParts {
  readonly transport: Pick<Transport, "openStream">;
  readonly clock: Clock;
}

/**
 * The definition of a model, from a node that holds it; without paths.
 *
 * @throws UnavailableError `peer_lost`, also after 5 s; what the holder refused with; PeerError for nonsense.
 */
export async function describeModel(
  parts: QuestionParts,
  peer: PeerAddress,
  model: Pick<ModelDefinition, "name" | "manifestDigest"> & { readonly shownName: string },
): Promise<ModelDefinition> {
  const { manifestDigest, shownName: name } = model;
  const opening = { purpose: DESCRIBE_PURPOSE, name, manifestDigest };
  return await ask(parts, { peer, opening }, (message) => {
    const reply = readReply(message);
    if (reply.kind !== "described") throw unasked(reply.kind);
    return decodeDefinition(reply.definition, model);
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
  await ask(parts, { peer, opening }, (message) => {
    const { kind } = readReply(message);
    if (kind !== "unloaded") throw unasked(kind);
  });
}

async function ask<T>(
  parts: QuestionParts,
  to: { readonly peer: PeerAddress; readonly opening: { readonly purpose: string } },
  read: (message: unknown) => T,
): Promise<T> {
  const late = new AbortController();
  let stream: PeerStream | undefined;
  const timer = parts.clock.after(QUESTION_WAIT_MS, () => {
    late.abort(new UnavailableError("peer_lost", `Node ${to.peer.nodeId} does not answer`));
    stream?.reset();
  });
  try {
    stream = await openPurpose(parts.transport, to, late.signal);
    const message = await new MessageStream(stream).read();
    if (message === undefined) throw new UnavailableError("peer_lost", "A node ended its answer");
    return read(message);
  } catch (error) {
    // The reset that ends a late answer is not what was wrong with it.
    late.signal.throwIfAborted();
    throw error;
  } finally {
    timer.cancel();
    stream?.reset();
  }
}

async function answer(stream: PeerStream, work: () => Promise<unknown>): Promise<void> {
  let reply: unknown;
  try {
    reply = await work();
  } catch (error) {
    return await refuse(stream, error);
  }
  const messages = new MessageStream(stream);
  await messages.write(reply);
  await messages.end();
}

async function getDefinition(
  find: FindDefinition,
  asked: ShapeOf<typeof questionShape>,
): Promise<ModelDefinition> {
  const definition = await find(asked);
  if (definition !== undefined) return definition;
  throw new RequestError("model_not_found", `model "${asked.name}" is not whole on this node`);
}

function readReply(message: unknown): ShapeOf<typeof replyShape> {
  const read = readShape(replyShape, message);
  if (read.kind === "malformed") {
    throw new PeerError("malformed_frame", `A peer's answer: ${read.reason}`);
  }
  if (read.value.kind === "refused") throw fromWireError(read.value.error);
  return read.value;
}

function unasked(kind: string): PeerError {
  return new PeerError("malformed_frame", `A peer answered with ${kind}`);
}
