import type { AnswerChunk } from "../ports/mod.ts";
import type { Exchange } from "./exchange.ts";
import type { Failure } from "./wire/mod.ts";

export type TextChunk = Extract<AnswerChunk, { kind: "text" }>;
export type DoneChunk = Extract<AnswerChunk, { kind: "done" }>;

/** How one endpoint words a generated answer: streamed piece by piece, or gathered into one object. Serves one answer. */
export interface AnswerShape {
  readonly contentType: string;
  /** Says nothing but that the stream lives; where the protocol has such. */
  readonly beat?: string;
  /** One or more whole lines or events. */
  encode(chunk: AnswerChunk): string;
  /** What ends a stream that failed after its first byte. */
  encodeFailure(failure: Failure): string;
  /** Keeps a chunk for {@link whole}. */
  gather(chunk: TextChunk): void;
  /** The answer that is not streamed. */
  wholeAnswer(value: unknown): Response;
  whole(done: Pick<DoneChunk, "doneReason" | "metrics" | "context" | "stopString">): unknown;
}

/** Answers with generated chunks, streamed or whole, and measures them. */
export async function answerChunks(
  chunks: AsyncIterable<AnswerChunk>,
  parts: { readonly exchange: Exchange; readonly shape: AnswerShape; readonly stream: boolean },
): Promise<Response> {
  const { exchange, shape } = parts;
  if (!parts.stream) return shape.wholeAnswer(await collect(chunks, exchange, shape));
  let first = true;
  return await exchange.stream(chunks, {
    contentType: shape.contentType,
    encode: (chunk) => {
      if (first) exchange.markFirstOutput();
      first = false;
      if (chunk.kind === "done") exchange.countTokens(chunk.metrics);
      return shape.encode(chunk);
    },
    encodeFailure: (error) => shape.encodeFailure(exchange.describe(error)),
  });
}

async function collect(
  chunks: AsyncIterable<AnswerChunk>,
  exchange: Exchange,
  shape: AnswerShape,
): Promise<unknown> {
  for await (const chunk of chunks) {
    await exchange.noteChunk(chunk);
    if (chunk.kind === "text") {
      shape.gather(chunk);
    } else {
      exchange.countTokens(chunk.metrics);
      return shape.whole(chunk);
    }
  }
  throw new Error("The answer ended without its done chunk");
}
