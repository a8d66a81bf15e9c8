import { useEffect, useState } from "preact/hooks";
import { Empty, spanText, Tag } from "../parts/mod.ts";
import { askJson, type Route, type Score } from "../state/mod.ts";

const PARTS = [
  ["wake_ms", "waking"],
  ["hop_ms", "hop"],
  ["queue_ms", "queue"],
  ["load_ms", "loading"],
  ["move_ms", "fetching what another node has read"],
  ["prefill_ms", "reading the prompt"],
] as const;

/** Why a request went where it went: the nodes that it could have gone to, and when each would have begun to answer. */
export function Explanation({ requestId }: { readonly requestId: string }) {
  const [routes, setRoutes] = useState<readonly Route[]>();
  const [failure, setFailure] = useState("");
  useEffect(() => {
    askJson<{ routes: readonly Route[] }>(`/api/cluster/explain/${encodeURIComponent(requestId)}`)
      .then((told) => setRoutes(told.routes))
      .catch((error: Error) => setFailure(error.message));
  }, [requestId]);
  if (failure !== "") return <Empty>{failure}</Empty>;
  if (routes === undefined) return <Empty>Asking…</Empty>;
  if (routes.length === 0) {
    return (
      <Empty>
        This node has no route of it: ask the node that took it in, within its last 512.
      </Empty>
    );
  }
  return (
    <div class="explanation">
      {routes.map((route, index) => <RouteText key={`${route.at} ${index}`} route={route} />)}
      <Legend />
    </div>
  );
}

function RouteText({ route }: { readonly route: Route }) {
  const { chosen, runners_up: others, excluded, standing, outcome, prompt_cache: cache } = route;
  const all = chosen === null ? others : [chosen, ...others];
  const most = Math.max(1, ...all.map(({ expected_ms }) => expected_ms));
  return (
    <div class="route">
      <p>
        {standing === "resumed" ? <Tag tone="warn">went on</Tag> : null}{" "}
        {chosen === null ? "No node could take it" : (
          <>
            went to <strong>{chosen.name}</strong>, first token expected after{" "}
            {spanText(chosen.expected_ms)}
          </>
        )}
        <span class="muted">{outcome === "granted" ? "" : ` · ${outcome}`}</span>
        <span class="muted">{cacheText(cache)}</span>
      </p>
      <ul>
        {all.map((score) => (
          <li key={score.node_id}>
            <span class="route-node">{score.name}</span>
            <ScoreBar score={score} most={most} />
            <span class="number muted">{spanText(score.expected_ms)}</span>
          </li>
        ))}
        {excluded.map(({ node_id, name, reason }) => (
          <li key={node_id}>
            <span class="route-node">{name}</span>
            <span class="muted">left out: {reason.replaceAll("_", " ")}</span>
          </li>
        ))}
      </ul>
    </div>
  );
}

function cacheText(cache: Route["prompt_cache"]): string {
  if (cache === undefined) return "";
  const { reused_tokens: reused, prompt_tokens: all, source } = cache;
  return ` · ${reused} of ${all} prompt tokens were computed before` +
    (source === "none" ? "" : ` (${source})`);
}

function ScoreBar({ score, most }: { readonly score: Score; readonly most: number }) {
  const text = PARTS.filter(([field]) => score[field] > 0)
    .map(([field, name]) => `${name} ${spanText(score[field])}`).join(", ") || "at once";
  return (
    <span class="score" role="img" aria-label={`${score.name}: ${text}`} title={text}>
      {PARTS.map(([field]) => (
        <i key={field} class={field} style={{ width: `${100 * score[field] / most}%` }} />
      ))}
    </span>
  );
}

function Legend() {
  return (
    <p class="legend muted small">
      {PARTS.map(([field, name]) => (
        <span key={field}>
          <i class={field} />
          {name}
        </span>
      ))}
    </p>
  );
}
