import type { NodeId } from "../../base/mod.ts";

/** What of a candidate decides whether it is looked at closely. */
interface Samplable {
  readonly nodeId: NodeId;
  readonly isSelf: boolean;
  readonly health: "alive" | "suspect" | "down" | "asleep";
  readonly wakeMs?: number | undefined;
  readonly drained: boolean;
  readonly load: { readonly state: "loaded" | "loading" | "cold" } | undefined;
  readonly numericClass?: string | undefined;
  readonly residentTokens: number;
}

/** What of a request does. */
interface SampleWish {
  readonly draw?: number;
  readonly numericClass?: string;
  readonly avoid: readonly NodeId[];
  readonly refused: readonly { readonly nodeId: NodeId }[];
}

/** Candidates up to which all are scored. */
export const SCORED_MAX = 32;
/** Of more, so many that have computed most of the prompt are scored, */
const HOLDING_MAX = 4;
/** so many at random of those that have the model loaded, */
const LOADED_MAX = 16;
/** and so many of all. */
const ANY_MAX = 12;
/** A prime above any number of members: steps of it meet each of them once. */
const STEP = 7_919;

/**
 * Whom a choice looks at closely: all, or of very many a few drawn at random beside those that have most of the prompt. The best
 * of a few random ones is about as good as the best of all, costs the same for any number of nodes, and spreads what all send
 * who heard the same. All, where fewer than that could take the request, or the request brings no draw.
 */
export function sampleCandidates<T extends Samplable>(
  request: SampleWish,
  candidates: readonly T[],
): readonly T[] {
  const { draw } = request;
  const { length } = candidates;
  if (draw === undefined || length <= SCORED_MAX) return candidates;
  const out = new Set([...request.avoid, ...request.refused.map(({ nodeId }) => nodeId)]);
  const isFit = (it: T) =>
    (it.health === "alive" || it.health === "asleep" && it.wakeMs !== undefined) &&
    !it.drained && !out.has(it.nodeId) &&
    (request.numericClass === undefined || it.numericClass === request.numericClass);
  const sample = new Set(alwaysScored(candidates, out));
  let [loaded, any] = [0, 0];
  const start = (draw >>> 0) % length;
  for (let turn = 0; turn < length && (loaded < LOADED_MAX || any < ANY_MAX); turn++) {
    const candidate = candidates[(start + turn * STEP) % length];
    if (candidate === undefined || sample.has(candidate) || !isFit(candidate)) continue;
    if (candidate.load?.state === "loaded" && loaded < LOADED_MAX) loaded++;
    else if (any < ANY_MAX) any++;
    else continue;
    sample.add(candidate);
  }
  return any < ANY_MAX ? candidates : [...sample];
}

/** Those with most of the prompt, this node, and those that are out already, who are still told of. In one pass. */
function alwaysScored<T extends Samplable>(
  candidates: readonly T[],
  out: ReadonlySet<NodeId>,
): readonly T[] {
  const most: T[] = [];
  const others: T[] = [];
  for (const candidate of candidates) {
    if (candidate.isSelf || out.size > 0 && out.has(candidate.nodeId)) others.push(candidate);
    const least = most[HOLDING_MAX - 1]?.residentTokens ?? 0;
    if (!(candidate.residentTokens > least) || candidate.health !== "alive") continue;
    most.push(candidate);
    most.sort((a, b) => b.residentTokens - a.residentTokens);
    most.length = Math.min(most.length, HOLDING_MAX);
  }
  return [...most, ...others];
}
