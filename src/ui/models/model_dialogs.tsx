import { useEffect, useState } from "preact/hooks";
import { Dialog, Empty, tell } from "../parts/mod.ts";
import { askJson, change, lookAtModels } from "../state/mod.ts";

interface Shown {
  readonly modelfile?: string;
  readonly template?: string;
  readonly parameters?: string;
  readonly license?: string;
  readonly system?: string;
  readonly model_info?: Readonly<Record<string, unknown>>;
}

const PARTS = [
  ["system", "System prompt"],
  ["parameters", "Parameters"],
  ["template", "Template"],
  ["modelfile", "Modelfile"],
  ["license", "Licence"],
] as const;
/** Longer lists are vocabularies, which nobody reads. */
const VALUE_CHARACTERS_MAX = 200;

/** Everything that a node tells of a model. */
export function ShowDialog({ name, onClose }: {
  readonly name: string;
  readonly onClose: () => void;
}) {
  const [shown, setShown] = useState<Shown>();
  const [failure, setFailure] = useState("");
  useEffect(() => {
    askJson<Shown>("/api/show", { method: "POST", body: { model: name } })
      .then(setShown)
      .catch((error: Error) => setFailure(error.message));
  }, [name]);
  return (
    <Dialog title={name} isWide onClose={onClose}>
      <div class="body">
        {failure === "" ? null : <p class="failure" role="alert">{failure}</p>}
        {shown === undefined && failure === "" ? <Empty>Asking…</Empty> : null}
        {PARTS.map(([field, title]) => {
          const text = shown?.[field];
          return text === undefined
            ? null
            : (
              <details key={field} open={field === "system" || field === "parameters"}>
                <summary>{title}</summary>
                <pre tabIndex={0}>{text}</pre>
              </details>
            );
        })}
        {shown?.model_info === undefined ? null : <Facts facts={shown.model_info} />}
      </div>
    </Dialog>
  );
}

function Facts({ facts }: { readonly facts: Readonly<Record<string, unknown>> }) {
  const rows = Object.entries(facts).map(([key, value]) => [key, String(value)] as const)
    .filter(([, text]) => text.length <= VALUE_CHARACTERS_MAX);
  return (
    <details>
      <summary>What its file says</summary>
      <dl class="rows">
        {rows.map(([key, text]) => (
          <div key={key}>
            <dt>{key}</dt>
            <dd>{text}</dd>
          </div>
        ))}
      </dl>
    </details>
  );
}

/** Gives a model a second name. */
export function CopyDialog({ name, onClose }: {
  readonly name: string;
  readonly onClose: () => void;
}) {
  const [destination, setDestination] = useState("");
  const submit = async (event: Event) => {
    event.preventDefault();
    const body = { source: name, destination: destination.trim() };
    onClose();
    await tell(`${name} is also ${body.destination}`, async () => {
      await change("POST", "/api/copy", body);
      await lookAtModels();
    });
  };
  return (
    <Dialog title={`Copy ${name}`} onClose={onClose}>
      <form onSubmit={(event) => void submit(event)}>
        <label>
          Its other name
          <input
            value={destination}
            onInput={(event) => setDestination(event.currentTarget.value)}
          />
        </label>
        <div class="dialog-actions">
          <button type="button" onClick={onClose}>Cancel</button>
          <button type="submit" class="main" disabled={destination.trim() === ""}>Copy</button>
        </div>
      </form>
    </Dialog>
  );
}
