import { useState } from "preact/hooks";
import {
  Act,
  Dialog,
  Empty,
  ModelName,
  Section,
  spanText,
  Tag,
  tell,
  timeText,
} from "../parts/mod.ts";
import { change, type RequestRow, requests } from "../state/mod.ts";
import { Explanation } from "./explanation.tsx";

const TONES = { running: "accent", answered: "good", failed: "bad", canceled: "plain" } as const;
const STATES = ["all", "running", "answered", "failed", "canceled"] as const;

/** What runs and ran lately, on all nodes. */
export function RequestsView() {
  const [wanted, setWanted] = useState("");
  const [state, setState] = useState<(typeof STATES)[number]>("all");
  const [explained, setExplained] = useState<string>();
  const rows = requests.value.filter((row) => {
    const text = `${row.model} ${row.node ?? ""} ${row.entry} ${row.id} ${row.path}`.toLowerCase();
    return (state === "all" || row.state === state) && text.includes(wanted.toLowerCase());
  });
  return (
    <Section
      title="Requests"
      note={`${requests.value.filter((row) => row.state === "running").length} running`}
      actions={
        <>
          <input
            type="search"
            placeholder="Model, node or id"
            aria-label="Show those with"
            value={wanted}
            onInput={(event) => setWanted(event.currentTarget.value)}
          />
          <select
            aria-label="State"
            value={state}
            onChange={(event) =>
              setState(STATES.find((one) => one === event.currentTarget.value) ?? "all")}
          >
            {STATES.map((one) => <option key={one}>{one}</option>)}
          </select>
        </>
      }
    >
      {rows.length === 0
        ? (
          <Empty>
            {requests.value.length === 0
              ? (
                <>
                  Nothing was asked yet: begin in <a href="#chat">Chat</a>, or with{" "}
                  <code>odist run tiny</code>.
                </>
              )
              : "None of the requests is like that."}
          </Empty>
        )
        : <Rows rows={rows} onExplain={setExplained} />}
      {explained === undefined
        ? null
        : (
          <Dialog title="Why it went there" isWide onClose={() => setExplained(undefined)}>
            <Explanation requestId={explained} />
          </Dialog>
        )}
    </Section>
  );
}

function Rows({ rows, onExplain }: {
  readonly rows: readonly RequestRow[];
  readonly onExplain: (id: string) => void;
}) {
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label="Requests">
      <table class="requests">
        <thead>
          <tr>
            <th scope="col">State</th>
            <th scope="col">Model</th>
            <th scope="col">Way</th>
            <th scope="col" class="number">First token</th>
            <th scope="col" class="number">Tokens</th>
            <th scope="col" class="number">Took</th>
            <th scope="col">Begun</th>
            <th scope="col">
              <span class="read-only">Actions</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => <Row key={`${row.id} ${row.at}`} row={row} onExplain={onExplain} />)}
        </tbody>
      </table>
    </div>
  );
}

function Row({ row, onExplain }: {
  readonly row: RequestRow;
  readonly onExplain: (id: string) => void;
}) {
  const { id, state, entry, node, moves } = row;
  const cancel = () =>
    void tell("It was ended", () => change("POST", "/api/cancel", { request_id: id }));
  return (
    <tr>
      <td>
        <Tag tone={TONES[state]}>{state}</Tag>
      </td>
      <td>
        <ModelName name={row.model} />
        <div class="muted small">{row.path}</div>
      </td>
      <td>
        {entry}
        {node === undefined
          ? <span class="muted">&nbsp;→ waits</span>
          : node === entry
          ? ""
          : ` → ${node}`} {moves > 0 ? <Tag tone="warn">moved {moves}×</Tag> : null}
      </td>
      <td class="number">{row.first_token_ms === undefined ? "" : spanText(row.first_token_ms)}</td>
      <td class="number">{row.tokens ?? ""}</td>
      <td class="number">{spanText(row.duration_ms)}</td>
      <td class="muted nowrap">{timeText(row.at)}</td>
      <td>
        <div class="actions nowrap">
          <Act
            icon="info"
            label={`Explain the request of ${row.model}`}
            isBare
            onClick={() => onExplain(id)}
          />
          {state === "running"
            ? <Act icon="stop" label={`End the request of ${row.model}`} isBare onClick={cancel} />
            : null}
        </div>
      </td>
    </tr>
  );
}
