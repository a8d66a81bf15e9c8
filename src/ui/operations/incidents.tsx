import { useEffect, useState } from "preact/hooks";
import { Act, Empty, Section, Tag, tell, timeText } from "../parts/mod.ts";
import type { IncidentRow } from "../replayer/mod.ts";
import { ask, members, status } from "../state/mod.ts";
import { type Replay, startReplay } from "./replay.ts";
import { saveFile } from "./save_file.ts";

/** How far back an incident may be saved, in seconds. */
const SPANS = [
  { seconds: 60, title: "the last minute" },
  { seconds: 600, title: "the last ten minutes" },
  { seconds: 3_600, title: "the last hour" },
] as const;
/** Rows in view; the others are behind a narrower look. */
const SHOWN_MAX = 1_000;

const TONES = {
  election: "accent",
  doubt: "warn",
  death: "bad",
  return: "good",
  move: "accent",
  loss: "bad",
} as const;

/** What the nodes were told and decided lately: saved, and stepped through again. */
export function Incidents() {
  const [seconds, setSeconds] = useState<number>(600);
  const [file, setFile] = useState<{ readonly name: string; readonly bytes: ArrayBuffer }>();
  const save = async () => {
    const response = await ask(`/api/cluster/incident?seconds=${seconds}&texts=false`);
    const bytes = await response.arrayBuffer();
    const name = `${status.value?.cluster_id ?? "cluster"}.incident`;
    saveFile(name, new Blob([bytes]));
    setFile({ name, bytes });
  };
  const open = async (chosen: File | undefined) => {
    if (chosen !== undefined) setFile({ name: chosen.name, bytes: await chosen.arrayBuffer() });
  };
  return (
    <Section
      title="Incidents"
      note="what all nodes were told and decided, without prompts and answers"
      actions={
        <>
          <select
            aria-label="How far back"
            value={seconds}
            onChange={(event) => setSeconds(Number(event.currentTarget.value))}
          >
            {SPANS.map((span) => (
              <option key={span.seconds} value={span.seconds}>{span.title}</option>
            ))}
          </select>
          <Act
            icon="download"
            label="Save an incident"
            onClick={() => void tell("The incident is saved", save)}
          />
          <label class="button act file">
            <span>Open a file</span>
            <input
              type="file"
              accept=".incident"
              class="read-only"
              onChange={(event) => void open(event.currentTarget.files?.[0])}
            />
          </label>
        </>
      }
    >
      {file === undefined
        ? (
          <Empty>
            Save one, or open a file of `odist incident save`: it is stepped through again, here in
            the browser.
          </Empty>
        )
        : <Timeline key={file.name} name={file.name} bytes={file.bytes} />}
    </Section>
  );
}

function Timeline({ name, bytes }: { readonly name: string; readonly bytes: ArrayBuffer }) {
  const [replay, setReplay] = useState<Replay>();
  const [part, setPart] = useState("moments");
  const [wanted, setWanted] = useState("");
  useEffect(() => {
    // One that was killed has no part in the file, and its name is known here alone.
    const known = members.peek().map((member) => ({ nodeId: member.node_id, name: member.name }));
    return startReplay({ bytes, known }, setReplay);
  }, [bytes]);
  if (replay === undefined) return <Empty>Reading…</Empty>;
  const { state, rows, nodes, silent } = replay;
  const parts = [...new Set(rows.map((row) => partOf(row)))].sort();
  const fitting = rows.filter((row) =>
    (part === "all" || (part === "moments" ? row.moment !== undefined : partOf(row) === part)) &&
    (wanted === "" || `${row.node} ${row.part} ${row.came} ${row.decided}`.includes(wanted))
  );
  return (
    <>
      <p role="status">
        <b>{name}</b> of {nodes.join(", ")}: <Outcome replay={replay} />
      </p>
      {silent.map((text) => <p key={text} class="muted">{text}</p>)}
      <div class="row">
        <select
          aria-label="What is shown"
          value={part}
          onChange={(event) => setPart(event.currentTarget.value)}
        >
          <option value="moments">elections, deaths and moves</option>
          <option value="all">all that changed something</option>
          {parts.map((one) => <option key={one} value={one}>{one}</option>)}
        </select>
        <input
          type="search"
          placeholder="Steps with…"
          aria-label="Steps with"
          value={wanted}
          onInput={(event) => setWanted(event.currentTarget.value)}
        />
      </div>
      {fitting.length === 0
        ? <Empty>{state === "running" ? "Stepping through it…" : "There is no such step."}</Empty>
        : <Rows rows={fitting.slice(0, SHOWN_MAX)} />}
      {fitting.length > SHOWN_MAX
        ? <p class="muted">The first {SHOWN_MAX} of {fitting.length} steps are shown.</p>
        : null}
    </>
  );
}

function partOf({ part }: IncidentRow): string {
  return part.split(" ")[0] ?? part;
}

function Outcome({ replay }: { readonly replay: Replay }) {
  const { state, steps, difference, reason } = replay;
  switch (state) {
    case "running":
      return <>{steps} steps so far</>;
    case "failed":
      return <Tag tone="bad">{reason}</Tag>;
    case "ended":
      if (difference.length === 0) {
        return <Tag tone="good">{steps} steps, each decided as recorded</Tag>;
      }
      return (
        <>
          <Tag tone="bad">{difference[0]}</Tag>
          {difference.slice(1).map((line) => <code key={line} class="difference">{line}</code>)}
        </>
      );
  }
}

function Rows({ rows }: { readonly rows: readonly IncidentRow[] }) {
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label="Timeline">
      <table class="timeline">
        <thead>
          <tr>
            {["When", "Node", "Part", "What came", "What was decided"].map((head) => (
              <th scope="col" key={head}>{head}</th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row, index) => (
            <tr key={index}>
              <td class="muted nowrap">{timeText(new Date(row.atMs).toISOString())}</td>
              <th scope="row">{row.node}</th>
              <td class="cut">{row.part}</td>
              <td>{row.came}</td>
              <td>
                {row.moment === undefined ? <code class="cut">{row.decided}</code> : (
                  <>
                    <Tag tone={TONES[row.moment.kind]}>{row.moment.kind}</Tag> {row.moment.text}
                  </>
                )}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
