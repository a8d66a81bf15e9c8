import { SpeedAverage } from "../../core/catalogue/mod.ts";
import type { Engine, LoadedModel } from "../../ports/mod.ts";
import type { SequenceEvent } from "../../protocol/mod.ts";

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
