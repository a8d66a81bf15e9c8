import { useState } from "preact/hooks";
import { Act, Copyable, Dialog, tell, timeText } from "../parts/mod.ts";
import { askJson, change, members, status } from "../state/mod.ts";
import { ListedSection } from "./listed_section.tsx";
import { QrCode } from "./qr_code.tsx";
import { useList } from "./use_list.ts";

interface TokenRow {
  readonly token_id: string;
  readonly expires_at: string;
  readonly uses_left: number;
}

/** What lets machines join, and the line to be run on them. */
export function Tokens() {
  const listed = useList<{ readonly tokens: readonly TokenRow[] }>("/api/cluster/tokens");
  const [token, setToken] = useState<string>();
  const [uses, setUses] = useState(1);
  const make = () =>
    void tell("A token was made", async () => {
      const body = { uses };
      const made = await askJson<{ token: string }>("/api/cluster/tokens", {
        method: "POST",
        body,
      });
      setToken(made.token);
      listed.again();
    });
  const end = (id: string) =>
    void tell("The token lets nobody in any more", async () => {
      await change("DELETE", `/api/cluster/tokens/${id}`);
      listed.again();
    });
  return (
    <ListedSection
      title="Join tokens"
      note="good for an hour"
      listed={listed}
      rows={listed.value?.tokens ?? []}
      heads={["Token", "Good for", "Until", ""]}
      empty="Make a token, and run the line it comes with on the next machine."
      row={(row) => (
        <tr key={row.token_id}>
          <th scope="row">
            <code>{row.token_id}</code>
          </th>
          <td>{row.uses_left} {row.uses_left === 1 ? "machine" : "machines"}</td>
          <td class="nowrap">{timeText(row.expires_at)}</td>
          <td>
            <Act
              icon="trash"
              label={`End token ${row.token_id}`}
              isBare
              onClick={() => end(row.token_id)}
            />
          </td>
        </tr>
      )}
      actions={
        <>
          <input
            type="number"
            class="short"
            min={1}
            max={1000}
            aria-label="Machines that it lets in"
            value={uses}
            onInput={(event) => setUses(Math.max(1, event.currentTarget.valueAsNumber || 1))}
          />
          <Act icon="plus" label="Make a token" tone="main" onClick={make} />
        </>
      }
    >
      {token === undefined
        ? null
        : <JoinDialog token={token} onClose={() => setToken(undefined)} />}
    </ListedSection>
  );
}

function JoinDialog({ token, onClose }: {
  readonly token: string;
  readonly onClose: () => void;
}) {
  const own = members.value.find(({ node_id: id }) => id === status.value?.node_id);
  const line = `ODIST_TOKEN=${token} odist serve --join ${
    own?.address.split(",")[0] ?? "HOST:11435"
  }`;
  return (
    <Dialog title="Run this on the machine that joins" isWide onClose={onClose}>
      <div class="body join">
        <Copyable text={line} label="Copy" />
        <QrCode text={line} label="The line above, for a camera" />
        <p class="muted small">
          It is shown once. Whoever has it may join a machine until it is used up or ends.
        </p>
      </div>
    </Dialog>
  );
}
