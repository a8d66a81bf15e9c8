/**
 * The table of allowed imports between folders, each row with its reason. Whatever has no row is forbidden; so a new
 * arrow shows up in review as a new row.
 *
 * @module
 */

/** Files of `from` may import `to`, through its `mod.ts`. */
export interface Arrow {
  /** A folder as {@link folderOf} names it, `main.ts`, or `src/core/*` for every part of the core. */
  readonly from: string;
  /** As `from`. */
  readonly to: string;
  readonly because: string;
  /** Only `import type`: the code behind it is not called. */
  readonly typesOnly?: true;
}

/** Third-party package or `node:` module, and the only folders that may import it. */
export interface PackageRule {
  /** A package name, or a prefix ending in `*`. */
  readonly name: string;
  readonly folders: readonly string[];
  readonly because: string;
}

/** A file or folder that `main.ts` need not reach, until it does. */
export interface UnreachedRule {
  readonly path: string;
  readonly because: string;
}

/** Everything the import check knows about the layout. */
export interface ImportRules {
  readonly arrows: readonly Arrow[];
  readonly packages: readonly PackageRule[];
  readonly unreached: readonly UnreachedRule[];
}

const SHELL = ["http", "transport", "storage", "models", "inference", "telemetry"]
  .map((name) => `src/${name}`);

/** Parts of a running node: they drive the core over adapters. Only `src/node` puts them together. */
const PARTS = ["calls", "group", "members", "library", "slots", "answers", "operators"]
  .map((name) => `src/${name}`);

function arrowsTo(to: string, from: readonly string[], because: string): Arrow[] {
  return from.map((folder) => ({ from: folder, to, because }));
}

