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

async function* metered(
  events: AsyncIterable<SequenceEvent>,
  meter: SpeedMeter,
): AsyncGenerator<SequenceEvent> {
  let promptTokens = 0;
  let answerTokens = 0;
  for await (const event of events) {
    if (event.kind === "started") promptTokens = event.promptTokens.length - event.cachedTokens;
    if (event.kind === "tokens") answerTokens += event.tokens.length;
    if (event.kind === "finished") {
      meter.notePrefill(promptTokens, event.prefillNs);
      meter.noteDecode(answerTokens, event.decodeNs);
    }
    yield event;
  }
}
