import { Act, confirmed, say, Section, Tag, tell } from "../parts/mod.ts";
import { askJson, change, type Member, members, status } from "../state/mod.ts";

/** Who belongs, and how one takes a machine out. */
export function Members() {
  return (
    <Section
      title="Members"
      actions={
        <Act
          icon="close"
          label="Leave with this node"
          onClick={() => void leave()}
        />
      }
    >
      <div class="scroll" tabIndex={0} role="region" aria-label="Members">
        <table>
          <thead>
            <tr>
              <th scope="col">Name</th>
              <th scope="col">Health</th>
              <th scope="col">Role</th>
              <th scope="col">Address</th>
              <th scope="col">Id</th>
              <th scope="col">
                <span class="read-only">Actions</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {members.value.map((member) => <Row key={member.node_id} member={member} />)}
          </tbody>
        </table>
      </div>
    </Section>
  );
}

function Row({ member }: { readonly member: Member }) {
  const { node_id: id, name, health, role, address, drained } = member;
  const post = (act: string, done: string) =>
    void tell(done, () => change("POST", `/api/cluster/members/${id}/${act}`));
  return (
    <tr>
      <th scope="row">{name}</th>
      <td>
        <Tag tone={health === "alive" ? "good" : health === "asleep" ? "plain" : "bad"}>
          {health}
        </Tag>
        {drained ? <Tag tone="warn">drained</Tag> : null}
      </td>
      <td>{role}</td>
      <td>
        <code>{address}</code>
      </td>
      <td>
        <code>{id.slice(0, 8)}</code>
      </td>
      <td>
        <div class="actions nowrap">
          {drained
            ? (
              <Act
                icon="retry"
                label={`Undrain ${name}`}
                isBare
                onClick={() => post("undrain", `${name} is in use again`)}
              />
            )
            : (
              <Act
                icon="pause"
                label={`Drain ${name}`}
                isBare
                onClick={() => post("drain", `${name} takes nothing new`)}
              />
            )}
          {health === "asleep"
            ? (
              <Act
                icon="sun"
                label={`Wake ${name}`}
                isBare
                onClick={() => post("wake", `${name} is awake`)}
              />
            )
            : (
              <Act
                icon="moon"
                label={`Let ${name} sleep`}
                isBare
                onClick={() => post("sleep", `${name} sleeps`)}
              />
            )}
          <Act icon="trash" label={`Revoke ${name}`} isBare onClick={() => void revoke(member)} />
        </div>
      </td>
    </tr>
  );
}

async function revoke({ node_id: id, name }: Member): Promise<void> {
  const isMeant = await confirmed({
    title: `Shut ${name} out for good?`,
    text:
      "For a machine that was stolen: nothing lets it in again, join tokens end, and the authority is replaced.",
    action: "Revoke",
  });
  if (!isMeant) return;
  await tell(`${name} is shut out`, () => change("POST", `/api/cluster/members/${id}/revoke`));
}

async function leave(): Promise<void> {
  const name = status.value?.name ?? "this node";
  const isMeant = await confirmed({
    title: `Leave the cluster with ${name}?`,
    text: "It hands over, leaves and stops, and this page with it, unless another node serves it.",
    action: "Leave",
  });
  if (!isMeant) return;
  await tell(`${name} has left`, async () => {
    const left = await askJson<{ untold?: string }>("/api/cluster/leave", {
      method: "POST",
      body: {},
    });
    if (left.untold !== undefined) say("bad", left.untold);
  });
}
