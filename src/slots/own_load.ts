import { sha256Hex } from "../base/mod.ts";
import { type Catalogue, SpeedAverage } from "../core/catalogue/mod.ts";
import type { Clock, Engine, LoadedModel } from "../ports/mod.ts";
import {
  type DeviceFacts,
  type ExactCopy,
  type LoadedCopy,
  manifestPrefixOf,
  type NodeLoad,
  type NodeSplit,
  NUMERIC_CLASS_CHARS,
  parseModelName,
  type SequenceEvent,
} from "../protocol/mod.ts";
import type { DeviceRooms } from "./device_rooms.ts";
import type { SchedulerDriver } from "./scheduler_driver.ts";

/** What this node's own load is read from. */
export interface OwnLoadParts {
  readonly driver: Pick<
    SchedulerDriver,
    "view" | "findModel" | "availableBytes" | "reclaimableBytes"
  >;
  readonly devices: Pick<DeviceRooms, "told">;
  readonly speed: {
    readonly decodeTokensPerMinute: number;
    readonly prefillTokensPerMinute: number;
  };
  readonly catalogue: () => Catalogue;
  readonly clock: Clock;
}

/** What a node tells the others of itself. */
export function ownFigures(parts: OwnLoadParts): {
  readonly readLoad: () => NodeLoad;
  readonly readLoaded: () => readonly LoadedCopy[];
  readonly readExact: () => readonly ExactCopy[];
  readonly readDevices: () => readonly DeviceFacts[];
  readonly readSplit: () => NodeSplit;
} {
  return {
    readLoad: () => readLoad(parts),
    readLoaded: () => readLoaded(parts),
    readExact: () => readExact(parts),
    readDevices: () => parts.devices.told(parts.driver.view().instances),
    readSplit: () => readSplit(parts),
  };
}

function readLoad({ driver, speed }: OwnLoadParts): NodeLoad {
  const { instances, running, waiting } = driver.view();
  const ready = instances.filter(({ state }) => state === "ready");
  const slots = ready.reduce((sum, instance) => sum + instance.slots, 0);
  const busy = ready.reduce((sum, instance) => sum + instance.running, 0);
  return {
    runningRequests: running,
    waitingRequests: waiting,
    slots,
    freeSlots: Math.max(0, slots - busy),
    decodeTokensPerMinute: speed.decodeTokensPerMinute,
    prefillTokensPerMinute: speed.prefillTokensPerMinute,
    availableBytes: driver.availableBytes(),
  };
}

function readExact({ driver, catalogue }: OwnLoadParts): readonly ExactCopy[] {
  return driver.view().instances.flatMap((instance): ExactCopy[] => {
    const facts = driver.findModel(instance.instanceId)?.facts;
    const name = parseModelName(instance.displayName);
    const model = name && catalogue().findModel(name);
    if (model === undefined || facts?.exactness?.isExact !== true) return [];
    const manifest = manifestPrefixOf(model.manifestDigest);
    return [{ manifest, numericClass: toldClass(facts.numericClass) }];
  });
}

/** A numeric class as nodes tell it each other. */
export function toldClass(numericClass: string): string {
  return sha256Hex(new TextEncoder().encode(numericClass)).slice(0, NUMERIC_CLASS_CHARS);
}

function readLoaded({ driver, catalogue, clock }: OwnLoadParts): readonly LoadedCopy[] {
  return driver.view().instances.flatMap((instance): LoadedCopy[] => {
    if (instance.state !== "ready") return [];
    const name = parseModelName(instance.displayName);
    const model = name && catalogue().findModel(name);
    // Deleted while loaded: others can't ask for it any more.
    if (model === undefined) return [];
    const nowMs = clock.monotonicMs();
    const idleMs = (instance.expiresAtMs ?? nowMs + instance.keepAliveMs) - nowMs;
    return [{
      manifest: manifestPrefixOf(model.manifestDigest),
      name: instance.displayName,
      sizeBytes: instance.memoryBytes,
      vramBytes: driver.findModel(instance.instanceId)?.facts.deviceMemoryBytes ?? 0,
      contextLength: instance.contextTokens,
      expiresAtMs: Number.isFinite(idleMs) ? Math.max(1, Math.round(clock.nowMs() + idleMs)) : 0,
      slots: instance.slots,
      runningRequests: instance.running,
    }];
  });
}

function readSplit({ driver, catalogue }: OwnLoadParts): NodeSplit {
  const models = driver.view().instances.flatMap(({ instanceId, displayName }) => {
    const split = driver.findModel(instanceId)?.split;
    const name = parseModelName(displayName);
    const model = name && catalogue().findModel(name);
    if (split === undefined || model === undefined) return [];
    return [{ manifest: manifestPrefixOf(model.manifestDigest), shards: split.shards }];
  });
  return { roomBytes: Math.max(0, driver.reclaimableBytes()), models };
}

const NS_PER_MS = 1e6;

/** How fast this node's answers come. */
export class SpeedMeter {
  readonly #decode = new SpeedAverage();
  readonly #prefill = new SpeedAverage();

  get decodeTokensPerMinute(): number {
    return this.#decode.tokensPerMinute;
  }

  get prefillTokensPerMinute(): number {
    return this.#prefill.tokensPerMinute;
  }

  noteDecode(tokens: number, spanNs: number): void {
    this.#decode.add(tokens, spanNs / NS_PER_MS);
  }

  notePrefill(tokens: number, spanNs: number): void {
    this.#prefill.add(tokens, spanNs / NS_PER_MS);
  }
}

/** The engine, with every answer's speed told to the meter. */
export function meteredEngine(engine: Engine, meter: SpeedMeter): Engine {
  return {
    load: async (settings, options) => meteredModel(await engine.load(settings, options), meter),
  };
}

function meteredModel(model: LoadedModel, meter: SpeedMeter): LoadedModel {
  return {
    facts: model.facts,
    processId: model.processId,
    ...model.split && { split: model.split },
    exited: model.exited,
    generate: (request, signal) => metered(model.generate(request, signal), meter),
    embed: (inputs, options) => model.embed(inputs, options),
    tokenize: (text, options) => model.tokenize(text, options),
    detokenize: (tokens) => model.detokenize(tokens),
    unload: () => model.unload(),
  };
}

/** Not a generator: each one between the runner and the reader would cost every token a turn. */
function metered(
  events: AsyncIterable<SequenceEvent>,
  meter: SpeedMeter,
): AsyncIterable<SequenceEvent> {
  return {
    [Symbol.asyncIterator]() {
      const inner = events[Symbol.asyncIterator]();
      let promptTokens = 0;
      let answerTokens = 0;
      const note = (event: SequenceEvent) => {
        if (event.kind === "started") promptTokens = event.promptTokens.length - event.cachedTokens;
        if (event.kind === "tokens") answerTokens += event.tokens.length;
        if (event.kind !== "finished") return;
        meter.notePrefill(promptTokens, event.prefillNs);
        meter.noteDecode(answerTokens, event.decodeNs);
      };
      return {
        next: async () => {
          const result = await inner.next();
          if (result.done !== true) note(result.value);
          return result;
        },
        return: async () => await inner.return?.() ?? { value: undefined, done: true },
      };
    },
  };
}
