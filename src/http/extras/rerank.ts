import { invalidRequest } from "../../base/mod.ts";
import type { EmbedRequest } from "../../ports/mod.ts";
import { type Exchange, type HttpParts, requireModel } from "../exchange.ts";
import { checkFinite, nativeFailureAnswer } from "../ollama.ts";
import { loadSpanNs, spanNs } from "../ollama_lines.ts";
import { openAiFailureAnswer } from "../openai/mod.ts";
import { type ApiFamily, routesFor } from "../routes.ts";
import {
  defined,
  Fields,
  jsonAnswer,
  parseEmbedTexts,
  parseKeepAlive,
  parseOptions,
  plainJsonAnswer,
} from "../wire/mod.ts";

interface RankedDocument {
  readonly index: number;
  readonly score: number;
  readonly text: string;
}

/** What is asked, and how the answer is to look. */
interface RankOrder {
  readonly request: EmbedRequest & { readonly query: string };
  readonly wanted: number;
  readonly returnsDocuments: boolean;
}

/** Ranking in the native API's words, and as the clients of hosted rerankers send it. */
export function rerankFamilies(parts: HttpParts): readonly ApiFamily[] {
  return [
    {
      name: "rerank",
      failureAnswer: nativeFailureAnswer,
      routes: routesFor("use", { "POST /api/rerank": (it) => native(parts, it) }),
    },
    {
      name: "openai_rerank",
      failureAnswer: openAiFailureAnswer,
      routes: routesFor("use", { "POST /v1/rerank": (it) => openAi(parts, it) }),
    },
  ];
}

async function native(parts: HttpParts, exchange: Exchange): Promise<Response> {
  const { order, ranked, answer } = await rank(parts, exchange);
  return jsonAnswer({
    model: order.request.model,
    results: ranked.map((document) => resultRow(document, order)),
    total_duration: spanNs(answer.totalNs),
    load_duration: loadSpanNs(answer.loadNs),
    prompt_eval_count: answer.promptEvalCount,
  });
}

async function openAi(parts: HttpParts, exchange: Exchange): Promise<Response> {
  const { order, ranked, answer } = await rank(parts, exchange);
  const { promptEvalCount } = answer;
  return plainJsonAnswer({
    object: "list",
    model: order.request.model,
    results: ranked.map((document) => resultRow(document, order)),
    usage: { prompt_tokens: promptEvalCount, total_tokens: promptEvalCount },
  });
}

/** Best first. */
async function rank(parts: HttpParts, exchange: Exchange) {
  const fields = await exchange.readFields({ zstd: false });
  exchange.checkAdmitting();
  const order = parseRank(fields);
  const { request, wanted } = order;
  const answer = await parts.client.embed(exchange.labelled(request), exchange.signal);
  exchange.noteServing(answer);
  exchange.countTokens({ promptEvalCount: answer.promptEvalCount, evalCount: 0 });
  checkFinite(answer.vectors);
  const ranked = answer.vectors
    .map(([score = 0], index) => ({ index, score, text: request.inputs[index] ?? "" }))
    .sort((a, b) => b.score - a.score || a.index - b.index)
    .slice(0, wanted);
  return { order, ranked, answer };
}

function parseRank(fields: Fields): RankOrder {
  const model = requireModel(fields);
  const query = fields.string("query") ?? "";
  if (query === "") throw invalidRequest("query is required");
  const inputs = parseDocuments(fields);
  const wanted = fields.integer("top_n") ?? inputs.length;
  if (wanted < 0) {
    throw invalidRequest(`top_n must be 0 or more: current value is ${wanted}`);
  }
  const request = defined({
    model,
    query,
    inputs,
    truncate: fields.boolean("truncate") ?? true,
    keepAliveMs: parseKeepAlive(fields.raw("keep_alive")),
    options: parseOptions(fields.object("options")),
  });
  return { request, wanted, returnsDocuments: fields.boolean("return_documents") ?? false };
}

/** Texts, or objects with a text as some clients send them. */
function parseDocuments(fields: Fields): readonly string[] {
  const sent = fields.list("documents") ?? fields.list("texts");
  if (sent === undefined) throw invalidRequest("documents is required");
  const texts = sent.map((document, index) =>
    typeof document === "string"
      ? document
      : new Fields(document, `documents[${index}]`).string("text") ?? ""
  );
  return parseEmbedTexts(texts) ?? [];
}

/** A float32 needs nine digits at most. */
function resultRow({ index, score, text }: RankedDocument, order: RankOrder): object {
  const document = order.returnsDocuments ? { document: { text } } : {};
  return { index, relevance_score: Number(score.toPrecision(9)), ...document };
}
