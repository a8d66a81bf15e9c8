/**
 * The runner: a child process that holds one model and drives llama.cpp's prebuilt libraries directly. Never imported by
 * the node process, which must survive llama.cpp. Standard input and output carry frames only; whatever llama.cpp says
 * goes to standard error. Start with `decoder.ts`.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { assertNever, errorMessage, isEdgeError, PeerError, RequestError } from "../../base/mod.ts";
import {
  type LoadedFacts,
  type LoadSettings,
  RUNNER_PROTOCOL_VERSION,
  type RunnerCommand,
  type RunnerReply,
  toWireError,
  vectorToBytes,
  type WorkerSettings,
} from "../../protocol/mod.ts";
import { killThisProcess } from "../../confinement/mod.ts";
import { encodeFrame, FrameReader } from "../frames.ts";
import { type AddressedEvent, Decoder } from "./decoder.ts";
import { Embedder } from "./embedder.ts";
import { type Llama, openLlama } from "../llama/mod.ts";
import { tokenizeEnds } from "./long_text.ts";
import { loadModel, type RunnerModel } from "./model.ts";
import { serveWorker } from "../sharding/mod.ts";

/** Progress is told in steps of a percent: llama.cpp reports each tensor. */
const PROGRESS_STEP = 0.01;

/** Where a runner is. */
export interface RunnerPlace {
  /** With llama.cpp's libraries. */
  readonly nativeFolder: string;
  /** With those that odist builds itself; "" = there are none. */
  readonly ownNativeFolder: string;
  /** What confines this process, such as `landlock:7+seccomp`. */
  readonly confinement: string;
}

/** Everything a loaded runner answers with: a decoder or an embedder, as it was loaded; a worker with neither. */
interface Loaded {
  readonly model?: RunnerModel;
  readonly decoder?: Decoder;
  readonly embedder?: Embedder;
}

/**
 * Serves one node over standard input and output, and ends the process when its input closes.
 *
 * @param place Where llama.cpp's libraries lie, and what confines this process.
 */
export async function runRunner(place: RunnerPlace): Promise<never> {
  leaveStoppingToTheNode();
  try {
    await serve(place);
    // An orderly exit would take llama.cpp apart under a batch that another thread still decodes, which crashes now and
    // then. Nobody is left to read an exit code.
    return killThisProcess();
  } catch (error) {
    die(error);
  }
}

/**
 * Terminals and service managers signal every process of a group. The node drains its answers first and then closes
 * this one's input; a runner that obeyed the signal itself would cut them.
 */
function leaveStoppingToTheNode(): void {
  Deno.addSignalListener("SIGINT", () => {});
  if (Deno.build.os !== "windows") Deno.addSignalListener("SIGTERM", () => {});
}

/** The node keeps the end of standard error as the reason. */
function die(error: unknown): never {
  console.error(error);
  Deno.exit(1);
}

/** Returns when the input closes. */
async function serve(place: RunnerPlace): Promise<void> {
  const reader = new FrameReader();
  const chunk = new Uint8Array(64 * 1024);
  let loaded: Loaded | undefined;
  for (;;) {
    const count = await Deno.stdin.read(chunk);
    if (count === null) return;
    for (const value of reader.push(chunk.subarray(0, count))) {
      // Both ends come from one build and the version is checked on load, so that the cast holds.
      const command = value as RunnerCommand;
      if (command.kind === "load") {
        refuseOtherVersion(command.version);
        loading(command.settings, place).then((result) => {
          loaded = result;
          return loaded?.decoder?.run();
        }).catch(die);
      } else if (command.kind === "ping") {
        send({ kind: "pong" });
      } else if (loaded === undefined) {
        throw new PeerError(
          "malformed_frame",
          `A ${command.kind} came before the model was loaded`,
        );
      } else {
        obey(loaded, command);
      }
    }
  }
}

/** undefined when the load failed, which the node has then been told. */
async function loading(
  settings: LoadSettings,
  place: RunnerPlace,
): Promise<Loaded | undefined> {
  // That it begins is told, too: what was asked before that is answered.
  let told = -PROGRESS_STEP;
  try {
    const llama = openLlama(place.nativeFolder);
    const { confinement, ownNativeFolder } = place;
    const { worker, threads } = settings;
    if (worker !== undefined) {
      send({ kind: "loaded", facts: workerFacts(llama, worker), confinement });
      serveWorker(llama, ownNativeFolder, { ...worker, threads }).catch(die);
      return {};
    }
    const onProgress = (fraction: number) => {
      if (fraction < Math.min(1, told + PROGRESS_STEP)) return;
      told = fraction;
      send({ kind: "load_progress", fraction });
    };
    const model = await loadModel(llama, settings, { onProgress, ownNativeFolder });
    const proof = model.proof === undefined ? {} : { proof: model.proof };
    const cellsKey = cellsKeyOf(model);
    const keeping = cellsKey === undefined ? {} : { cellsKey };
    send({ kind: "loaded", facts: model.facts, confinement, ...keeping, ...proof });
    if (settings.mode === "embed") return { model, embedder: new Embedder(model) };
    const outside = cellsKey === undefined ? undefined : { key: cellsKey, send };
    const tell = (events: readonly AddressedEvent[]) => send({ kind: "events", events });
    return { model, decoder: new Decoder(model, tell, outside) };
  } catch (error) {
    send({ kind: "load_failed", message: errorMessage(error) });
    return undefined;
  }
}

