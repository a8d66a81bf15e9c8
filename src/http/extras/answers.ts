import { invalidRequest, RequestError } from "../../base/mod.ts";
import type { Exchange, HttpParts } from "../exchange.ts";
import { nativeFailureAnswer } from "../ollama.ts";
import { type ApiFamily, routesFor } from "../routes.ts";
import { followedAnswer } from "../resuming/mod.ts";

/** `GET /api/answers/ID`: the rest of an answer, for whoever asked for it, whichever node he asked. */
export function answersFamily({ journals }: HttpParts): ApiFamily {
  return {
    name: "answers",
    failureAnswer: nativeFailureAnswer,
    routes: routesFor("use", {
      "GET /api/answers/:id": async (exchange) => {
        const id = exchange.params["id"] ?? "";
        const offset = offsetOf(exchange);
        const owner = await exchange.owner();
        const followed = await journals?.follow({ id, owner, offset }, exchange.signal);
        if (followed === undefined) throw notFound(id);
        return followedAnswer(exchange, followed, id);
      },
    }),
  };
}

function offsetOf(exchange: Exchange): number {
  const text = exchange.query("offset") ?? "0";
  const offset = /^\d{1,15}$/.test(text) ? Number(text) : NaN;
  if (Number.isSafeInteger(offset)) return offset;
  throw invalidRequest(`offset: wants a number of bytes, got "${text}"`);
}

function notFound(id: string): RequestError {
  const text = `no answer of yours with the id ${
    JSON.stringify(id)
  } is kept on any node that answers`;
  return new RequestError("invalid_request", text, { status: 404 });
}
