import { useState } from "preact/hooks";
import { Act, confirmed, Copyable, Dialog, Tag, tell, timeText } from "../parts/mod.ts";
import { askJson, change } from "../state/mod.ts";
import { type KeyLimits, LimitFields, LimitsDialog, limitsText, NO_LIMITS } from "./key_limits.tsx";
import { ListedSection } from "./listed_section.tsx";
import { useList } from "./use_list.ts";

interface KeyRow {
  readonly key_id: string;
  readonly label: string;
  readonly expires_at: string | null;
  readonly scopes: readonly string[];
  readonly last_used_at: string | null;
  readonly limits: KeyLimits;
}

const SCOPES = [
  ["use", "generate, chat, look"],
  ["models", "change models"],
  ["admin", "rule the cluster"],
  ["join", "let machines join"],
] as const;

/** With which programs on other machines ask. */
export function Keys() {
  const listed = useList<{ readonly keys: readonly KeyRow[] }>("/api/cluster/keys");
  const [isMaking, setMaking] = useState(false);
  const [limited, setLimited] = useState<KeyRow>();
  const end = async (row: KeyRow) => {
    const isMeant = await confirmed({
      title: `End the key ${row.label || row.key_id}?`,
      text: "Whoever has it is refused from the next request on.",
      action: "End it",
    });
    if (!isMeant) return;
    await tell("The key opens nothing any more", async () => {
      await change("DELETE", `/api/cluster/keys/${row.key_id}`);
      listed.again();
    });
  };
  return (
    <ListedSection
      title="API keys"
      listed={listed}
      rows={listed.value?.keys ?? []}
      heads={["Key", "May", "Weight", "Limits", "Until", "Last used", ""]}
      empty="Programs on this machine need none. Make one for those on other machines."
      row={(row) => (
        <tr key={row.key_id}>
          <th scope="row">{row.label || <code>{row.key_id}</code>}</th>
          <td>{row.scopes.map((scope) => <Tag key={scope} tone="plain">{scope}</Tag>)}</td>
          <td>{row.limits.weight}</td>
          <td>{limitsText(row.limits)}</td>
          <td class="nowrap">{row.expires_at === null ? "for ever" : timeText(row.expires_at)}</td>
          <td class="nowrap">{row.last_used_at === null ? "never" : timeText(row.last_used_at)}</td>
          <td>
            <div class="actions nowrap">
              <Act
                icon="operations"
                label={`Limit the key ${row.label || row.key_id}`}
                isBare
                onClick={() => setLimited(row)}
              />
              <Act
                icon="trash"
                label={`End the key ${row.label || row.key_id}`}
                isBare
                onClick={() => void end(row)}
              />
            </div>
          </td>
        </tr>
      )}
      actions={<Act icon="plus" label="Make a key" tone="main" onClick={() => setMaking(true)} />}
    >
      {isMaking ? <KeyForm onClose={() => setMaking(false)} onMade={listed.again} /> : null}
      {limited === undefined ? null : (
        <LimitsDialog
          row={limited}
          onClose={() => setLimited(undefined)}
          onSet={listed.again}
        />
      )}
    </ListedSection>
  );
}

function KeyForm({ onClose, onMade }: {
  readonly onClose: () => void;
  readonly onMade: () => void;
}) {
  const [label, setLabel] = useState("");
  const [scopes, setScopes] = useState<readonly string[]>(["use"]);
  const [ttl, setTtl] = useState("0");
  const [limits, setLimits] = useState(NO_LIMITS);
  const [key, setKey] = useState("");
  const submit = (event: Event) => {
    event.preventDefault();
    const body = { label, scopes, ttl, ...limits };
    void tell("A key was made", async () => {
      const made = await askJson<{ key: string }>("/api/cluster/keys", { method: "POST", body });
      setKey(made.key);
      onMade();
    });
  };
  const toggle = (scope: string) =>
    setScopes(scopes.includes(scope) ? scopes.filter((one) => one !== scope) : [...scopes, scope]);
  if (key !== "") {
    return (
      <Dialog title="The key, once" isWide onClose={onClose}>
        <Copyable text={key} label="Copy" />
      </Dialog>
    );
  }
  return (
    <Dialog title="Make a key" onClose={onClose}>
      <form onSubmit={submit}>
        <label>
          What it is for
          <input
            maxLength={64}
            placeholder="laptop"
            value={label}
            onInput={(event) => setLabel(event.currentTarget.value)}
          />
        </label>
        <fieldset>
          <legend>It may</legend>
          {SCOPES.map(([scope, text]) => (
            <label key={scope} class="choice">
              <input
                type="checkbox"
                checked={scopes.includes(scope)}
                onChange={() => toggle(scope)}
              />
              <span>
                {scope} <span class="muted">{text}</span>
              </span>
            </label>
          ))}
        </fieldset>
        <Lifetime ttl={ttl} onChange={setTtl} />
        <LimitFields limits={limits} onChange={setLimits} />
        <div class="dialog-actions">
          <button type="button" onClick={onClose}>Cancel</button>
          <button type="submit" class="main" disabled={scopes.length === 0}>Make it</button>
        </div>
      </form>
    </Dialog>
  );
}

function Lifetime({ ttl, onChange }: {
  readonly ttl: string;
  readonly onChange: (ttl: string) => void;
}) {
  return (
    <label>
      For how long
      <select value={ttl} onChange={(event) => onChange(event.currentTarget.value)}>
        <option value="0">for ever</option>
        <option value="24h">a day</option>
        <option value="720h">30 days</option>
        <option value="8760h">a year</option>
      </select>
    </label>
  );
}
