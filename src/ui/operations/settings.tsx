import { useState } from "preact/hooks";
import { Act, tell } from "../parts/mod.ts";
import { change } from "../state/mod.ts";
import { ListedSection } from "./listed_section.tsx";
import { useList } from "./use_list.ts";

/** What the cluster notes of its nodes: theirs to change, by drain, sleep and the like. */
const OF_A_NODE = /\.[0-9a-f]{16}$/;

interface SettingRow {
  readonly key: string;
  readonly value: string;
}

/** What the cluster agreed on, as words of its people. */
export function Settings() {
  const listed = useList<{ readonly settings: readonly SettingRow[] }>("/api/cluster/settings");
  const [key, setKey] = useState("");
  const [value, setValue] = useState("");
  const path = (name: string) => `/api/cluster/settings/${encodeURIComponent(name)}`;
  const put = (event: Event) => {
    event.preventDefault();
    void tell(`${key} is set`, async () => {
      await change("PUT", path(key), { value });
      setKey("");
      setValue("");
      listed.again();
    });
  };
  const unset = (name: string) =>
    void tell(`${name} is unset`, async () => {
      await change("DELETE", path(name));
      listed.again();
    });
  return (
    <ListedSection
      title="Settings"
      listed={listed}
      rows={(listed.value?.settings ?? []).filter((row) => !OF_A_NODE.test(row.key))}
      heads={["Setting", "Value", ""]}
      empty="Nothing is set. Give a key and a value above."
      row={(row) => (
        <tr key={row.key}>
          <th scope="row">{row.key}</th>
          <td>{row.value}</td>
          <td>
            <Act icon="trash" label={`Unset ${row.key}`} isBare onClick={() => unset(row.key)} />
          </td>
        </tr>
      )}
      actions={
        <form class="row" onSubmit={put}>
          <input
            aria-label="Setting"
            placeholder="setting"
            value={key}
            onInput={(event) => setKey(event.currentTarget.value)}
          />
          <input
            aria-label="Its value"
            placeholder="value"
            value={value}
            onInput={(event) => setValue(event.currentTarget.value)}
          />
          <button type="submit" disabled={key === ""}>Set</button>
        </form>
      }
    />
  );
}
