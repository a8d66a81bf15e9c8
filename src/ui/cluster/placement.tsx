import { useEffect, useState } from "preact/hooks";
import { bytesText, Empty, ModelName, Section } from "../parts/mod.ts";
import { askJson, type Member, members, type Model, type Placement, status } from "../state/mod.ts";

interface SizedPlacement extends Placement {
  /** Bytes. */
  readonly size: number;
}

/** How often it is looked where models lie: it changes by pulls and copies, which take longer. */
const LOOK_MS = 5_000;

/** Where each model lies, and where it is loaded. */
export function PlacementTable() {
  const placed = usePlacement();
  const nodes = members.value;
  if (placed === undefined) return null;
  if (placed.length === 0) {
    return (
      <Section title="Where models lie">
        <Empty>
          There is no model yet: pull one in <a href="#models">Models</a>.
        </Empty>
      </Section>
    );
  }
  return (
    <Section title="Where models lie" note="● on disk   ◉ loaded">
      <div class="scroll" tabIndex={0} role="region" aria-label="Where models lie">
        <table class="placement">
          <thead>
            <tr>
              <th scope="col">Model</th>
              <th scope="col" class="number">Size</th>
              {nodes.map(({ node_id, name }) => <th scope="col" key={node_id}>{name}</th>)}
            </tr>
          </thead>
          <tbody>
            {placed.map((row) => (
              <tr key={row.name}>
                <th scope="row">
                  <ModelName name={row.name} />
                </th>
                <td class="number muted">{bytesText(row.size)}</td>
                {nodes.map((node) => <Held key={node.node_id} row={row} node={node} />)}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </Section>
  );
}

function Held({ row, node }: { readonly row: Placement; readonly node: Member }) {
  const isHeld = row.nodes.includes(node.name);
  const isLoaded = node.load?.loaded_models.includes(row.name) === true && node.health === "alive";
  const text = isLoaded ? "loaded" : isHeld ? "on disk" : "not here";
  const mark = isLoaded ? "◉" : isHeld ? "●" : "·";
  return (
    <td class={`held ${isLoaded ? "is-loaded" : isHeld ? "is-held" : ""}`}>
      <span aria-hidden="true">{mark}</span>
      <span class="read-only">{text}</span>
    </td>
  );
}

/** Undefined until it was heard, or where the node does not tell. */
function usePlacement(): readonly SizedPlacement[] | undefined {
  const [placed, setPlaced] = useState<readonly SizedPlacement[]>();
  const index = status.value?.applied_index;
  useEffect(() => {
    let isOver = false;
    const look = async () => {
      try {
        const [{ models }, listed] = await Promise.all([
          askJson<{ models: readonly Placement[] }>("/api/cluster/placement"),
          askJson<{ models: readonly Model[] }>("/api/tags?consistency=stale"),
        ]);
        const sizes = new Map(listed.models.map(({ digest, size }) => [digest, size]));
        if (!isOver) setPlaced(models.map((row) => ({ ...row, size: sizes.get(row.digest) ?? 0 })));
      } catch {
        // The feed says that nobody answers.
      }
    };
    void look();
    const timer = setInterval(() => void look(), LOOK_MS);
    return () => {
      isOver = true;
      clearInterval(timer);
    };
  }, [index]);
  return placed;
}
