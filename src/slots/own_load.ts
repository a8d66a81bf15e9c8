import { BoundedMap, sha256Hex } from "../base/mod.ts";
import { PrefixBook, type PromptTrace, traceOf } from "../core/answers/mod.ts";
import { type Catalogue, SpeedAverage } from "../core/catalogue/mod.ts";
import type { Clock, Engine, LoadedModel } from "../ports/mod.ts";
import {
  type ComputedPrefixes,
  type DeviceFacts,
  type ExactCopy,
  type LoadedCopy,
  type LoadSettings,
  type ManifestPrefix,
  manifestPrefixOf,
  MODEL_SPEEDS_MAX,
  type ModelSpeed,
  type NodeLoad,
  type NodeSplit,
  NUMERIC_CLASS_CHARS,
  parseModelName,
  PREFIX_MARKS_MAX,
  type SequenceEvent,
  type SequenceRequest,
} from "../protocol/mod.ts";
import { modelKeyOf } from "./lease.ts";
import type { DeviceRooms } from "./device_rooms.ts";
import type { SchedulerDriver } from "./scheduler_driver.ts";

/** What this node's own load is read from. */
export interface OwnLoadParts {
  readonly driver: Pick<
    SchedulerDriver,
    "view" | "findModel" | "availableBytes" | "reclaimableBytes"
  >;
  readonly devices: Pick<DeviceRooms, "told">;
  readonly speed: Pick<
    SpeedMeter,
    "decodeTokensPerMinute" | "prefillTokensPerMinute" | "of" | "bytesPerMs" | "computed"
  >;
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
  readonly readSpeeds: () => readonly ModelSpeed[];
  readonly readPrefixes: () => readonly ComputedPrefixes[];
} {
  // Told on when they are unloaded: that is when others ask which node would be the fastest.
  const seen = new BoundedMap<ManifestPrefix, ModelSpeed>(MODEL_SPEEDS_MAX);
  const keys = new BoundedMap<ManifestPrefix, string>(MODEL_SPEEDS_MAX);
  return {
    readPrefixes() {
      for (const { manifest, modelKey } of readyModels(parts)) keys.set(manifest, modelKey);
      return [...keys].toReversed().map(([manifest, modelKey]) => {
        return { manifest, marks: parts.speed.computed(modelKey).marks(PREFIX_MARKS_MAX) };
      });
    },
    readSpeeds() {
      for (const { manifest, modelKey } of readyModels(parts)) {
        seen.set(manifest, { manifest, ...parts.speed.of(modelKey) });
      }
      return [...seen.values()];
    },
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

/** Loaded ones that others can ask for: not what was deleted while it was loaded. */
function readyModels({ driver, catalogue }: OwnLoadParts) {
  return driver.view().instances.flatMap((instance) => {
    const name = parseModelName(instance.displayName);
    const model = name && catalogue().findModel(name);
    if (instance.state !== "ready" || model === undefined) return [];
    return [{ ...instance, manifest: manifestPrefixOf(model.manifestDigest) }];
  });
}

function readLoaded(parts: OwnLoadParts): readonly LoadedCopy[] {
  const { driver, clock } = parts;
  const nowMs = clock.monotonicMs();
  return readyModels(parts).map((instance): LoadedCopy => {
    const idleMs = (instance.expiresAtMs ?? nowMs + instance.keepAliveMs) - nowMs;
    return {
      manifest: instance.manifest,
      name: instance.displayName,
      sizeBytes: instance.memoryBytes,
      vramBytes: driver.findModel(instance.instanceId)?.facts.deviceMemoryBytes ?? 0,
      contextLength: instance.contextTokens,
      expiresAtMs: Number.isFinite(idleMs) ? Math.max(1, Math.round(clock.nowMs() + idleMs)) : 0,
      slots: instance.slots,
      runningRequests: instance.running,
    };
  });
}

function readSplit({ driver, catalogue, speed }: OwnLoadParts): NodeSplit {
  const models = driver.view().instances.flatMap(({ instanceId, displayName }) => {
    const split = driver.findModel(instanceId)?.split;
    const name = parseModelName(displayName);
    const model = name && catalogue().findModel(name);
    if (split === undefined || model === undefined) return [];
    return [{ manifest: manifestPrefixOf(model.manifestDigest), shards: split.shards }];
  });
  const roomBytes = Math.max(0, driver.reclaimableBytes());
  return { roomBytes, bytesPerMs: speed.bytesPerMs, models };
}

const NS_PER_MS = 1e6;
const MS_PER_MINUTE = 60_000;

/** Models whose speed is kept; those that were not used for longest go. */
const METERED_MODELS_MAX = 256;

/** How fast this node's answers come: of all models, and of each. And what of texts it has computed with each. */
export class SpeedMeter {
  readonly #all = new ModelMeter();
  readonly #models = new BoundedMap<string, ModelMeter>(METERED_MODELS_MAX);

  get decodeTokensPerMinute(): number {
    return this.#all.decode.tokensPerMinute;
  }

  get prefillTokensPerMinute(): number {
    return this.#all.prefill.tokensPerMinute;
  }

  /** Weights read a millisecond while tokens are computed one by one, of the fastest model; 0 where nothing was measured. */
  get bytesPerMs(): number {
    let fastest = 0;
    for (const { decode, tokenBytes } of this.#models.values()) {
      fastest = Math.max(fastest, decode.tokensPerMinute * tokenBytes / MS_PER_MINUTE);
    }
    return Math.round(fastest);
  }

  /** Of one model, by its key; zeros where nothing was measured. */
  of(modelKey: string): Omit<ModelSpeed, "manifest"> {
    const { decode, prefill, loadMs = 0 } = this.#models.get(modelKey) ?? {};
    return {
      decodeTokensPerMinute: decode?.tokensPerMinute ?? 0,
      prefillTokensPerMinute: prefill?.tokensPerMinute ?? 0,
      loadMs,
    };
  }

  /** All that was measured, for choosing a node. */
  figures() {
    const { decodeTokensPerMinute, prefillTokensPerMinute } = this;
    return {
      ...{ decodeTokensPerMinute, prefillTokensPerMinute },
      speedOf: (modelKey: string) => this.of(modelKey),
      computedChars: (modelKey: string, trace: PromptTrace) =>
        this.computed(modelKey).computedChars(trace),
    };
  }

  /** What texts were computed with one model, by its key, and may be reused. */
  computed(modelKey: string): PrefixBook {
    return this.#meter(modelKey).computed;
  }

  /** What one model computed is gone. */
  forgetComputed(modelKey: string): void {
    this.#meter(modelKey).computed = new PrefixBook();
  }

  noteLoad(modelKey: string, loadMs: number): void {
    this.#meter(modelKey).loadMs = Math.round(loadMs);
  }

  /** What one token reads of a model that is computed on this node's cores alone. */
  noteTokenBytes(modelKey: string, tokenBytes: number): void {
    this.#meter(modelKey).tokenBytes = tokenBytes;
  }

  noteDecode(modelKey: string, tokens: number, spanNs: number): void {
    for (const { decode } of this.#meters(modelKey)) decode.add(tokens, spanNs / NS_PER_MS);
  }

  notePrefill(modelKey: string, tokens: number, spanNs: number): void {
    for (const { prefill } of this.#meters(modelKey)) prefill.add(tokens, spanNs / NS_PER_MS);
  }

  #meters(modelKey: string): readonly ModelMeter[] {
    return [this.#all, this.#meter(modelKey)];
  }

  #meter(modelKey: string): ModelMeter {
    const known = this.#models.get(modelKey);
    if (known !== undefined) return known;
    const meter = new ModelMeter();
    this.#models.set(modelKey, meter);
    return meter;
  }
}

class ModelMeter {
  readonly decode = new SpeedAverage();
  readonly prefill = new SpeedAverage();
  loadMs = 0;
  /** 0 = not known, or not of the cores. */
  tokenBytes = 0;
  computed = new PrefixBook();
}

/** The engine, with every load's and answer's speed told to the meter. */
export function meteredEngine(
  engine: Engine,
  meter: SpeedMeter,
  by: {
    readonly clock: Pick<Clock, "monotonicMs">;
    /** Whether what a runner computed outlives it. */
    readonly keepsOnDisk?: boolean;
    readonly tokenBytesOf?: ((settings: LoadSettings) => Promise<number | undefined>) | undefined;
  },
): Engine {
  return {
    async load(settings, options) {
      const { clock } = by;
      const startedMs = clock.monotonicMs();
      const reading = by.tokenBytesOf?.(settings);
      const model = await engine.load(settings, options);
      const modelKey = modelKeyOf(settings, settings.mode);
      meter.noteLoad(modelKey, clock.monotonicMs() - startedMs);
      // A runner that is unloaded hands over what it computed; one that dies takes it along.
      void model.exited.then(({ expected }) => {
        if (!expected || by.keepsOnDisk !== true) meter.forgetComputed(modelKey);
      });
      const isOwn = model.split === undefined && model.facts.deviceMemoryBytes === 0;
      meter.noteTokenBytes(modelKey, isOwn ? await reading ?? 0 : 0);
      return meteredModel(model, { meter, modelKey });
    },
  };
}

/** What is told the speed, and of which model it is. */
interface Metering {
  readonly meter: SpeedMeter;
  readonly modelKey: string;
}

function meteredModel(model: LoadedModel, by: Metering): LoadedModel {
  return {
    facts: model.facts,
    processId: model.processId,
    ...model.split && { split: model.split },
    ...model.isToMove && { isToMove: model.isToMove },
    exited: model.exited,
    generate: (request, signal) => metered(model.generate(request, signal), { ...by, request }),
    embed: (inputs, options) => model.embed(inputs, options),
    tokenize: (text, options) => model.tokenize(text, options),
    detokenize: (tokens) => model.detokenize(tokens),
    unload: () => model.unload(),
  };
}

/** Not a generator: each one between the runner and the reader would cost every token a turn. */
function metered(
  events: AsyncIterable<SequenceEvent>,
  { meter, modelKey, request }: Metering & { readonly request: SequenceRequest },
): AsyncIterable<SequenceEvent> {
  return {
    [Symbol.asyncIterator]() {
      const inner = events[Symbol.asyncIterator]();
      let promptTokens = 0;
      let answerTokens = 0;
      const text = new ComputedText(request, () => meter.computed(modelKey));
      const note = (event: SequenceEvent) => {
        text.note(event);
        if (event.kind === "started") promptTokens = event.promptTokens.length - event.cachedTokens;
        if (event.kind === "tokens") answerTokens += event.tokens.length;
        if (event.kind !== "finished") return;
        meter.notePrefill(modelKey, promptTokens, event.prefillNs);
        meter.noteDecode(modelKey, answerTokens, event.decodeNs);
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

/** The text of one prompt and its answer, as the next turn of the conversation will begin. */
class ComputedText {
  readonly #book: () => PrefixBook;
  readonly #decoder = new TextDecoder();
  /** Undefined where it isn't known: tokens without their text, or images. */
  #text: string | undefined;

  constructor(request: SequenceRequest, book: () => PrefixBook) {
    const { prompt, images = [] } = request;
    this.#book = book;
    const isText = prompt.kind === "text" && prompt.tokensBefore === undefined;
    this.#text = isText && images.length === 0 ? prompt.text : undefined;
  }

  note(event: SequenceEvent): void {
    if (this.#text === undefined) return;
    if (event.kind === "started") return this.#begin(this.#text, event);
    if (event.kind === "finished") return this.#book().note(traceOf(this.#text));
    for (const { bytes } of event.tokens) {
      this.#text += this.#decoder.decode(bytes, { stream: true });
    }
  }

  /** The runner says how much of the prompt it had: characters of tokens, about. */
  #begin(text: string, started: Extract<SequenceEvent, { kind: "started" }>): void {
    const { promptTokens, cachedTokens, prefix } = started;
    const trace = traceOf(text);
    const chars = (cachedTokens + 1) * text.length / Math.max(1, promptTokens.length);
    if (prefix !== undefined) this.#book().correct(trace, chars);
    this.#book().note(trace);
  }
}