export const IMPORT_RULES: ImportRules = {
  arrows: [
    { from: "main.ts", to: "src/cli", because: "The command line is the way in." },
    {
      from: "main.ts",
      to: "src/inference",
      because: "A runner is this program's hidden subcommand and loads nothing of the node.",
    },
    { from: "main.ts", to: "src/config", because: "Arguments and environment are read once." },
    { from: "main.ts", to: "deno.json", because: "The version stands in one place." },
    ...arrowsTo("src/base", ["main.ts", "src/cli"], "Errors and durations are shown to people."),
    { from: "src/cli", to: "src/config", because: "Flags come from the one schema." },
    { from: "src/cli", to: "src/node", because: "`serve` starts a node." },
    { from: "src/cli", to: "src/ports", because: "`serve` and `doctor` name what they ask of." },
    { from: "src/cli", to: "src/protocol", because: "Commands print shapes that nodes send." },
    {
      from: "src/cli",
      to: "src/transport",
      because: "A command may ask a node through its port for other nodes.",
    },
    { from: "src/config", to: "src/base", because: "Durations, sizes and errors." },
    ...[
      ...SHELL,
      ...PARTS,
      "src/core/*",
      "src/config",
      "src/ports",
      "src/protocol",
      "src/base",
    ].map((to) => ({
      from: "src/node",
      to,
      because: "The node is the only place where parts meet.",
    })),
    ...arrowsTo("src/ports", PARTS, "A part speaks to the world through ports."),
    ...arrowsTo("src/protocol", PARTS, "A part drives what nodes send each other."),
    ...arrowsTo("src/base", PARTS, "Errors, ids and formatting."),
    { from: "src/group", to: "src/core/raft", because: "It drives the log." },
    {
      from: "src/members",
      to: "src/core/membership",
      because: "It drives gossip.",
    },
    {
      from: "src/members",
      to: "src/core/raft",
      because: "Voters are what the log's configuration says.",
    },
    {
      from: "src/members",
      to: "src/storage",
      because: "Addresses of peers outlive a restart.",
    },
    ...arrowsTo(
      "src/core/catalogue",
      ["src/group", "src/members", "src/library", "src/operators"],
      "What the cluster agreed on is read and changed through it.",
    ),
    { from: "src/operators", to: "src/core/raft", because: "Status tells how the log stands." },
    ...arrowsTo("src/group", ["src/library", "src/operators"], "Changes are proposed to it."),
    { from: "src/calls", to: "src/transport", because: "A purpose is told on a stream." },
    {
      from: "src/calls",
      to: "src/models",
      because: "A definition crosses nodes as a message.",
      typesOnly: true,
    },
    ...arrowsTo("src/calls", ["src/library", "src/slots"], "Other nodes are asked over it."),
    ...arrowsTo(
      "src/models",
      ["src/library", "src/slots", "src/answers"],
      "What a model is, on this node.",
    ),
    { from: "src/library", to: "src/storage", because: "What was here outlives a restart." },
    {
      from: "src/library",
      to: "src/core/scheduler",
      because: "A holder says how busy it is in the scheduler's words.",
      typesOnly: true,
    },
    ...arrowsTo(
      "src/core/answers",
      ["src/slots", "src/answers"],
      "What happens when a slot is lost is decided there.",
    ),
    {
      from: "src/core/answers",
      to: "src/core/generation",
      because: "A runner goes on from the journal of what was read.",
    },
    {
      from: "src/core/answers",
      to: "src/core/scheduler",
      because: "A search for a slot scores the nodes that hold the model.",
    },
    { from: "src/slots", to: "src/core/scheduler", because: "It drives the scheduler." },
    { from: "src/slots", to: "src/library", because: "Who holds a model may lend a slot on it." },
    {
      from: "src/answers",
      to: "src/core/scheduler",
      because: "A request says what it needs in the scheduler's words.",
    },
    ...arrowsTo(
      "src/core/generation",
      ["src/answers"],
      "Tokens become text there.",
    ),
    ...arrowsTo("src/core/grammar", ["src/answers"], "A schema becomes a grammar there."),
    { from: "src/answers", to: "src/slots", because: "An answer needs a slot." },
    ...arrowsTo("src/ports", SHELL, "An adapter implements a port."),
    ...arrowsTo("src/protocol", SHELL, "Adapters carry the shapes that nodes send."),
    ...arrowsTo("src/base", SHELL, "Errors, ids and formatting."),
    { from: "src/core/*", to: "src/protocol", because: "Messages and commands are protocol." },
    { from: "src/core/*", to: "src/base", because: "Assertions, ids and the integer random." },
    {
      from: "src/core/raft",
      to: "src/ports",
      because: "The log it reads is the storage's, which may not know the core.",
      typesOnly: true,
    },
    {
      from: "src/core/scheduler",
      to: "src/core/catalogue",
      because: "Placement reads what the cluster agreed on.",
      typesOnly: true,
    },
    ...arrowsTo("src/protocol", ["src/ports"], "Ports speak in protocol shapes."),
    ...arrowsTo("src/base", ["src/ports", "src/protocol"], "Ids are branded once."),
  ],
  packages: [
    { name: "hono", folders: ["src/http"], because: "The router is an HTTP matter." },
    { name: "commander", folders: ["src/cli", "main.ts"], because: "Argument parsing." },
    {
      name: "cborg",
      folders: ["src/inference", "src/transport"],
      because: "Frames are encoded where they leave the process.",
    },
    {
      name: "@peculiar/*",
      folders: ["src/transport"],
      because: "Certificates are made and read where connections are.",
    },
    { name: "prom-client", folders: ["src/telemetry"], because: "Metrics have one owner." },
    {
      name: "@huggingface/jinja",
      folders: ["src/models"],
      because: "A chat template is part of a model.",
    },
    {
      name: "@node-llama-cpp/*",
      folders: ["src/inference"],
      because: "Only a runner touches llama.cpp.",
    },
    {
      name: "node:*",
      folders: ["main.ts", "src/cli", "src/config", "src/node", ...PARTS, ...SHELL],
      because: "Pure folders must run without any runtime.",
    },
  ],
  unreached: [],
};

/** The folder a file's rules come from: `main.ts`, `src/http`, `src/core/raft`, or its top folder. */
export function folderOf(path: string): string {
  const parts = path.split("/");
  if (parts.length === 1) return path;
  if (parts[0] !== "src") return parts[0] ?? path;
  return parts.slice(0, parts[1] === "core" ? 3 : 2).join("/");
}
