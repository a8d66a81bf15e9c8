import { signal } from "@preact/signals";

const KEY_ITEM = "odist-key";
const NODES_ITEM = "odist-nodes";
/** Other nodes remembered at most. */
const NODES_MAX = 64;

/** The key that a person gave for this session; undefined on the node's own machine, which needs none. */
export const apiKey = signal<string | undefined>(sessionStorage.getItem(KEY_ITEM) ?? undefined);

/** What the page was refused for want of a key, in the node's words; undefined while nothing is wanted. */
export const keyWanted = signal<string | undefined>(undefined);

/** The origin that is asked now: the page's own, or of another node once that one is gone. */
export const origin = signal(location.origin);

/** Origins of nodes besides the page's own, for when it is gone. */
let others: readonly string[] = JSON.parse(sessionStorage.getItem(NODES_ITEM) ?? "[]");

/** Keeps the key as long as the tab is open. */
export function setKey(key: string | undefined): void {
  apiKey.value = key;
  if (key === undefined) sessionStorage.removeItem(KEY_ITEM);
  else sessionStorage.setItem(KEY_ITEM, key);
}

/** Remembers where the members of the cluster serve pages. */
export function rememberNodes(origins: readonly string[]): void {
  const known = origins.filter((one) => one !== location.origin).slice(0, NODES_MAX);
  if (known.join() === others.join()) return;
  others = known;
  sessionStorage.setItem(NODES_ITEM, JSON.stringify(known));
}

/** Every origin that may be asked, the page's own first. */
export function knownOrigins(): readonly string[] {
  return [location.origin, ...others];
}
