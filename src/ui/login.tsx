import { useState } from "preact/hooks";
import { Dialog } from "./parts/mod.ts";
import { apiKey, ask, askJson, keyWanted, setKey } from "./state/mod.ts";

/** What a link that is good for one login ends in, and behind it the key's id, a colon, and the key. */
const LOGIN_HASH = "#login=";
/** How long a browser's own key lasts, unless it is revoked before. */
const SESSION_TTL = "12h";
const SCOPES = ["use", "models", "admin", "join"];

/**
 * Takes the key out of a link for one login: it makes one of its own for this browser and ends the link's, which then opens
 * nothing for whoever finds it in a history.
 */
export async function takeLogin(): Promise<void> {
  if (!location.hash.startsWith(LOGIN_HASH)) return;
  const [keyId = "", linked = ""] = location.hash.slice(LOGIN_HASH.length).split(":");
  history.replaceState(null, "", location.pathname);
  setKey(linked);
  try {
    const made = await askJson<{ readonly key: string }>("/api/cluster/keys", {
      method: "POST",
      body: { label: "a browser", scopes: SCOPES, ttl: SESSION_TTL },
    });
    setKey(made.key);
    await ask(`/api/cluster/keys/${keyId}`, { method: "DELETE" });
  } catch {
    // Used before, or too old: the dialog says what else opens the page.
    if (apiKey.value === linked) setKey(undefined);
  }
}

/** Asks for a key once a node wants one. */
export function KeyDialog() {
  const wanted = keyWanted.value;
  const [typed, setTyped] = useState("");
  if (wanted === undefined) return null;
  const close = () => keyWanted.value = undefined;
  const submit = (event: Event) => {
    event.preventDefault();
    setKey(typed.trim());
    close();
  };
  return (
    <Dialog title="This needs a key" onClose={close}>
      <form onSubmit={submit}>
        <p class="muted">{wanted}</p>
        <label>
          API key
          <input
            type="password"
            autocomplete="off"
            value={typed}
            onInput={(event) => setTyped(event.currentTarget.value)}
          />
        </label>
        <p class="muted">It is kept until this tab is closed.</p>
        <div class="dialog-actions">
          <button type="button" onClick={close}>Cancel</button>
          <button type="submit" class="main" disabled={typed.trim() === ""}>Use it</button>
        </div>
      </form>
    </Dialog>
  );
}
