/**
 * The table of allowed imports between folders, each row with its reason. Whatever has no row is forbidden; so a new
 * arrow shows up in review as a new row.
 *
 * @module
 */

/** Files of `from` may import `to`, through its `mod.ts`. */
export interface Arrow {
  /**
   * A room as {@link roomOf} names it (its subfolders are meant, too), `main.ts`, or `src/core/*` for every part of the core.
   * Within one room: the very folder.
   */
  readonly from: string;
  /** As `from`; where a subfolder is named, that one's own `mod.ts`. */
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
  /** Between rooms. */
  readonly arrows: readonly Arrow[];
  /** Between the folders of one room. A subfolder may always import the files of the folders it stands in. */
  readonly inside: readonly Arrow[];
  readonly packages: readonly PackageRule[];
  readonly unreached: readonly UnreachedRule[];
}

const SHELL = ["http", "transport", "storage", "models", "inference", "telemetry", "power"]
  .map((name) => `src/${name}`);

/** Parts of a running node: they drive the core over adapters. Only `src/node` puts them together. */
const PARTS = [
  "admission",
  "calls",
  "group",
  "members",
  "library",
  "slots",
  "shards",
  "answers",
  "responses",
  "operators",
  "incidents",
]
  .map((name) => `src/${name}`);

function within(room: string, rows: readonly (readonly [string, string, string])[]): Arrow[] {
  const folder = (name: string) => name === "." ? room : `${room}/${name}`;
  return rows.map(([from, to, because]) => ({ from: folder(from), to: folder(to), because }));
}

function arrowsTo(to: string, from: readonly string[], because: string): Arrow[] {
  return from.map((folder) => ({ from: folder, to, because }));
}

