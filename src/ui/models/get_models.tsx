import { useState } from "preact/hooks";
import { parseModelfile, settingsOf } from "../../models/modelfile/mod.ts";
import { Act, bytesText, Dialog, Meter, Tag } from "../parts/mod.ts";
import { stopTransfer, type Transfer, transfer, transfers } from "./transfers.ts";

const EXAMPLE = `FROM tiny
PARAMETER temperature 0.7
SYSTEM """You answer in one sentence."""
`;

/** Pulls a model by its name. */
export function PullForm() {
  const [name, setName] = useState("");
  const submit = (event: Event) => {
    event.preventDefault();
    const model = name.trim();
    if (model === "") return;
    setName("");
    void transfer(`pull ${model}`, "/api/pull", { model });
  };
  return (
    <form class="row" onSubmit={submit}>
      <input
        aria-label="Model to pull"
        placeholder="llama3.2, hf.co/user/repo…"
        value={name}
        onInput={(event) => setName(event.currentTarget.value)}
      />
      <button type="submit" class="main" disabled={name.trim() === ""}>Pull</button>
    </form>
  );
}

/** Makes a model of a Modelfile. */
export function CreateDialog({ onClose }: { readonly onClose: () => void }) {
  const [name, setName] = useState("");
  const [text, setText] = useState(EXAMPLE);
  const [failure, setFailure] = useState("");
  const submit = (event: Event) => {
    event.preventDefault();
    try {
      const body = { model: name.trim(), ...fieldsOf(text) };
      void transfer(`create ${name.trim()}`, "/api/create", body);
      onClose();
    } catch (error) {
      setFailure(error instanceof Error ? error.message : String(error));
    }
  };
  return (
    <Dialog title="Make a model" isWide onClose={onClose}>
      <form onSubmit={submit}>
        <label>
          Name
          <input value={name} onInput={(event) => setName(event.currentTarget.value)} />
        </label>
        <label>
          Modelfile
          <textarea
            class="editor"
            rows={12}
            spellcheck={false}
            value={text}
            onInput={(event) => setText(event.currentTarget.value)}
          />
        </label>
        {failure === "" ? null : <p class="failure" role="alert">{failure}</p>}
        <p class="muted small">
          FROM is a model of the cluster. For files: <code>odist create NAME -f Modelfile</code>.
        </p>
        <div class="dialog-actions">
          <button type="button" onClick={onClose}>Cancel</button>
          <button type="submit" class="main" disabled={name.trim() === ""}>Make it</button>
        </div>
      </form>
    </Dialog>
  );
}

/** @throws Error for a Modelfile that makes no sense, or names files, which are not the browser's to send. */
function fieldsOf(text: string): object {
  const modelfile = parseModelfile(text);
  const { from, adapters, drafts } = modelfile;
  if (from.length !== 1 || adapters.length > 0 || drafts.length > 0) {
    throw new Error("Only FROM with one model is possible here; for files: odist create");
  }
  return { from: from[0], ...settingsOf(modelfile) };
}

/** What is pulled and made, and how far it is. */
export function Transfers() {
  if (transfers.value.length === 0) return null;
  return (
    <ul class="transfers" aria-label="Pulled and made">
      {transfers.value.map((one) => <TransferRow key={one.id} transfer={one} />)}
    </ul>
  );
}

const TONES = { running: "accent", done: "good", failed: "bad", stopped: "plain" } as const;

function TransferRow({ transfer: one }: { readonly transfer: Transfer }) {
  const { id, title, state, status, total, completed } = one;
  return (
    <li class="card">
      <div class="card-head">
        <h3>{title}</h3>
        <Tag tone={TONES[state]}>{state}</Tag>
        {state === "running"
          ? <Act icon="stop" label={`Stop: ${title}`} isBare onClick={() => stopTransfer(id)} />
          : null}
      </div>
      {state === "running" && total > 0
        ? (
          <Meter
            label={status}
            value={completed / total}
            text={`${bytesText(completed)} of ${bytesText(total)}`}
          />
        )
        : <p class={state === "failed" ? "failure" : "muted small"}>{status}</p>}
    </li>
  );
}
