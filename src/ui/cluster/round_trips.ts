import { useEffect, useState } from "preact/hooks";
import { askJson, status } from "../state/mod.ts";

/** How long words take from the asked node to the others and back. */
export interface RoundTrips {
  /** The asked node; undefined until it was heard. */
  readonly from: string | undefined;
  /** Milliseconds by node, of those that were measured. */
  readonly ms: ReadonlyMap<string, number>;
}

/** A node measures anew once a minute, so that asking more often tells of new members alone. */
const LOOK_MS = 15_000;

/** Asks for as long as it is looked at. */
export function useRoundTrips(): RoundTrips {
  const from = status.value?.node_id;
  const [ms, setMs] = useState<RoundTrips["ms"]>(new Map());
  // Who is there is another reason to ask.
  const alive = (status.value?.members ?? []).filter(({ health }) => health === "alive").length;
  useEffect(() => {
    let isOver = false;
    const look = async () => {
      try {
        const { connections } = await askJson<{ connections: readonly ConnectionRow[] }>(
          "/api/cluster/connections",
        );
        const rows = connections.flatMap(({ node_id: id, round_trip_ms: trip }) =>
          trip === undefined ? [] : [[id, trip] as const]
        );
        if (!isOver) setMs(new Map(rows));
      } catch {
        // The feed says that nobody answers.
      }
    };
    if (from !== undefined) void look();
    const timer = setInterval(() => void look(), LOOK_MS);
    return () => {
      isOver = true;
      clearInterval(timer);
    };
  }, [from, alive]);
  return { from, ms };
}

interface ConnectionRow {
  readonly node_id: string;
  readonly round_trip_ms?: number;
}
