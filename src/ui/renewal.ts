import { effect } from "@preact/signals";
import { isAnswering } from "./chat/mod.ts";
import { isTransferring } from "./models/mod.ts";
import { connection, keepEvents, origin, status } from "./state/mod.ts";

/** For which nodes the document was loaded anew last. */
const RENEWED_ITEM = "odist-renewed";

/**
 * The document's policy allows the nodes that were members when it was served. For those that joined since it is loaded anew, as
 * long as its own node is there to serve it: when that one is dead it is too late.
 */
export function renewForNewNodes(): void {
  const named = document.querySelector<HTMLMetaElement>("meta[name=odist-nodes]")?.content ?? "";
  const allowed = new Set([location.origin, ...named.split(" ")]);
  effect(() => {
    const missing = (status.value?.members ?? []).flatMap(({ api, health }) =>
      api === undefined || health !== "alive" || allowed.has(api) ? [] : [api]
    );
    if (missing.length === 0 || connection.value !== "live") return;
    if (origin.value !== location.origin || !isAtRest()) return;
    // What a document names no sooner than the feed would have it loaded for ever.
    const wanted = missing.join(" ");
    if (sessionStorage.getItem(RENEWED_ITEM) === wanted) return;
    sessionStorage.setItem(RENEWED_ITEM, wanted);
    keepEvents();
    location.reload();
  });
}

/** Whether nothing that somebody does would be lost. */
function isAtRest(): boolean {
  const fields = document.querySelectorAll<HTMLInputElement | HTMLTextAreaElement>(
    "input, textarea",
  );
  return !isAnswering() && !isTransferring() &&
    document.querySelector("dialog[open], .pictures") === null &&
    [...fields].every(({ value }) => value === "");
}
