import {
  Act,
  bytesText,
  confirmed,
  Meter,
  ModelName,
  rateText,
  Tag,
  tell,
  tripText,
} from "../parts/mod.ts";
import { change, type Member, status } from "../state/mod.ts";
import { Layers } from "./layers.tsx";
import { stateText } from "./picture.tsx";

/** Everything that is known of a node, and what may be done with it. */
export function NodeCard({ member, isChosen, tripMs }: {
  readonly member: Member;
  readonly isChosen: boolean;
  /** From the asked node there and back; undefined where it was not measured. */
  readonly tripMs: number | undefined;
}) {
  const { name, role, load, version, cores, devices = [], disk_free_bytes: diskFree } = member;
  const facts = [
    role === "none" ? "" : role,
    cores === undefined ? "" : `${cores} cores`,
    version === "" ? "" : `odist ${version}`,
    diskFree === undefined ? "" : `${bytesText(diskFree)} of disk free`,
    tripMs === undefined || member.health !== "alive" ? "" : `${tripText(tripMs)} away`,
  ].filter((fact) => fact !== "");
  return (
    <article
      class={`card node-card ${member.health} ${isChosen ? "chosen" : ""}`}
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
      {member.health === "asleep"
        ? <p class="muted small">Its machine sleeps. It is woken when it is needed.</p>
        : member.health === "alive" && member.yields
        ? (
          <p class="muted small">
            Other programs use its machine: it takes nothing new until then.
          </p>
        )
        : null}
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
          </li>
        ))}
      </ul>
      {load.split_models.map((model) => <Layers key={model.name} model={model} />)}
    </>
  );
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
