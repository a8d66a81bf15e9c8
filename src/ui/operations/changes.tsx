import { Act, Empty, Section, tell, timeText } from "../parts/mod.ts";
import { ask, events, status } from "../state/mod.ts";
import { ListedSection } from "./listed_section.tsx";
import { saveFile } from "./save_file.ts";
import { useList } from "./use_list.ts";

interface ChangeRow {
  readonly index: number;
  readonly at: string;
  readonly who: string;
  readonly from: string;
  readonly action: string;
  readonly subject: string;
}

/** Who changed what, and a copy of what was agreed on. */
export function Changes() {
  const listed = useList<{ readonly changes: readonly ChangeRow[] }>(
    "/api/cluster/audit?limit=200",
  );
  return (
    <ListedSection
      title="Who changed what"
      listed={listed}
      rows={[...listed.value?.changes ?? []].reverse()}
      heads={["When", "What", "Of what", "Who", "From"]}
      empty="Nothing was changed yet."
      row={(row) => (
        <tr key={row.index}>
          <td class="muted nowrap">{timeText(row.at)}</td>
          <th scope="row">{row.action.replaceAll("_", " ")}</th>
          <td class="cut">{row.subject}</td>
          <td>{row.who}</td>
          <td class="muted">{row.from}</td>
        </tr>
      )}
      actions={
        <>
          <Act icon="retry" label="Look again" onClick={listed.again} />
          <Act
            icon="download"
            label="Save a snapshot"
            onClick={() => void tell("The snapshot is saved", saveSnapshot)}
          />
        </>
      }
    />
  );
}

async function saveSnapshot(): Promise<void> {
  const blob = await (await ask("/api/cluster/snapshot")).blob();
  saveFile(`${status.value?.cluster_id ?? "cluster"}.snapshot`, blob);
}

/** What the page saw happen. */
export function Events() {
  return (
    <Section title="Events" note="since this page was opened">
      {events.value.length === 0
        ? <Empty>Joins, deaths, elections and moves are told here as they happen.</Empty>
        : (
          <div class="lately">
            <ol>
              {events.value.map(({ id, atMs, tone, text }) => (
                <li key={id} class={tone}>
                  <time>{timeText(atMs)}</time>
                  {text}
                </li>
              ))}
            </ol>
          </div>
        )}
    </Section>
  );
}
