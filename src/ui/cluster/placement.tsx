import { useEffect, useState } from "preact/hooks";
import { Act, bytesText, Empty, ModelName, Section, tell } from "../parts/mod.ts";
import {
  askJson,
  change,
  type Member,
  members,
  type Model,
  type Placement,
  status,
} from "../state/mod.ts";
import { layersText } from "./layers.tsx";

interface SizedPlacement extends Placement {
  /** Bytes. */
  readonly size: number;
}

/** How often it is looked where models lie: it changes by pulls and copies, which take longer. */
const LOOK_MS = 5_000;

/** Where each model lies, and where it is loaded; with `canPin`, also where people want it. */
export function PlacementTable({ canPin = false }: { readonly canPin?: boolean }) {
  const { placed, look } = usePlacement();
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
  const shards = shardsByModel(nodes);
  return (
    <Section title="Where models lie" note="● on disk   ◉ loaded   ◐ some layers   ▲ pinned">
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
                {nodes.map((node) => (
                  <td key={node.node_id}>
                    <Held
                      row={row}
                      node={node}
                      layers={shards.get(row.name)?.get(node.name) ?? ""}
                    />
                    {canPin ? <Pin row={row} node={node} onChange={look} /> : null}
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
          <tfoot>
            <DiskRow title="Models" nodes={nodes} bytesOf={(node) => bytesOn(node, placed)} />
            <DiskRow title="Disk free" nodes={nodes} bytesOf={(node) => node.disk_free_bytes} />
          </tfoot>
        </table>
      </div>
    </Section>
  );
}

function DiskRow({ title, nodes, bytesOf }: {
  readonly title: string;
  readonly nodes: readonly Member[];
  readonly bytesOf: (node: Member) => number | undefined;
}) {
  return (
    <tr>
      <th scope="row">{title}</th>
      <td />
      {nodes.map((node) => {
        const bytes = bytesOf(node);
        return (
          <td key={node.node_id} class="muted nowrap">
            {bytes === undefined ? "unknown" : bytesText(bytes)}
          </td>
        );
      })}
    </tr>
  );
}

/** Models of the same weights have them once: those are counted once, too. */
function bytesOn({ name }: Member, placed: readonly SizedPlacement[]): number {
  const here = placed.filter(({ nodes }) => nodes.includes(name));
  const sizes = new Map(here.map(({ digest, size }) => [digest, size]));
  return [...sizes.values()].reduce((sum, size) => sum + size, 0);
}

/** Of models that several nodes compute: which layers each has. */
function shardsByModel(nodes: readonly Member[]): ReadonlyMap<string, ReadonlyMap<string, string>> {
  const led = nodes.filter(({ health }) => health === "alive")
    .flatMap(({ load }) => load?.split_models ?? []);
  return new Map(led.map(({ name, shards }) => [
    name,
    new Map(shards.map((shard) => [shard.node, layersText(shard)])),
  ]));
}

function Held({ row, node, layers }: {
  readonly row: Placement;
  readonly node: Member;
  readonly layers: string;
}) {
  const isHeld = row.nodes.includes(node.name);
  const isLoaded = node.load?.loaded_models.includes(row.name) === true && node.health === "alive";
  const [text, mark, kind] = layers !== ""
    ? [layers, "◐", "is-loaded"]
    : isLoaded
    ? ["loaded", "◉", "is-loaded"]
    : isHeld
    ? ["on disk", "●", "is-held"]
    : ["not here", "·", ""];
  return (
    <span class={`held ${kind}`} title={layers === "" ? undefined : layers}>
      <span aria-hidden="true">{mark}</span>
      <span class="read-only">{text}</span>
      {row.pins.includes(node.name)
        ? (
          <span class="pinned">
            <span aria-hidden="true">▲</span>
            <span class="read-only">, pinned</span>
          </span>
        )
        : null}
    </span>
  );
}

function Pin({ row, node, onChange }: {
  readonly row: Placement;
  readonly node: Member;
  readonly onChange: () => void;
}) {
  const isPinned = row.pins.includes(node.name);
  const set = async () => {
    const act = isPinned ? "unpin" : "pin";
    await change("POST", `/api/cluster/members/${node.node_id}/${act}`, { model: row.name });
    onChange();
  };
  const done = isPinned
    ? `The cluster chooses again whether ${node.name} holds ${row.name}`
    : `${node.name} is to hold ${row.name}`;
  return (
    <Act
      icon={isPinned ? "close" : "pin"}
      label={`${isPinned ? "Unpin" : "Pin"} ${row.name} ${isPinned ? "from" : "to"} ${node.name}`}
      isBare
      onClick={() => void tell(done, set)}
    />
  );
}

/** Undefined until it was heard, or where the node does not tell. */
function usePlacement(): {
  readonly placed: readonly SizedPlacement[] | undefined;
  readonly look: () => void;
} {
  const [asked, setAsked] = useState(0);
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
  }, [index, asked]);
  return { placed, look: () => setAsked((times) => times + 1) };
}