export const IMPORT_RULES: ImportRules = {
  arrows: [
    { from: "main.ts", to: "src/cli", because: "The command line is the way in." },
    ...["src/inference/launch", "src/inference/confined"].map((to) => ({
      from: "main.ts",
      to,
      because: "A runner is this program's hidden subcommand and loads nothing of the node.",
    })),
    {
      from: "main.ts",
      to: "src/models/template_worker",
      because: "So is a template worker.",
    },
    { from: "main.ts", to: "deno.json", because: "The version stands in one place." },
    ...arrowsTo("src/base", ["src/cli"], "Errors and durations are shown to people."),
    ...arrowsTo(
      "src/confinement",
      ["main.ts", "src/inference", "src/models"],
      "They start processes with only the rights those need.",
    ),
    {
      from: "src/cli",
      to: "src/confinement",
      because: "`serve` gives up rights before it starts a node.",
    },
    { from: "src/cli", to: "src/config", because: "Flags come from the one schema." },
    { from: "src/cli", to: "src/node", because: "`serve` starts a node." },
    { from: "src/cli", to: "src/protocol", because: "Commands print shapes that nodes send." },
    {
      from: "src/cli",
      to: "src/transport",
      because: "A command may ask a node through its port for other nodes.",
    },
    {
      from: "src/cli",
      to: "src/incidents",
      because: "An incident is replayed without a node.",
    },
    {
      from: "src/cli",
      to: "src/core/scheduler",
      because: "`plan` asks the planner itself, for nodes that need not be there.",
    },
    {
      from: "src/cli",
      to: "src/inference/backends",
      because: "Which libraries drive this machine's devices is known without a node.",
    },
    {
      from: "src/cli",
      to: "src/models/gguf",
      because: "What a header says of a model is known without a store.",
    },
    ...arrowsTo(
      "src/models/modelfile",
      ["src/cli", "src/http", "src/ui"],
      "What a Modelfile may say, and which options there are, is known without a model.",
    ),
    {
      from: "src/ui",
      to: "src/incidents/replaying",
      because:
        "The page steps through an incident itself: a file may be anybody's, and keeps no node busy.",
    },
    {
      from: "src/cli",
      to: "src/models",
      because: "Which window a model gets is resolved there, as for a request.",
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
    { from: "src/group", to: "src/core/raft_calls", because: "Its calls are recorded." },
    { from: "src/core/raft_calls", to: "src/core/raft", because: "It is a node, called." },
    {
      from: "src/core/raft_calls",
      to: "src/ports",
      because: "What it reads of the log is recorded, too.",
      typesOnly: true,
    },
    {
      from: "src/incidents",
      to: "src/core/raft",
      because: "A recorded node begins with its options.",
      typesOnly: true,
    },
    {
      from: "src/members",
      to: "src/core/membership",
      because: "It drives gossip.",
    },
    {
      from: "src/members",
      to: "src/library",
      because: "Which member holds what is told in its words.",
    },
    {
      from: "src/members",
      to: "src/calls",
      because: "A neighbour is asked to wake a machine.",
    },
    ...arrowsTo(
      "src/core/sleeping",
      ["src/members", "src/operators"],
      "Whether a machine may sleep, and who wakes it, is decided there.",
    ),
    {
      from: "src/members",
      to: "src/core/raft",
      because: "Voters are what the log's configuration says.",
    },
    ...arrowsTo(
      "src/core/catalogue",
      ["src/admission", "src/group", "src/members", "src/library", "src/operators", "src/slots"],
      "What the cluster agreed on is read and changed through it.",
    ),
    { from: "src/operators", to: "src/core/raft", because: "Status tells how the log stands." },
    {
      from: "src/operators",
      to: "src/members",
      because: "What is loaded is told of other nodes, too.",
      typesOnly: true,
    },
    {
      from: "src/operators",
      to: "src/slots",
      because: "What is loaded is told of this node.",
      typesOnly: true,
    },
    ...arrowsTo(
      "src/group",
      ["src/admission", "src/library", "src/operators"],
      "Changes are proposed to it.",
    ),
    { from: "src/admission", to: "src/transport", because: "Joiners come in at the port." },
    { from: "src/admission", to: "src/core/raft", because: "Who votes keeps the authority." },
    { from: "src/admission", to: "src/operators", because: "An entry says who was let in." },
    { from: "src/calls", to: "src/transport", because: "A purpose is told on a stream." },
    {
      from: "src/calls",
      to: "src/models",
      because: "A definition crosses nodes as a message.",
      typesOnly: true,
    },
    ...arrowsTo(
      "src/calls",
      ["src/admission", "src/incidents", "src/library", "src/responses", "src/slots", "src/shards"],
      "Other nodes are asked over it.",
    ),
    ...arrowsTo(
      "src/models",
      ["src/library", "src/slots", "src/shards", "src/answers"],
      "What a model is, on this node.",
    ),
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
    {
      from: "src/responses",
      to: "src/core/journals",
      because: "Which answers are kept, and when they may be shown, is decided there.",
    },
    { from: "src/slots", to: "src/core/scheduler", because: "It drives the scheduler." },
    ...arrowsTo(
      "src/core/answers",
      ["src/incidents"],
      "What is recorded of an answer is stepped through there again.",
    ),
    ...["scheduler", "membership", "raft_calls", "catalogue"].map((part) => ({
      from: "src/incidents",
      to: `src/core/${part}`,
      because: "What is recorded of it is stepped through there again.",
    })),
    {
      from: "src/inference",
      to: "src/core/kv_cache",
      because: "What of computed prefixes is kept beside the slots is decided there.",
    },
    {
      from: "src/inference",
      to: "src/core/speculation",
      because: "What is computed ahead of an answer is decided there.",
    },
    {
      from: "src/slots",
      to: "src/core/kv_cache",
      because: "Whether computed prefixes are fetched from another node is decided there.",
    },
    ...arrowsTo(
      "src/core/queue",
      ["src/http", "src/operators"],
      "What a key may ask for is written and counted there.",
    ),
    {
      from: "src/core/scheduler",
      to: "src/core/queue",
      because: "Who waits for a slot, and who is next.",
    },
    {
      from: "src/core/answers",
      to: "src/core/kv_cache",
      because: "What a move of cells is worth to a choice of nodes is decided there.",
    },
    {
      from: "src/storage",
      to: "src/core/kv_cache",
      because: "Which files of computed prefixes have to go is decided there.",
    },
    { from: "src/shards", to: "src/core/scheduler", because: "Where layers lie is planned there." },
    { from: "src/shards", to: "src/slots", because: "A worker's memory is a slot's." },
    {
      from: "src/slots",
      to: "src/inference",
      because: "A model on another node is one over a channel, as a runner's is.",
    },
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
    {
      from: "src/models",
      to: "src/core/generation",
      because: "How a family's answers are read is data there.",
      typesOnly: true,
    },
    {
      from: "src/core/generation",
      to: "src/core/tool_calls",
      because: "Content is searched for calls.",
    },
    {
      from: "src/core/grammar",
      to: "src/core/gbnf",
      because: "A schema's rules are written there.",
    },
    {
      from: "src/core/grammar",
      to: "src/core/tool_calls",
      because: "A call that must be made is written as it is read.",
    },
    ...arrowsTo("src/core/grammar", ["src/answers"], "A schema becomes a grammar there."),
    { from: "src/answers", to: "src/slots", because: "An answer needs a slot." },
    {
      from: "src/telemetry",
      to: "src/protocol",
      because: "A run is traced by its events.",
      typesOnly: true,
    },
    ...arrowsTo(
      "src/telemetry",
      ["src/answers", "src/slots", "src/http"],
      "A process has one tracer, which Deno's own spans go to, too.",
    ),
    ...arrowsTo("src/ports", SHELL, "An adapter implements a port."),
    ...arrowsTo(
      "src/protocol",
      SHELL.filter((room) => room !== "src/telemetry" && room !== "src/power"),
      "Adapters carry the shapes that nodes send.",
    ),
    ...arrowsTo("src/base", SHELL, "Errors, ids and formatting."),
    { from: "src/core/*", to: "src/protocol", because: "Messages and commands are protocol." },
    { from: "src/core/*", to: "src/base", because: "Assertions, ids and the integer random." },
    { from: "src/core/raft", to: "src/core/voting", because: "It counts votes." },
    {
      from: "src/core/catalogue",
      to: "src/core/voting",
      because: "Who may vote leaves a living quorum, which is counted in one way.",
    },
    {
      from: "src/operators",
      to: "src/core/voting",
      because: "Whether changes are possible is shown, and what a recovery would do.",
    },
    {
      from: "src/group",
      to: "src/core/voting",
      because: "Whether those that are left could elect anybody is decided there.",
    },
    {
      from: "src/admission",
      to: "src/core/voting",
      because: "What another node's recovery is to this one is decided there.",
    },
    {
      from: "src/core/raft",
      to: "src/ports",
      because: "The log it reads is the storage's, which may not know the core.",
      typesOnly: true,
    },
    ...arrowsTo("src/protocol", ["src/ports"], "Ports speak in protocol shapes."),
    ...arrowsTo("src/base", ["src/ports", "src/protocol"], "Ids are branded once."),
  ],
  inside: [
    ...within("src/cli", [
      [".", "cluster", "The list of commands is put together at the top."],
      [".", "commands", "The list of commands is put together at the top."],
      [".", "installed", "The list of commands is put together at the top."],
      [".", "itself", "The list of commands is put together at the top."],
      [".", "client", "Every command gets a client of the node it is about."],
      [".", "plan", "The list of commands is put together at the top."],
      [".", "terminal", "Every command gets the terminal it writes to."],
      [".", "incidents", "The list of commands is put together at the top."],
      ["incidents", "client", "What is kept for others was asked of a node."],
      ["incidents", "terminal", "Timelines, JSON."],
      ["cluster", "client", "What is printed was asked of a node."],
      ["cluster", "terminal", "Tables, styles, JSON."],
      ["commands", "client", "What is printed was asked of a node."],
      ["commands", "create", "`create` uploads what a Modelfile names."],
      ["commands", "repl", "`run` without a prompt is a conversation."],
      ["commands", "terminal", "Tables, styles, progress, JSON."],
      ["cluster", "installed", "Which of two versions is the older one is known there."],
      ["installed", "terminal", "Tables, JSON."],
      ["itself", "client", "Libraries may come from another node."],
      ["itself", "doctor", "`doctor` shows what it found."],
      ["itself", "terminal", "Tables, styles, JSON."],
      ["create", "client", "Files are sent to a node."],
      ["create", "terminal", "An upload shows how far it is."],
      ["doctor", "client", "It asks whether a node answers."],
      ["plan", "terminal", "Styles, JSON."],
      ["repl", "client", "A conversation is asked of a node."],
      ["repl", "terminal", "It is typed and shown there."],
      ["terminal", "client", "Views read the JSON a node answered."],
    ]),
    ...within("src/http", [
      [".", "anthropic", "The app is made of the families of endpoints."],
      [".", "connections", "Requests come in there."],
      [".", "extras", "The app is made of the families of endpoints."],
      [".", "openapi", "The endpoints describe themselves."],
      [".", "page", "The app is made of the families of endpoints."],
      [".", "requests", "The app is made of the families of endpoints."],
      ["requests", "wire", "Every family reads and answers in the same way."],
      ["openapi", "wire", "It describes by what is read."],
      [".", "openai", "The app is made of the families of endpoints."],
      ["extras", "openai", "What fails is said in the words of the API that was asked."],
      ["extras", "wire", "Every family reads and answers in the same way."],
      [".", "responses", "The app is made of the families of endpoints."],
      [".", "resuming", "Some requests are answered so that clients may come back."],
      ["resuming", "wire", "Every family reads and answers in the same way."],
      ["extras", "resuming", "An answer is told from a byte on there."],
      ["responses", "resuming", "One that is still being made is told from an event on."],
      ["responses", "openai", "Both are OpenAI's: errors and arguments are worded alike."],
      ["responses", "wire", "Every family reads and answers in the same way."],
      ["openai", "anthropic", "Both have their models on one path."],
      ["anthropic", "wire", "Every family reads and answers in the same way."],
      ["openai", "wire", "Every family reads and answers in the same way."],
      ["connections", "trust", "An address has one spelling."],
      ["connections", "wire", "Answers are sent in the parts that they are made of."],
      [".", "trust", "Who may ask is known before a request is read."],
      [".", "wire", "Every family reads and answers in the same way."],
    ]),
    ...within("src/ui", [
      ...["chat", "cluster", "models", "operations", "requests"].map((
        view,
      ): [string, string, string] => [".", view, "The page is made of its views."]),
      [".", "parts", "Views are put together from them."],
      [".", "state", "The page shows who is asked, and how the cluster is."],
      ...["chat", "cluster", "models", "operations", "requests"].flatMap((
        view,
      ): [string, string, string][] => [
        [view, "parts", "Views are put together from them."],
        [view, "state", "It shows what a node said, and asks it."],
      ]),
      ["chat", "requests", "An answer shows why it came from where it did."],
      ["models", "cluster", "Where models lie is shown with both."],
      ["operations", "replayer", "What the second script says is what is shown."],
    ]),
    ...within("src/incidents", [
      [".", "replaying", "What is written is read and stepped through there."],
    ]),
    ...within("src/members", [[".", "sleeping", "The folder's face shows all pieces."]]),
    ...within("src/base", [
      [".", "waiting", "The folder's face shows all pieces."],
      [".", "state", "The folder's face shows all pieces."],
    ]),
    ...within("src/inference", [
      [".", "channel", "A runner's model is one over its pipe."],
      [".", "quantize", "The engine's side of rewriting a file."],
      ["quantize", "llama", "It calls the library."],
      ["runner", "exactness", "A model is computed as it was proven exact."],
      ["runner", "llama", "It calls the library."],
      ["runner", "sharding", "It leads others, or is a worker."],
      ["sharding", "llama", "It calls the library."],
      ["runner", "cells", "What slots give up may be kept."],
      ["cells", "llama", "It calls the library."],
      ["runner", "images", "An image stands in a window as tokens do."],
      ["images", "llama", "It calls the library."],
      ["images", "webp", "What the library can't decode comes to it as pixels."],
      ["confined", "llama", "It tells which libraries there are."],
      [".", "backends", "The engine's side of what a machine has."],
      ["backends", "launch", "Which libraries there are for a platform stands there."],
      ["confined", "runner", "It serves a model by it."],
      ["confined", "quantize", "It rewrites a file by it."],
    ]),
    ...within("src/models", [
      [".", "families", "Answers are read as the model's family writes them."],
      [".", "create", "The store makes models."],
      [".", "gguf", "The store reads headers."],
      [".", "modelfile", "`show` writes one."],
      [".", "registry", "The store pulls and pushes."],
      [".", "stored", "The store describes what it holds."],
      [".", "template", "A model's template is part of its face."],
      [".", "template_worker", "Nothing else runs templates."],
      [".", "transfer", "The store bounds what is fetched at once."],
      ["create", "gguf", "A part is what its header says."],
      ["create", "modelfile", "A recipe's options are checked by their table."],
      ["create", "families", "A name that means no family is told."],
      ["create", "template", "Weights whose template says what a known one says get that one."],
      ["create", "stored", "A recipe may begin with a stored model."],
      ["registry", "transfer", "A pull is made of transfers."],
      ["stored", "gguf", "Facts of a model stand in its header."],
      ["stored", "modelfile", "Stored options are read by their table."],
      ["stored", "template", "What a template can do is part of a model."],
      ["stored", "template_worker", "It is found out there."],
      ["template_worker", "template", "A worker compiles and runs it."],
      ["template", "go_template", "One of the two kinds of templates."],
      ["template", "families", "A template speaks a family's language."],
    ]),
    ...within("src/slots", [
      [".", "cells", "The folder's face shows all pieces."],
      [".", "proving", "The folder's face shows all pieces."],
    ]),
    ...within("src/responses", [[".", "journals", "The folder's face shows all pieces."]]),
    ...within("src/node", [[".", "assembly", "A node is its parts put together."]]),
    ...within("src/protocol", [
      [".", "contact", "The folder's face shows all shapes."],
      [".", "gossip", "The folder's face shows all shapes."],
      [".", "model", "The folder's face shows all shapes."],
      [".", "raft", "The folder's face shows all shapes."],
    ]),
    ...within("src/storage", [
      [".", "secrets", "Keys are stored with what they open."],
      [".", "cells", "The folder's face shows all pieces."],
      [".", "ranges", "The folder's face shows all pieces."],
    ]),
    ...within("src/transport", [
      [".", "connecting", "A transport dials and listens."],
      [".", "discovery", "A transport's face shows how to be found."],
      [".", "framing", "Streams carry frames."],
      [".", "identity", "A transport is somebody's."],
      [".", "joining", "The face shows how a cluster is joined."],
      [".", "remote", "Clients come in at the same port."],
      ["connecting", "framing", "Greetings are frames."],
      ["connecting", "identity", "Greetings are signed."],
      ["connecting", "joining", "A joiner dials from a port of its own."],
      ["joining", "identity", "Both sides of a join sign."],
      ["remote", "connecting", "A client dials as a joiner does."],
      ["remote", "framing", "Requests are frames."],
      ["remote", "identity", "A client knows the cluster by its authority."],
    ]),
  ],
  packages: [
    { name: "hono", folders: ["src/http"], because: "The router is an HTTP matter." },
    {
      name: "devalue",
      folders: ["src/incidents"],
      because:
        "Writes plain data with maps, bytes and shared objects as text, and reads it safely.",
    },
    { name: "commander", folders: ["src/cli"], because: "Argument parsing." },
    {
      name: "cborg",
      folders: ["src/inference", "src/transport"],
      because: "Frames are encoded where they leave the process.",
    },
    {
      name: "@noble/hashes",
      folders: ["src/base"],
      because: "Pure code needs a hash that is synchronous, and better kept than one of its own.",
    },
    {
      name: "@peculiar/*",
      folders: ["src/transport"],
      because: "Certificates are made and read where connections are.",
    },
    { name: "prom-client", folders: ["src/telemetry"], because: "Metrics have one owner." },
    {
      name: "@opentelemetry/api",
      folders: ["src/telemetry"],
      because: "The way to the tracer that Deno has; nothing is read of it where Deno has none.",
    },
    {
      name: "@jsquash/webp",
      folders: ["src/inference"],
      because:
        "libwebp as WebAssembly: 170 KB on every platform, whose faults reach nothing but their own memory.",
    },
    {
      name: "@huggingface/jinja",
      folders: ["src/models"],
      because: "A chat template is part of a model.",
    },
    {
      name: "preact",
      folders: ["src/ui"],
      because: "Typed components in 5 KiB, and no server of its own.",
    },
    {
      name: "marked",
      folders: ["src/ui"],
      because: "Answers are Markdown. Its tokens become elements, never HTML.",
    },
    {
      name: "lowlight",
      folders: ["src/ui"],
      because: "Colours code as a tree of elements, never HTML.",
    },
    { name: "highlight.js", folders: ["src/ui"], because: "The grammars that it colours by." },
    { name: "uqr", folders: ["src/ui"], because: "The line that joins a machine, for cameras." },
    {
      name: "@preact/signals",
      folders: ["src/ui"],
      because: "What the cluster says changes what is shown of it, and no more.",
    },
    {
      name: "ipaddr.js",
      folders: ["src/models"],
      because:
        "Which networks are private is a registry of its own, and registries may not send us there.",
    },
    {
      name: "proxy-from-env",
      folders: ["src/models"],
      because:
        "HTTPS_PROXY and NO_PROXY have as many readings as programs; this is the common one.",
    },
    {
      name: "modern-tar",
      folders: ["src/inference"],
      because: "Packages of libraries come as archives, which strangers may have made.",
    },
    {
      name: "node:*",
      folders: [
        "src/cli",
        "src/config",
        "src/node",
        "src/group",
        "src/library",
        "src/operators",
        "src/slots",
        "src/shards",
        ...SHELL.filter((room) => room !== "src/telemetry"),
      ],
      because: "Pure folders must run without any runtime.",
    },
  ],
  unreached: [
    {
      path: "src/ui",
      because: "Browsers start there: `scripts/packaging/page.ts` makes its scripts.",
    },
    ...["inference/launch", "inference/confined", "models/template_worker"].map((name) => ({
      path: `src/${name}/main.ts`,
      because: "A process starts there, so that it reads no other part of the program.",
    })),
  ],
};

/** The room a file stands in: `main.ts`, `src/http`, `src/core/raft`, or its top folder. */
export function roomOf(path: string): string {
  const parts = path.split("/");
  if (parts.length === 1) return path;
  if (parts[0] !== "src") return parts[0] ?? path;
  return parts.slice(0, parts[1] === "core" ? 3 : 2).join("/");
}
