import { useState } from "preact/hooks";
import { PlacementTable } from "../cluster/mod.ts";
import {
  Act,
  agoText,
  bytesText,
  confirmed,
  Empty,
  ModelName,
  Section,
  Tag,
  tell,
} from "../parts/mod.ts";
import { change, lookAtModels, type Model, models } from "../state/mod.ts";
import { Arrivals } from "./arrivals.tsx";
import { CreateDialog, PullForm, Transfers } from "./get_models.tsx";
import { CopyDialog, ShowDialog } from "./model_dialogs.tsx";

type Window =
  | { readonly kind: "create" }
  | { readonly kind: "show" | "copy"; readonly name: string };

/** The cluster's models: got, made, looked at, named and let go. */
export function ModelsView() {
  const [open, setOpen] = useState<Window>();
  const close = () => setOpen(undefined);
  return (
    <>
      <Section
        title="Models of the cluster"
        actions={
          <>
            <PullForm />
            <Act icon="edit" label="Make one" onClick={() => setOpen({ kind: "create" })} />
          </>
        }
      >
        <Transfers />
        <ModelCards onOpen={setOpen} />
      </Section>
      <Arrivals />
      <PlacementTable canPin />
      {open?.kind === "create" ? <CreateDialog onClose={close} /> : null}
      {open?.kind === "show" ? <ShowDialog name={open.name} onClose={close} /> : null}
      {open?.kind === "copy" ? <CopyDialog name={open.name} onClose={close} /> : null}
    </>
  );
}

function ModelCards({ onOpen }: { readonly onOpen: (window: Window) => void }) {
  const all = models.value;
  if (all === undefined) return <Empty>Asking…</Empty>;
  if (all.length === 0) {
    return (
      <Empty>
        There is no model yet: type the name of one above, such as llama3.2, and pull it.
      </Empty>
    );
  }
  return (
    <div class="cards">
      {all.map((model) => <ModelCard key={model.name} model={model} onOpen={onOpen} />)}
    </div>
  );
}

function ModelCard({ model, onOpen }: {
  readonly model: Model;
  readonly onOpen: (window: Window) => void;
}) {
  const { name, size, details, modified_at: modifiedAt, capabilities = [], local } = model;
  const facts = [
    details.parameter_size,
    details.quantization_level,
    bytesText(size),
    details.context_length === undefined ? "" : `${details.context_length} tokens of context`,
  ].filter((fact) => fact !== "");
  return (
    <article class="card" aria-label={name}>
      <header class="card-head">
        <h3>
          <ModelName name={name} />
        </h3>
        {local === true ? <Tag tone="warn">this node's own</Tag> : null}
      </header>
      <p class="muted small">{facts.join(" · ")}</p>
      <ul class="chips" aria-label="What it can do">
        {capabilities.map((one) => <li key={one}>{one}</li>)}
      </ul>
      <p class="muted small">{details.family} · changed {agoText(modifiedAt)}</p>
      <div class="actions">
        <Act icon="info" label="Show" onClick={() => onOpen({ kind: "show", name })} />
        <Act icon="copy" label="Copy" onClick={() => onOpen({ kind: "copy", name })} />
        <Act icon="trash" label="Delete" onClick={() => void remove(name)} />
      </div>
    </article>
  );
}

async function remove(name: string): Promise<void> {
  const isMeant = await confirmed({
    title: `Delete ${name}?`,
    text: "It is gone on every node, also on those that are off now.",
    action: "Delete",
  });
  if (!isMeant) return;
  await tell(`${name} is gone`, async () => {
    await change("DELETE", "/api/delete", { model: name });
    await lookAtModels();
  });
}
