/**
 * What is answered beside Ollama's contract and the APIs of others: tokens, ranks, going on by id, cancelling by
 * id, and that there is no hosted service.
 *
 * @module
 */
import type { HttpParts } from "../exchange.ts";
import type { ApiFamily } from "../routes.ts";
import type { RunningRequests } from "../running_requests.ts";
import { answersFamily } from "./answers.ts";
import { cancelFamily } from "./cancel.ts";
import { hostedFamily } from "./hosted.ts";
import { rerankFamilies } from "./rerank.ts";
import { vocabularyFamily } from "./vocabulary.ts";

/** All of them. */
export function extraFamilies(parts: HttpParts, running: RunningRequests): readonly ApiFamily[] {
  return [
    vocabularyFamily(parts),
    ...rerankFamilies(parts),
    answersFamily(parts),
    cancelFamily(parts, running),
    hostedFamily(),
  ];
}
