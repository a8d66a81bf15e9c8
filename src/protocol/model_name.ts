/** A full model name, defaults applied (contract 2.1). */
export interface ModelName {
  readonly host: string;
  readonly namespace: string;
  readonly model: string;
  readonly tag: string;
  /** The node that keeps it beside the cluster's model of the name; absent = the name itself. Never part of what is stored. */
  readonly node?: string;
}

/** Host of a name that has none: where an unqualified `pull` goes. */
const DEFAULT_HOST = "registry.ollama.ai";
/** Namespace of a name that has none; left out of display names. */
const DEFAULT_NAMESPACE = "library";
/** Tag of a name that has none; never left out of display names. */
const DEFAULT_TAG = "latest";

/** The grammar of each part (contract 2.1). A `.` is no part of a namespace, a `:` only of a host. */
const PART_PATTERNS: Readonly<Record<"host" | "namespace" | "model" | "tag", RegExp>> = {
  host: /^[A-Za-z0-9_][A-Za-z0-9_.:-]{0,349}$/,
  namespace: /^[A-Za-z0-9_][A-Za-z0-9_-]{0,79}$/,
  model: /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,79}$/,
  tag: /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,79}$/,
};

/** Longest text worth parsing, in UTF-16 units: all parts at their limits, a scheme and the separators. */
const NAME_LENGTH_MAX = 700;

/** Parses `[scheme://][host/][namespace/]model[:tag]`; undefined when it breaks the grammar. The scheme is dropped. */
export function parseModelName(text: string): ModelName | undefined {
  if (text.length > NAME_LENGTH_MAX) return undefined;
  const name = splitModelName(text);
  return isModelName(name) ? name : undefined;
}

/** As {@link parseModelName}, with `@node` behind it where a node's own model is meant. */
export function parseKeptName(text: string): ModelName | undefined {
  const kept = /^(.*)@([A-Za-z0-9._-]{1,64})$/.exec(text);
  const [, bare = text, node] = kept ?? [];
  const name = parseModelName(bare);
  return name === undefined || node === undefined ? name : { ...name, node };
}

/** Whether each part obeys the grammar; names from disk and peers are checked with it too. */
export function isModelName(name: ModelName): boolean {
  return PART_PATTERNS.host.test(name.host) && PART_PATTERNS.namespace.test(name.namespace) &&
    PART_PATTERNS.model.test(name.model) && PART_PATTERNS.tag.test(name.tag);
}

function splitModelName(text: string): ModelName {
  const slash = text.lastIndexOf("/");
  const colon = text.lastIndexOf(":");
  // The last `:` separates a tag only after the last `/`: before it, it belongs to the host's port.
  const hasTag = colon > slash;
  const tag = hasTag ? text.slice(colon + 1) : DEFAULT_TAG;
  const path = hasTag ? text.slice(0, colon) : text;
  const [rest, model] = cutLastSlash(path);
  if (rest === undefined) {
    return { host: DEFAULT_HOST, namespace: DEFAULT_NAMESPACE, model, tag };
  }
  const [before, namespace] = cutLastSlash(rest);
  if (before === undefined) return { host: DEFAULT_HOST, namespace, model, tag };
  return { host: before.replace(/^[^:/]+:\/\//, ""), namespace, model, tag };
}

/** Text before the last `/`, undefined when there is none, and the text after it. */
function cutLastSlash(text: string): [string | undefined, string] {
  const slash = text.lastIndexOf("/");
  return slash < 0 ? [undefined, text] : [text.slice(0, slash), text.slice(slash + 1)];
}

/** `host/namespace/model:tag`, nothing left out. */
export function formatModelName(name: ModelName): string {
  return `${name.host}/${name.namespace}/${name.model}:${name.tag}${atNode(name)}`;
}

/** The shortest text that parses to the name, except that the tag is always there. */
export function displayModelName(name: ModelName): string {
  const short = `${name.model}:${name.tag}${atNode(name)}`;
  if (name.host !== DEFAULT_HOST) return `${name.host}/${name.namespace}/${short}`;
  return name.namespace === DEFAULT_NAMESPACE ? short : `${name.namespace}/${short}`;
}

function atNode({ node }: ModelName): string {
  return node === undefined ? "" : `@${node}`;
}

/** Case-insensitive equality (contract 2.1). */
export function isSameModelName(left: ModelName, right: ModelName): boolean {
  return formatModelName(left).toLowerCase() === formatModelName(right).toLowerCase();
}
