import { extraFamilies } from "./extras/mod.ts";
import type { ApiFamily } from "./routes.ts";
import type { RunningRequests } from "./running_requests.ts";
import { anthropicFamily } from "./anthropic/mod.ts";
import { clusterFamily } from "./cluster.ts";
import type { HttpParts } from "./exchange.ts";
import { ollamaFamily } from "./ollama.ts";
import { ollamaModelsFamily } from "./ollama_models.ts";
import { openAiFamily } from "./openai/mod.ts";
import { openApiFamily } from "./openapi/mod.ts";
import { operationsFamily } from "./operations.ts";
import { pageFamily } from "./page/mod.ts";
import { requestsFamily } from "./requests/mod.ts";
import { responsesFamily } from "./responses/mod.ts";

/** What the endpoints share of the app. */
interface AppState {
  readonly admitting: () => boolean;
  readonly running: RunningRequests;
}

/** Every endpoint there is: its method, its path, what it wants of its caller, and who answers it. */
export function apiFamilies(parts: HttpParts, state: AppState): readonly ApiFamily[] {
  const described = (over: HttpParts) => describedFamilies(over, state);
  const page = parts.page === undefined ? [] : [pageFamily(parts)];
  return [...described(parts), openApiFamily(parts, described), ...page];
}

function describedFamilies(parts: HttpParts, state: AppState): readonly ApiFamily[] {
  return [
    operationsFamily(parts, state.admitting),
    ollamaFamily(parts),
    ollamaModelsFamily(parts),
    ...extraFamilies(parts, state.running),
    requestsFamily(parts, state.running),
    openAiFamily(parts),
    responsesFamily(parts),
    anthropicFamily(parts),
    ...(parts.admin === undefined ? [] : [clusterFamily(parts.admin)]),
  ];
}
