import { Act, bytesText, confirmed, Meter, ModelName, rateText, Tag, tell } from "../parts/mod.ts";
import { change, type Member, status } from "../state/mod.ts";
import { stateText } from "./picture.tsx";

/** Everything that is known of a node, and what may be done with it. */
export function NodeCard({ member, isChosen }: {
  readonly member: Member;
  readonly isChosen: boolean;
}) {
  const { name, role, load, version, cores, devices = [], disk_free_bytes: diskFree } = member;
  const facts = [
    role === "none" ? "" : role,
    cores === undefined ? "" : `${cores} cores`,
    version === "" ? "" : `odist ${version}`,
    diskFree === undefined ? "" : `${bytesText(diskFree)} of disk free`,
  ].filter((fact) => fact !== "");
  return (
    <article
      class={`card node-card ${isChosen ? "chosen" : ""}`}
      id={`node-${member.node_id}`}
      aria-label={name}
    >
      <header class="card-head">
        <h3>{name}</h3>
        <Tag tone={toneOf(member)}>{stateText(member)}</Tag>
        {status.value?.node_id === member.node_id ? <Tag tone="plain">this page</Tag> : null}
      </header>
      <p class="muted small">{facts.join(" · ")}</p>
      {devices.map((device) => (
        <Meter
          key={device.name}
          label={device.description || device.name}
          value={1 - device.free_bytes / Math.max(1, device.total_bytes)}
          text={`${bytesText(device.free_bytes)} of ${bytesText(device.total_bytes)} free`}
        />
      ))}
      {load === undefined || member.health !== "alive" ? null : <Load load={load} />}
      <NodeActions member={member} />
    </article>
  );
}

/** How good a member's state is. */
function toneOf({ health, drained, yields }: Member): "good" | "warn" | "bad" | "plain" {
  if (health === "alive") return drained || yields ? "warn" : "good";
  return health === "asleep" || health === "pending" || health === "left"
    ? "plain"
    : health === "suspect"
    ? "warn"
    : "bad";
}

function Load({ load }: { readonly load: NonNullable<Member["load"]> }) {
  const { running_requests: running, waiting_requests: waiting, slots } = load;
  return (
    <>
      <Meter
        label="Slots"
        value={slots === 0 ? 0 : running / slots}
        text={slots === 0
          ? "no model is loaded"
          : `${running} of ${slots}${waiting > 0 ? `, ${waiting} wait` : ""}`}
      />
      <dl class="facts">
        <div>
          <dt>Speed</dt>
          <dd>
            {load.tokens_per_second === 0
              ? "not measured"
              : `${rateText(load.tokens_per_second)} tokens/s`}
          </dd>
        </div>
        <div>
          <dt>Free for models</dt>
          <dd>{bytesText(load.available_bytes)}</dd>
        </div>
      </dl>
      <ul class="chips" aria-label="Loaded models">
        {load.loaded_models.map((model) => (
          <li key={model}>
            <ModelName name={model} />
            <Shards of={load.split_models.find(({ name }) => name === model)} />
          </li>
        ))}
      </ul>
    </>
  );
}

/** Who computes which layers of a model that this node leads; nothing for one that is whole here. */
function Shards(
  { of: model }: { readonly of: NonNullable<Member["load"]>["split_models"][number] | undefined },
) {
  if (model === undefined) return null;
  const parts = model.shards.map(({ node, first_layer: first, layer_count: count }) =>
    count === 0 ? `${node} output` : `${node} ${first}–${first + count - 1}`
  );
  return <span>{` · layers: ${parts.join(", ")}`}</span>;
}

function NodeActions({ member }: { readonly member: Member }) {
  const { node_id: id, name, health, drained } = member;
  const post = (act: string, done: string) =>
    void tell(done, () => change("POST", `/api/cluster/members/${id}/${act}`));
  if (health === "asleep") {
    return (
      <div class="actions">
        <Act icon="sun" label="Wake" onClick={() => post("wake", `${name} is awake`)} />
      </div>
    );
  }
  if (health === "down" || health === "left" || health === "pending") {
    return (
      <div class="actions">
        <Act icon="trash" label="Remove" onClick={() => void remove(member)} />
      </div>
    );
  }
  return (
    <div class="actions">
      {drained
        ? (
          <Act
            icon="retry"
            label="Undrain"
            onClick={() => post("undrain", `${name} is in use again`)}
          />
        )
        : (
          <Act
            icon="pause"
            label="Drain"
            onClick={() => post("drain", `${name} takes nothing new`)}
          />
        )}
      <Act icon="moon" label="Sleep" onClick={() => post("sleep", `${name} sleeps`)} />
    </div>
  );
}

async function remove({ node_id: id, name }: Member): Promise<void> {
  const isMeant = await confirmed({
    title: `Remove ${name}?`,
    text: "The cluster forgets it. It may join again with a new token.",
    action: "Remove",
  });
  if (isMeant) {
    await tell(`${name} is removed`, () => change("DELETE", `/api/cluster/members/${id}`));
  }
}
