import { CLUSTER_PORT, formatHost, type HostAddress } from "./host_address.ts";
import type { OptionSpec, ValueOf } from "./option_spec.ts";

/** Context windows above this are refused as a mistake. */
const CONTEXT_TOKENS_MAX = 16 * 1024 * 1024;
/** As many as nodes tell each other, and as long as these may be together. */
const ADVERTISED_MAX = 4;
const ADVERTISED_CHARACTERS_MAX = 128;
const DAY_MS = 24 * 60 * 60 * 1_000;
const MIB = 1024 * 1024;
const TIB = MIB * MIB;

/**
 * Every option, once. The parser, `--help`, the file format, `odist config` and docs/CONFIG.md are made from this
 * table. Keys are the names in {@link Config}, with their units; users see the flag.
 */
export const OPTIONS = {
  host: {
    slice: "http",
    kind: "address",
    flag: "host",
    alias: { variable: "OLLAMA_HOST" },
    default: "127.0.0.1:11434",
    summary: "Address a node listens on and commands talk to.",
    details:
      "`host`, `host:port`, `:port`, `[ipv6]:port` or `scheme://host:port/path`. A scheme without a port means that scheme's own port. " +
      "For commands also `odist://host:port`, a node's port for other nodes, which takes who has a key. " +
      "Port 0 listens on any free port. Any address but a loopback one opens the API to everyone who can reach it.",
  },
  origins: {
    slice: "http",
    kind: "list",
    unit: "origins",
    flag: "origins",
    alias: { variable: "OLLAMA_ORIGINS" },
    default: "",
    summary: "Web origins that may call the API, besides this machine's own; comma-separated.",
    details: "Each entry may hold one `*`.",
  },
  allowedHosts: {
    slice: "http",
    kind: "list",
    unit: "names",
    flag: "allowed-hosts",
    default: "",
    summary:
      "Names under which the API may be asked, besides this machine's own names and addresses; comma-separated.",
    details:
      "What a proxy or a DNS name of yours puts into the `Host` header: exact, or `*.example.com`. Everything else is answered 403, " +
      "on every address, because a web page could have its own name point here. `*` takes any name. " +
      "Who asks under one of them counts as another machine.",
  },
  open: {
    slice: "http",
    kind: "choice",
    choices: ["auto", "use", "all", "none"],
    flag: "open",
    default: "auto",
    summary: "What clients on other machines of a private network may do without a key.",
    details:
      "`use` is what Ollama's clients do daily: generate, chat, embed, list and show. `all` adds whatever changes something. " +
      "`auto` is `use` until somebody makes a key, and from then on `none`, also when the last key is revoked. " +
      "Public addresses always need a key, this machine never does.",
  },
  bodyBytesMax: {
    slice: "http",
    kind: "bytes",
    low: 1024,
    // What is parsed at once may not hold the event loop for a quarter of a second.
    high: 32 * MIB,
    formerly: { high: 4096 * MIB, instead: "images and audio have --max-media" },
    flag: "max-body",
    default: "8MiB",
    summary: "Largest JSON request body; uploaded model files are not bound by it.",
    details:
      "Images and audio counted, too, before they had --max-media: up to 4GiB is read, and counts as 32MiB, with a warning.",
  },
  mediaBytesMax: {
    slice: "http",
    kind: "bytes",
    low: 0,
    high: 1024 * MIB,
    flag: "max-media",
    default: "64MiB",
    summary: "Largest images and audio of one request together, as base64; beside --max-body.",
  },
  fetchImages: {
    slice: "http",
    kind: "boolean",
    flag: "fetch-images",
    default: "false",
    summary: "Fetch images that requests name by address, from public addresses only.",
    details:
      "Who may use models can then have this node ask any public address. Addresses that only this machine or its network can reach " +
      "are refused, behind redirects, too.",
  },
  connectionsMax: {
    slice: "http",
    kind: "count",
    unit: "connections",
    low: 16,
    high: 65_536,
    flag: "max-connections",
    default: "2048",
    summary: "HTTP connections at the same time; more are answered 503.",
    details:
      "This machine's own clients may have three quarters of them. A connection without a request makes room for a new one.",
  },
  connectionsPerAddressMax: {
    slice: "http",
    kind: "count",
    unit: "connections",
    low: 1,
    high: 65_536,
    flag: "max-connections-per-address",
    default: "128",
    summary: "HTTP connections of one other machine at the same time; more are answered 503.",
    details:
      "Addresses of one IPv6 network (/64) count as one. A proxy on another machine speaks for many: raise it for one.",
  },
  drainTimeoutMs: {
    slice: "http",
    kind: "duration",
    low: 0,
    high: DAY_MS,
    flag: "drain-timeout",
    default: "30s",
    summary: "How long a stopping node lets running answers finish.",
    details: "After it the answers still running are cut. 0 cuts them at once.",
  },
  keepAliveMs: {
    slice: "scheduler",
    kind: "duration",
    low: 0,
    high: 3_650 * DAY_MS,
    endless: "negative",
    flag: "keep-alive",
    alias: { variable: "OLLAMA_KEEP_ALIVE" },
    default: "5m",
    summary: "How long an idle model stays loaded.",
    details:
      "0 unloads as soon as the last answer ends, a negative value never. Longer trades memory for the time to the first token.",
  },
  loadTimeoutMs: {
    slice: "scheduler",
    kind: "duration",
    low: 1,
    high: DAY_MS,
    endless: "zero_or_negative",
    flag: "load-timeout",
    alias: { variable: "OLLAMA_LOAD_TIMEOUT" },
    default: "5m",
    summary: "A model whose loading makes no progress for this long has failed.",
    details: "0 or a negative value waits for ever.",
  },
  loadedModelsMax: {
    slice: "scheduler",
    kind: "count",
    unit: "models",
    low: 1,
    high: 1_000,
    automatic: "3, with GPUs 3 for each",
    flag: "max-loaded-models",
    alias: { variable: "OLLAMA_MAX_LOADED_MODELS" },
    default: "0",
    summary: "Models loaded at the same time.",
  },
  queueRequestsMax: {
    slice: "scheduler",
    kind: "count",
    unit: "requests",
    low: 1,
    high: 1_000_000,
    flag: "max-queue",
    alias: { variable: "OLLAMA_MAX_QUEUE" },
    default: "512",
    summary: "Requests that may wait for a model that is not loaded; more are answered 503.",
    details:
      "Who waits for a slot of a loaded model is not counted, as with Ollama; of those, 16384 are let wait.",
  },
  memoryReserveBytes: {
    slice: "scheduler",
    kind: "bytes",
    low: 0,
    high: TIB,
    flag: "memory-reserve",
    default: "256MiB",
    summary: "Memory that must stay free after a model is loaded.",
    details: "A model that would leave less is refused, with the figures.",
  },
  memoryLimitBytes: {
    slice: "scheduler",
    kind: "bytes",
    low: 64 * MIB,
    high: TIB,
    automatic: "what the machine has",
    flag: "memory-limit",
    default: "0",
    summary: "Memory that the models of this node may take together.",
    details:
      "A model that takes more, here and on every other node that holds it, is computed by several nodes together.",
  },
  gpuReserveBytes: {
    slice: "scheduler",
    kind: "per_device",
    of: "bytes",
    low: 0,
    high: TIB,
    flag: "gpu-reserve",
    alias: { variable: "OLLAMA_GPU_OVERHEAD" },
    default: "512MiB",
    summary: "Memory that must stay free on each GPU after a model is loaded.",
    details:
      "Layers that would leave less are computed on the cores. Sizes for several GPUs, such as `2GiB,512MiB`, hold in the order in " +
      "which `odist doctor` names them, the last one for all that follow.",
  },
  tensorSplit: {
    slice: "scheduler",
    kind: "per_device",
    of: "numbers",
    low: 0,
    high: 1_000_000,
    automatic: "a model lies on one GPU that it fits, otherwise as much on each as fits",
    flag: "tensor-split",
    alias: { variable: "LLAMA_ARG_TENSOR_SPLIT" },
    default: "0",
    summary: "How the layers of a model are shared out among this node's GPUs.",
    details:
      "`3,1` puts three layers on the first GPU for each one on the second, in the order in which `odist doctor` names them; those " +
      "that get `0`, or no number, compute nothing. Of layers that don't all fit so, the first are computed on the cores. A model " +
      "with `main_gpu` is not shared out.",
  },
  threads: {
    slice: "scheduler",
    kind: "count",
    unit: "threads",
    low: 1,
    high: 1_024,
    automatic: "chosen by the node from its cores and its loaded models",
    flag: "threads",
    default: "0",
    summary: "Threads that compute one model.",
    details:
      "The threads of llama.cpp wait for each other in a loop: one more than there are idle cores makes it many times slower, not faster.",
  },
  slots: {
    slice: "engine",
    kind: "count",
    unit: "requests",
    low: 1,
    high: 256,
    flag: "slots",
    alias: { variable: "OLLAMA_NUM_PARALLEL" },
    default: "1",
    summary: "Requests one loaded model answers at the same time.",
    details:
      "Every slot holds a context window of its own in memory, which is why there is one unless more are asked for: a model that " +
      "fits beside Ollama fits beside odist. With several readers 4 to 8 give more tokens per second in all.",
  },
  contextTokens: {
    slice: "engine",
    kind: "count",
    unit: "tokens",
    low: 4,
    high: CONTEXT_TOKENS_MAX,
    automatic: "4096, for embedding models 8192",
    flag: "context",
    alias: { variable: "OLLAMA_CONTEXT_LENGTH" },
    default: "0",
    summary: "Context window where neither request nor model says one.",
    details:
      "Never more than the model was trained for, nor more than 8192 for embedding models unless request or model ask for it.",
  },
  batchTokens: {
    slice: "engine",
    kind: "count",
    unit: "tokens",
    low: 1,
    high: 65_536,
    automatic: "512, 1024 or 2048 by the context window, for embedding models all of it",
    flag: "batch",
    default: "0",
    summary: "Prompt tokens computed in one step.",
    details: "Larger batches read long prompts faster and take more memory.",
  },
  flashAttention: {
    slice: "engine",
    kind: "choice",
    choices: ["auto", "on", "off"],
    flag: "flash-attention",
    alias: { variable: "OLLAMA_FLASH_ATTENTION", words: { true: "on", false: "off" } },
    default: "auto",
    summary: "Whether attention is computed in one pass over the cache.",
  },
  kvCacheType: {
    slice: "engine",
    kind: "choice",
    choices: ["f16", "q8_0", "q4_0"],
    flag: "kv-cache-type",
    alias: { variable: "OLLAMA_KV_CACHE_TYPE" },
    default: "f16",
    summary: "Number format of the cached keys and values.",
    details:
      "`q8_0` halves the memory of a context window, `q4_0` quarters it, at some loss of quality. Both want flash attention.",
  },
  exact: {
    slice: "engine",
    kind: "choice",
    choices: ["auto", "on", "off"],
    flag: "exact",
    default: "auto",
    summary:
      "Whether an answer is the same bit for bit whatever is computed beside it, and wherever it goes on.",
    details:
      "`on` answers exactly or not at all, `auto` where that costs an answer nothing and a prompt keeps 0.7 of its speed on this machine. " +
      "How a model must be computed for it is proven at its first load, which takes as long as a prompt of some 2500 tokens. " +
      "A request has its own way with the option `exact`; `X-Odist-Exact` tells which it was.",
  },
  speculate: {
    slice: "engine",
    kind: "choice",
    choices: ["auto", "off"],
    flag: "speculate",
    default: "auto",
    summary:
      "Whether an answer that says again what was said is computed several tokens at once, where that is faster.",
    details:
      "What may follow is looked up in the prompt and the answer, and kept where it is what would have been drawn: the text is the same. " +
      "Only copies that are exact do it, for an answer that is computed alone, and only while what such batches cost on this machine and " +
      "how often it guesses right make it worth it. A request does without it by the option `speculate`.",
  },
  gpu: {
    slice: "engine",
    kind: "text",
    placeholder: "WHICH",
    pattern: /^[A-Za-z0-9]{1,32}(?:,[A-Za-z0-9]{1,32}){0,15}$/,
    form: "auto, off, the name of a backend, or comma-separated names of devices",
    automatic: "all devices of the fastest backend there is",
    flag: "gpu",
    default: "",
    summary: "Devices that models are computed on beside the cores.",
    details:
      "`auto`; `off`, for the cores alone; `cuda`, `vulkan` or `metal`; or devices as `odist doctor` names them, such as " +
      "`CUDA0,CUDA1`. `odist backend add` brings the libraries for `cuda` and `vulkan`.",
  },
  cacheMemoryBytes: {
    slice: "engine",
    kind: "bytes",
    low: 1,
    high: TIB,
    automatic: "an eighth of what is free when the model is loaded",
    flag: "cache-memory",
    default: "0",
    summary: "Memory of each loaded model for conversations that had to leave its slots.",
    details:
      "One that comes back is not computed again. `1`, as any number too small for one, keeps none.",
  },
  cacheDiskBytes: {
    slice: "storage",
    kind: "bytes",
    low: 0,
    high: 1024 * TIB,
    flag: "cache-disk",
    default: "2GiB",
    summary:
      "Room in the data folder for conversations whose model was unloaded, or that had no room in memory.",
    details:
      "0 keeps none, and removes those that are there. What saves least time for its bytes goes first.",
  },
  cacheEncrypt: {
    slice: "storage",
    kind: "boolean",
    flag: "cache-encrypt",
    default: "false",
    summary: "Encrypt what --cache-disk keeps, under a key that is in no file.",
    details:
      "It survives switches of models then, and no restart: nobody can read it once the node has ended.",
  },
  kvOffload: {
    slice: "engine",
    kind: "boolean",
    flag: "kv-offload",
    default: "true",
    summary: "Keep the cached keys and values of a layer on the GPU that computes it.",
    off:
      "Keep the cached keys and values in this machine's memory: more layers fit on a GPU, which waits for it.",
  },
  dataFolder: {
    slice: "storage",
    kind: "folder",
    flag: "data",
    default: "~/.odist",
    summary: "Folder of everything a node keeps; one node at a time.",
  },
  modelsFolder: {
    slice: "storage",
    kind: "folder",
    flag: "models",
    alias: { variable: "OLLAMA_MODELS" },
    default: "{data}/models",
    summary: "Folder of the models, in Ollama's layout.",
    details: "Ollama's own folder works as it is.",
  },
  prune: {
    slice: "storage",
    kind: "boolean",
    flag: "prune",
    alias: { variable: "OLLAMA_NOPRUNE", words: { true: "false", false: "true" } },
    default: "true",
    summary: "Delete model files that no model uses any more.",
    off: "Keep model files that no model uses any more.",
  },
  allowsPrivateRegistry: {
    slice: "storage",
    kind: "boolean",
    flag: "allow-private-registry",
    default: "false",
    summary: "Let a registry on the internet send this node to addresses of its own network.",
    details:
      "A registry names the addresses its files are at. Those that only this machine or its network can reach are refused, unless the " +
      "registry's own name means such an address.",
  },
  listenAddress: {
    slice: "cluster",
    kind: "endpoint",
    fallback: { hostname: "0.0.0.0", port: CLUSTER_PORT },
    flag: "listen",
    default: `0.0.0.0:${CLUSTER_PORT}`,
    summary: "UDP address on which the other nodes of the cluster reach this one.",
    details:
      "Everything sent there is encrypted and both sides prove who they are; without a join token nobody gets in. Port 0 listens on any free port.",
  },
  advertiseAddresses: {
    slice: "cluster",
    kind: "endpoints",
    fallback: { hostname: "", port: 0 },
    flag: "advertise",
    default: "",
    summary:
      "What the other nodes are told to reach this one at, where that is not --listen; up to four, comma-separated.",
    details:
      "Needed behind a forwarded port, and on a machine with several networks (LAN, VPN, IPv6): the others try all of them at once and keep " +
      "the one that answers first. May be given several times. Without a host name it is that of `--listen`, or this machine's first address " +
      "that is not a loopback one where that is 0.0.0.0, which is followed when it changes; without a port, or with port 0, the one listened on. " +
      "Several want that every node of the cluster has this option as a list.",
  },
  joinAddresses: {
    slice: "cluster",
    kind: "endpoints",
    fallback: { hostname: "127.0.0.1", port: CLUSTER_PORT },
    flag: "join",
    default: "",
    summary: "Nodes of the cluster to join; comma-separated, one that answers is enough.",
    details:
      "Wants `--token` the first time. To a node that is a member already it is a hint: it looks there for the others besides where they were last, " +
      "so the same command line starts it again, and another address finds them in a new network.",
  },
  joinToken: {
    slice: "cluster",
    kind: "text",
    placeholder: "TOKEN",
    pattern: /^\S{1,512}$/,
    form: "what `odist token create` printed",
    flag: "token",
    secret: true,
    default: "",
    summary: "Join token, from `odist token create` on a member.",
    details: "`--token-file` and the variable keep it out of the list of processes.",
  },
  joinTokenFile: {
    slice: "cluster",
    kind: "text",
    placeholder: "PATH",
    pattern: /^.{1,4096}$/,
    form: "a path",
    flag: "token-file",
    default: "",
    summary: "File that holds the join token.",
    details:
      "Without it, `odist-token` among the credentials that systemd hands a service (`LoadCredential=odist-token:PATH`).",
  },
  nodeName: {
    slice: "cluster",
    kind: "text",
    placeholder: "NAME",
    pattern: /^[a-zA-Z0-9._-]{1,64}$/,
    form: "1 to 64 letters, digits, dots, dashes or underscores",
    automatic: "this machine's name",
    flag: "name",
    default: "",
    summary: "Name of this node in its cluster.",
    details: "Two nodes may have one name; commands then want the id.",
  },
  discover: {
    slice: "cluster",
    kind: "boolean",
    flag: "discover",
    default: "false",
    summary: "Announce this node on the local network, and find nodes to join there.",
    details: "An announcement carries no secret; joining still wants `--token`.",
  },
  network: {
    slice: "cluster",
    kind: "choice",
    choices: ["local", "lan", "wan"],
    flag: "network",
    default: "lan",
    summary: "What lies between the nodes; sets how fast a silent one is doubted.",
    details:
      "`local` is one machine, `lan` one site, `wan` the internet. Must be the same on all nodes.",
  },
  replicas: {
    slice: "cluster",
    kind: "count",
    unit: "nodes",
    low: 1,
    high: 100,
    automatic: "2",
    flag: "replicas",
    default: "0",
    summary: "Nodes that keep the files of a model, where nothing else is said for it.",
  },
  replicateAfterMs: {
    slice: "cluster",
    kind: "duration",
    low: 0,
    high: DAY_MS,
    flag: "replicate-after",
    default: "30s",
    summary:
      "How long a model is left with fewer copies than wanted after it is created or pulled.",
    details: "So that what is created and deleted at once is not sent around.",
  },
  repairAfterMs: {
    slice: "cluster",
    kind: "duration",
    low: 0,
    high: DAY_MS,
    flag: "repair-after",
    default: "60s",
    summary: "How long the copies on a node that is gone are waited for before others are made.",
    details: "Longer spares the network when nodes restart.",
  },
  replaceVotersAfterMs: {
    slice: "cluster",
    kind: "duration",
    low: 1_000,
    high: DAY_MS,
    flag: "replace-voters-after",
    default: "60s",
    summary: "How long a voter that is gone is waited for before another node votes in its place.",
  },
  sleepAfterMs: {
    slice: "cluster",
    kind: "duration",
    low: 0,
    high: DAY_MS,
    automatic: "never",
    flag: "sleep-after",
    default: "0",
    summary: "How long nothing must be asked of this node before it puts its machine to sleep.",
    details:
      "Not while somebody who is logged in does something, while it holds the only copy of a model, or where no other member " +
      "stays awake that could wake it. Requests for what it holds wake it.",
  },
  sleepCommand: {
    slice: "cluster",
    kind: "text",
    placeholder: "COMMAND",
    pattern: /^[^\n]{1,256}$/,
    form: "a command and its arguments, divided by blanks",
    automatic: "systemctl suspend",
    flag: "sleep-command",
    default: "",
    summary: "What puts this machine to sleep.",
  },
  yieldWhenBusyPercent: {
    slice: "cluster",
    kind: "count",
    unit: "percent of all cores",
    low: 0,
    high: 100,
    automatic: "never",
    flag: "yield-when-busy",
    default: "0",
    summary: "How much other programs may use this machine before its node takes nothing new.",
    details:
      "It finishes what runs, and says so in `odist members`. It is asked all the same for what no other node holds. Linux only.",
  },
  heartbeatMs: {
    slice: "cluster",
    kind: "duration",
    low: 30,
    high: 3_000,
    flag: "heartbeat",
    default: "250ms",
    summary: "How often the leader of the cluster shows that it lives.",
    details:
      "An election starts when there was no sign for 2 to 4 times as long. Must be the same on all nodes.",
  },
  logLevel: {
    slice: "telemetry",
    kind: "choice",
    choices: ["trace", "debug", "info", "warn", "error"],
    flag: "log-level",
    alias: {
      variable: "OLLAMA_DEBUG",
      words: { "2": "trace", true: "debug", false: "info" },
    },
    default: "info",
    summary: "Least severity of a log line.",
  },
  logFormat: {
    slice: "telemetry",
    kind: "choice",
    choices: ["text", "json"],
    flag: "log-format",
    default: "text",
    summary: "Log lines for people or for programs.",
  },
  metrics: {
    slice: "telemetry",
    kind: "boolean",
    flag: "metrics",
    default: "true",
    summary: "Serve Prometheus metrics at /metrics.",
    off: "Serve no metrics at /metrics.",
  },
  apiKey: {
    slice: "cli",
    kind: "text",
    placeholder: "KEY",
    pattern: /^\S{1,512}$/,
    form: "what `odist key create` printed",
    flag: "key",
    secret: true,
    default: "",
    summary: "API key, for commands that ask a node on another machine.",
    details:
      "From `odist key create` on a member. `--key-file` and the variable keep it out of the list of processes.",
  },
  apiKeyFile: {
    slice: "cli",
    kind: "text",
    placeholder: "PATH",
    pattern: /^.{1,4096}$/,
    form: "a path",
    flag: "key-file",
    default: "",
    summary: "File that holds the API key.",
    details:
      "Without it, `odist-key` among the credentials that systemd hands a service (`LoadCredential=odist-key:PATH`).",
  },
  history: {
    slice: "cli",
    kind: "boolean",
    flag: "history",
    alias: { variable: "OLLAMA_NOHISTORY", words: { true: "false", false: "true" } },
    default: "true",
    summary: "Keep what is typed in `odist run` for the next time.",
    off: "Keep nothing of what is typed for the next time.",
  },
} as const satisfies Readonly<Record<string, OptionSpec>>;

