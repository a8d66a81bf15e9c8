import { invalidRequest, RequestError } from "../../base/mod.ts";
import type { HttpParts } from "../exchange.ts";
import { nativeFailureAnswer } from "../ollama.ts";
import { type ApiFamily, routesFor } from "../routes.ts";
import type { RunningRequests } from "../running_requests.ts";
import { jsonAnswer } from "../wire/mod.ts";

/** `POST /api/cancel`: for clients that can't close the connection of their request. */
export function cancelFamily({ elsewhere }: HttpParts, running: RunningRequests): ApiFamily {
  elsewhere?.attend({ cancelRequest: (id, by) => running.cancel(id, by) });
  return {
    name: "cancel",
    failureAnswer: nativeFailureAnswer,
    routes: routesFor("use", {
      "POST /api/cancel": async (exchange) => {
        const fields = await exchange.readFields();
        const requestId = fields.string("request_id") || fields.string("id");
        if (requestId === undefined || requestId === "") {
          const text = "request_id is required: the X-Request-Id of the answer to end";
          throw invalidRequest(text);
        }
        const here = running.cancel(requestId, exchange, exchange);
        const canceled = here ||
          await elsewhere?.cancelRequest(requestId, exchange.askerAnywhere) || 0;
        if (canceled > 0) return jsonAnswer({ canceled });
        const text = `no request of yours with the id ${
          JSON.stringify(requestId)
        } runs on any node that answers`;
        throw new RequestError("invalid_request", text, { status: 404 });
      },
    }),
  };
}
