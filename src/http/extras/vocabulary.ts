import { invalidRequest } from "../../base/mod.ts";
import type { VocabularyFigures } from "../../ports/mod.ts";
import { type Exchange, type HttpParts, requireModel } from "../exchange.ts";
import { nativeFailureAnswer } from "../ollama.ts";
import { loadSpanNs, spanNs } from "../ollama_lines.ts";
import { type ApiFamily, routesFor } from "../routes.ts";
import { defined, type Fields, jsonAnswer, parseKeepAlive, parseOptions } from "../wire/mod.ts";

/** Text to tokens of a model, and back: what clients count with. */
export function vocabularyFamily(parts: HttpParts): ApiFamily {
  return {
    name: "vocabulary",
    failureAnswer: nativeFailureAnswer,
    routes: routesFor("use", {
      "POST /api/tokenize": (exchange) => tokenize(parts, exchange),
      "POST /api/detokenize": (exchange) => detokenize(parts, exchange),
    }),
  };
}

async function tokenize(parts: HttpParts, exchange: Exchange): Promise<Response> {
  const fields = await exchange.readFields();
  exchange.checkAdmitting();
  const request = {
    ...parseShared(fields),
    text: fields.string("content") ?? missing("content"),
    addSpecial: fields.boolean("add_special") ?? false,
  };
  const answer = await parts.client.tokenize(exchange.labelled(request), exchange.signal);
  exchange.noteServing(answer);
  const { tokens } = answer;
  return jsonAnswer({ model: request.model, tokens, ...spans(answer) });
}

async function detokenize(parts: HttpParts, exchange: Exchange): Promise<Response> {
  const fields = await exchange.readFields();
  exchange.checkAdmitting();
  const request = {
    ...parseShared(fields),
    tokens: fields.integers("tokens") ?? missing("tokens"),
  };
  const answer = await parts.client.detokenize(exchange.labelled(request), exchange.signal);
  exchange.noteServing(answer);
  return jsonAnswer({ model: request.model, content: answer.text, ...spans(answer) });
}

function parseShared(fields: Fields) {
  return defined({
    model: requireModel(fields),
    keepAliveMs: parseKeepAlive(fields.raw("keep_alive")),
    options: parseOptions(fields.object("options")),
  });
}

function spans({ totalNs, loadNs }: VocabularyFigures) {
  return { total_duration: spanNs(totalNs), load_duration: loadSpanNs(loadNs) };
}

function missing(field: string): never {
  throw invalidRequest(`${field} is required`);
}