/** A key of {@link OPTIONS}. */
export type OptionName = keyof typeof OPTIONS;

/** Each option's value by name. */
export type OptionValues = { readonly [Name in OptionName]: ValueOf<(typeof OPTIONS)[Name]> };

/** The options of one part of the program. */
export type ConfigSlice<Slice extends OptionSpec["slice"]> = {
  readonly [
    Name in OptionName as (typeof OPTIONS)[Name]["slice"] extends Slice ? Name : never
  ]: OptionValues[Name];
};

/** Every option, frozen; each part of the program is handed only its own slice. */
export type Config = { readonly [Slice in OptionSpec["slice"]]: ConfigSlice<Slice> };

/** A rule between two options. */
export interface OptionRelation {
  readonly options: readonly [OptionName] | readonly [OptionName, OptionName];
  /** What must hold, in the words of an error. */
  readonly rule: string;
  holds(values: OptionValues): boolean;
}

export const RELATIONS: readonly OptionRelation[] = [
  {
    options: ["batchTokens", "contextTokens"],
    rule: "must be at most --context",
    // 0 is the node's own choice, which keeps to the rule by itself.
    holds: ({ batchTokens, contextTokens }) => contextTokens === 0 || batchTokens <= contextTokens,
  },
  {
    options: ["kvCacheType", "flashAttention"],
    rule: "must be f16 while --flash-attention is off",
    holds: ({ kvCacheType, flashAttention }) => flashAttention !== "off" || kvCacheType === "f16",
  },
  {
    options: ["advertiseAddresses"],
    rule:
      `must be at most ${ADVERTISED_MAX} addresses, of ${ADVERTISED_CHARACTERS_MAX} characters together`,
    holds: ({ advertiseAddresses }) =>
      advertiseAddresses.length <= ADVERTISED_MAX &&
      advertiseAddresses.map(withHost).join(",").length <= ADVERTISED_CHARACTERS_MAX,
  },
  {
    options: ["joinToken", "joinAddresses"],
    rule: "must be given with --join or --discover",
    holds: ({ joinToken, joinAddresses, discover }) =>
      joinToken === "" || joinAddresses.length > 0 || discover,
  },
];

/** At its longest, where this machine's own address takes the place of the host. */
function withHost(address: HostAddress): string {
  return formatHost({ ...address, hostname: address.hostname || "255.255.255.255", port: 65_535 });
}
