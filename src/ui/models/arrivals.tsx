import { useEffect, useState } from "preact/hooks";
import { bytesText, Meter, ModelName, Section } from "../parts/mod.ts";
import { askJson, connection, type Transfer } from "../state/mod.ts";

/** How often it is asked what is on its way, while somebody looks. */
const LOOK_MS = 1_000;

/** Models on their way to nodes, pulled or copied from another one, and how much of each is there. */
export function Arrivals() {
  const rows = useTransfers();
  if (rows.length === 0) return null;
  return (
    <Section title="On their way" note="pulled, or copied from another node">
      <ul class="transfers" aria-label="On their way to nodes">
        {[...Map.groupBy(rows, ({ model }) => model)].map(([model, nodes]) => (
          <li key={model} class="card">
            <h3>
              <ModelName name={model} />
            </h3>
            {nodes.map(({ node, total, completed }) => (
              <Meter
                key={node}
                label={`to ${node}`}
                value={total === 0 ? 1 : completed / total}
                text={`${bytesText(completed)} of ${bytesText(total)}`}
              />
            ))}
          </li>
        ))}
      </ul>
    </Section>
  );
}

function useTransfers(): readonly Transfer[] {
  const [rows, setRows] = useState<readonly Transfer[]>([]);
  useEffect(() => {
    let isOver = false;
    const look = async () => {
      if (document.hidden || connection.peek() !== "live") return;
      try {
        const { transfers } = await askJson<{ transfers: readonly Transfer[] }>(
          "/api/cluster/transfers",
        );
        if (!isOver) setRows(transfers);
      } catch {
        // The feed says that nobody answers; a node of an older version has nothing to tell.
        if (!isOver) setRows([]);
      }
    };
    void look();
    const timer = setInterval(() => void look(), LOOK_MS);
    return () => {
      isOver = true;
      clearInterval(timer);
    };
  }, []);
  return rows;
}