/** What the cells of a model hold for; undefined = nobody may keep them. */
function cellsKeyOf({ settings, facts, memory }: RunnerModel): string | undefined {
  const { mode, shards, modelPath, adapterPaths, kvCacheType, flashAttention, slots } = settings;
  const isKept = (settings.cacheMemoryBytes ?? 0) > 0 && memory !== null;
  if (mode === "embed" || shards !== undefined || !isKept) return undefined;
  // Blobs are named by their digests.
  const files = [modelPath, ...adapterPaths].map((path) => path.replace(/^.*[/\\]/, ""));
  // An answer that isn't exact is no other for another number of threads.
  const numericClass = facts.exactness?.isExact === true
    ? facts.numericClass
    : facts.numericClass.replace(/\/threads=\d+/, "");
  const holdsFor = [files, numericClass, kvCacheType, flashAttention, slots];
  return createHash("sha256").update(JSON.stringify(holdsFor)).digest("hex").slice(0, 32);
}

function obey(loaded: Loaded, command: Exclude<RunnerCommand, { kind: "load" | "ping" }>): void {
  const { decoder, embedder } = loaded;
  try {
    switch (command.kind) {
      case "generate":
        can(decoder).submit(command.id, command.request, command.unreadTokensMax)
          ?.catch((error) => refuse(command.id, error)).catch(die);
        return;
      case "taken":
        return decoder?.taken(command.id, command.tokens);
      case "cells":
      case "cells_known":
      case "cells_keep":
      case "cells_asked":
      case "cells_moved":
        return decoder?.obey(command);
      case "cancel":
        decoder?.cancel(command.id);
        embedder?.cancel(command.id);
        return;
      case "embed":
        can(embedder).embed(command).then(
          ({ vectors, promptTokens }) => {
            const bytes = vectors.map(vectorToBytes);
            send({ kind: "embedded", id: command.id, vectors: bytes, promptTokens });
          },
          (error) => refuse(command.id, error),
        );
        return;
      case "tokenize": {
        const { text, addSpecial, tokensWanted } = command;
        const wanted = { first: tokensWanted ?? Infinity, last: 0 };
        const tokens = tokenizeEnds(
          text,
          wanted,
          (part) => can(loaded.model).vocabulary.tokenize(part, addSpecial),
        );
        return send({ kind: "tokenized", id: command.id, tokens });
      }
      case "detokenize": {
        const bytes = can(loaded.model).vocabulary.detokenize(command.tokens);
        return send({ kind: "detokenized", id: command.id, bytes });
      }
      default:
        assertNever(command);
    }
  } catch (error) {
    const { kind } = command;
    const isOfCells = kind === "cells" || kind === "cells_moved";
    if (!("id" in command) || isOfCells || kind === "cancel" || kind === "taken") {
      throw error;
    }
    refuse(command.id, error);
  }
}

/** A worker is no model: its one slot is for whoever computes with it. */
function workerFacts(
  { gpus }: Pick<Llama, "gpus">,
  { memoryBytes: hostMemoryBytes, device }: WorkerSettings,
): LoadedFacts {
  const gpu = gpus.find(({ name }) => name === device?.name);
  const { bytes = 0 } = device ?? {};
  return {
    contextTokens: 0,
    trainingContextTokens: 0,
    vocabularyTokens: 0,
    embeddingLength: 0,
    slots: 1,
    memoryBytes: hostMemoryBytes + bytes,
    deviceMemoryBytes: bytes,
    hostMemoryBytes,
    ...device && gpu && { devices: [{ ...device, freeBytes: gpu.memory().freeBytes }] },
    bosText: "",
    eosText: "",
    canShift: false,
    numericClass: "",
  };
}

function can<Part>(part: Part | undefined): Part {
  if (part !== undefined) return part;
  throw new RequestError(
    "unsupported_capability",
    "This runner was loaded either to generate or to embed, and is asked for the other",
  );
}

function refuse(id: number, error: unknown): void {
  if (!isEdgeError(error)) throw error;
  send({ kind: "failed", id, error: toWireError(error) });
}

function refuseOtherVersion(version: number): void {
  if (version === RUNNER_PROTOCOL_VERSION) return;
  throw new PeerError(
    "unknown_version",
    `This runner speaks version ${RUNNER_PROTOCOL_VERSION}, the node asks for ${version}`,
  );
}

/**
 * Written in place: a node that doesn't read stops its runner at a full pipe, which bounds what lies between them, and
 * an asynchronous write would cost a change of threads per batch.
 */
function send(reply: RunnerReply): void {
  const frame = encodeFrame(reply);
  let at = 0;
  while (at < frame.length) at += Deno.stdout.writeSync(frame.subarray(at));
}
