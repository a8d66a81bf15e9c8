import { useState } from "preact/hooks";
import { Dialog, tell } from "../parts/mod.ts";
import { change } from "../state/mod.ts";

/** What a key may ask for of the whole cluster; 0 is as much as it likes. */
export interface KeyLimits {
  readonly weight: number;
  readonly requests_per_minute: number;
  readonly tokens_per_day: number;
  readonly concurrent_requests: number;
}

/** Of a key that nobody said anything of. */
export const NO_LIMITS: KeyLimits = {
  weight: 1,
  requests_per_minute: 0,
  tokens_per_day: 0,
  concurrent_requests: 0,
};

const WEIGHT_MAX = 1_000;

const FIELDS = [
  ["weight", "Weight", "its part, when not all can be served"],
  ["requests_per_minute", "Requests a minute", "0 for any"],
  ["tokens_per_day", "Tokens a day", "0 for any"],
  ["concurrent_requests", "Requests at once", "0 for any"],
] as const;

/** `60 requests/min, 4 at once`; "any" where nothing is limited. */
export function limitsText(limits: KeyLimits): string {
  const texts = [
    [limits.requests_per_minute, "requests/min"],
    [limits.tokens_per_day, "tokens/day"],
    [limits.concurrent_requests, "at once"],
  ] as const;
  const said = texts.filter(([count]) => count > 0)
    .map(([count, unit]) => `${count.toLocaleString()} ${unit}`);
  return said.length === 0 ? "any" : said.join(", ");
}

/** A field for each. */
export function LimitFields({ limits, onChange }: {
  readonly limits: KeyLimits;
  readonly onChange: (limits: KeyLimits) => void;
}) {
  return (
    <fieldset class="limits">
      <legend>How much of the cluster it gets</legend>
      {FIELDS.map(([field, title, note]) => (
        <label key={field}>
          <span>
            {title} <span class="muted">{note}</span>
          </span>
          <input
            type="number"
            required
            step={1}
            min={field === "weight" ? 1 : 0}
            max={field === "weight" ? WEIGHT_MAX : Number.MAX_SAFE_INTEGER}
            value={limits[field]}
            onInput={(event) =>
              onChange({ ...limits, [field]: event.currentTarget.valueAsNumber || 0 })}
          />
        </label>
      ))}
    </fieldset>
  );
}

/** Changes those of a key that is there. */
export function LimitsDialog({ row, onClose, onSet }: {
  readonly row: {
    readonly key_id: string;
    readonly label: string;
    readonly limits: KeyLimits;
  };
  readonly onClose: () => void;
  readonly onSet: () => void;
}) {
  const { key_id: id, label } = row;
  const name = label || id;
  const [limits, setLimits] = useState(row.limits);
  const submit = (event: Event) => {
    event.preventDefault();
    void tell(`${name} is held to its limits from the next request on`, async () => {
      await change("PUT", `/api/cluster/keys/${id}/limits`, limits);
      onSet();
      onClose();
    });
  };
  return (
    <Dialog title={`Limits of ${name}`} onClose={onClose}>
      <form onSubmit={submit}>
        <LimitFields limits={limits} onChange={setLimits} />
        <div class="dialog-actions">
          <button type="button" onClick={onClose}>Cancel</button>
          <button type="submit" class="main">Set them</button>
        </div>
      </form>
    </Dialog>
  );
}
