import assert from "node:assert/strict";
import { RequestError } from "../base/mod.ts";
import { formatHost } from "./host_address.ts";
import { type ConfigSources, describeConfig, loadConfig } from "./load_config.ts";
import { OPTIONS } from "./schema.ts";

/** Contract section 6, those of the GPU drivers apart. */
const OLLAMA_VARIABLES: readonly string[] = [
  "OLLAMA_HOST",
  "OLLAMA_MODELS",
  "OLLAMA_KEEP_ALIVE",
  "OLLAMA_LOAD_TIMEOUT",
  "OLLAMA_MAX_LOADED_MODELS",
  "OLLAMA_NUM_PARALLEL",
  "OLLAMA_MAX_QUEUE",
  "OLLAMA_CONTEXT_LENGTH",
  "OLLAMA_ORIGINS",
  "OLLAMA_FLASH_ATTENTION",
  "OLLAMA_KV_CACHE_TYPE",
  "OLLAMA_GPU_OVERHEAD",
  "OLLAMA_SCHED_SPREAD",
  "OLLAMA_LLM_LIBRARY",
  "OLLAMA_VULKAN",
  "OLLAMA_IGPU_ENABLE",
  "LLAMA_ARG_FIT",
  "LLAMA_ARG_FIT_TARGET",
  "OLLAMA_NOPRUNE",
  "OLLAMA_MAX_TRANSFER_STREAMS",
  "OLLAMA_GO_TEMPLATE",
  "OLLAMA_DEBUG",
  "OLLAMA_DEBUG_LOG_REQUESTS",
  "OLLAMA_NO_CLOUD",
  "OLLAMA_REMOTES",
  "OLLAMA_CLOUD_BASE_URL",
  "OLLAMA_AUTH",
  "OLLAMA_NOHISTORY",
  "OLLAMA_EDITOR",
  "OLLAMA_AGENT_DISABLE_SHELL",
  "OLLAMA_AGENT_DISABLE_WEBSEARCH",
  "OLLAMA_SKILLS",
];
/** The conversation starts the editor that it names. */
const READ_ELSEWHERE: ReadonlySet<string> = new Set(["OLLAMA_EDITOR"]);

const ENV = { HOME: "/home/ada" };

function load(sources: Partial<ConfigSources>) {
  return loadConfig({ flags: {}, ...sources, env: { ...ENV, ...sources.env } });
}

function file(options: unknown) {
  return { path: "/etc/odist.json", text: JSON.stringify(options) };
}

/** The text of the refusal; fails when nothing is refused. */
function refusal(sources: Partial<ConfigSources>): string {
  try {
    load(sources);
  } catch (error) {
    assert(error instanceof RequestError);
    assert.equal(error.code, "invalid_config");
    return error.message;
  }
  throw new assert.AssertionError({ message: "the configuration was accepted" });
}

Deno.test("loadConfig takes flag over variable over alias over file over default", () => {
  const layers = [
    [{ kind: "default" }, 512, {}],
    [{ kind: "file", name: "/etc/odist.json" }, 5, { file: file({ "max-queue": 5 }) }],
    [{ kind: "environment", name: "OLLAMA_MAX_QUEUE" }, 4, { env: { OLLAMA_MAX_QUEUE: "4" } }],
    [{ kind: "environment", name: "ODIST_MAX_QUEUE" }, 3, { env: { ODIST_MAX_QUEUE: "3" } }],
    [{ kind: "flag", name: "--max-queue" }, 2, { flags: { queueRequestsMax: "2" } }],
  ] as const;
  let sources: Partial<ConfigSources> = {};
  for (const [origin, value, layer] of layers) {
    const env: Record<string, string> = "env" in layer ? { ...layer.env } : {};
    sources = { ...sources, ...layer, env: { ...sources.env, ...env } };
    const loaded = load(sources);
    assert.equal(loaded.config.scheduler.queueRequestsMax, value);
    assert.deepEqual(loaded.origins.queueRequestsMax, origin);
  }
});

Deno.test("loadConfig's defaults are Ollama's where Ollama has them", () => {
  const { config, warnings } = load({});
  assert.deepEqual(config.http.host, {
    scheme: "http",
    hostname: "127.0.0.1",
    port: 11434,
    path: "",
  });
  assert.equal(config.scheduler.keepAliveMs, 300_000);
  assert.equal(config.scheduler.loadTimeoutMs, 300_000);
  assert.equal(config.engine.slots, 1);
  assert.equal(config.engine.kvCacheType, "f16");
  assert.equal(config.storage.dataFolder, "/home/ada/.odist");
  assert.equal(config.storage.modelsFolder, "/home/ada/.odist/models");
  assert.deepEqual(warnings, []);
});

Deno.test("loadConfig freezes every slice", () => {
  const { config } = load({});
  assert(Object.isFrozen(config));
  for (const slice of Object.values(config)) assert(Object.isFrozen(slice));
  assert(Object.isFrozen(config.http.host));
  assert(Object.isFrozen(config.http.origins));
});

Deno.test("loadConfig puts the models below the data folder unless told otherwise", () => {
  const { storage } = load({ flags: { dataFolder: "~/cluster $& one" } }).config;
  assert.equal(storage.dataFolder, "/home/ada/cluster $& one");
  assert.equal(storage.modelsFolder, "/home/ada/cluster $& one/models");
  const named = load({ env: { OLLAMA_MODELS: "'/srv/ollama/models'" } }).config.storage;
  assert.equal(named.modelsFolder, "/srv/ollama/models");
});

Deno.test("loadConfig takes one figure for all devices, or one for each", () => {
  const { config } = load({});
  assert.deepEqual(config.scheduler.gpuReserveBytes, [512 * 2 ** 20]);
  assert.deepEqual(config.scheduler.tensorSplit, [0]);
  const env = { OLLAMA_GPU_OVERHEAD: "1073741824", LLAMA_ARG_TENSOR_SPLIT: "3, 1.5" };
  const asElsewhere = load({ env }).config.scheduler;
  assert.deepEqual(asElsewhere.gpuReserveBytes, [2 ** 30]);
  assert.deepEqual(asElsewhere.tensorSplit, [3, 1.5]);
  const each = load({ flags: { gpuReserveBytes: "2GiB,512MiB" } });
  assert.deepEqual(each.config.scheduler.gpuReserveBytes, [2 ** 31, 2 ** 29]);
  const shown = describeConfig(each).find(({ name }) => name === "gpu-reserve");
  assert.equal(shown?.value, "2GiB,512MiB");
  for (const wrong of ["1GiB,", "much", "-1", `${"1,".repeat(16)}1`]) {
    assert.match(
      refusal({ flags: { gpuReserveBytes: wrong } }),
      /--gpu-reserve must be 1 to 16 sizes, comma-separated, from 0 to 1TiB: current value is/,
    );
  }
  assert.match(
    refusal({ flags: { tensorSplit: "3;1" } }),
    /--tensor-split must be 1 to 16 numbers/,
  );
});

Deno.test("loadConfig refuses absurd values with the wanted range and the present value", () => {
  assert.match(
    refusal({ flags: { queueRequestsMax: "-5" } }),
    /--max-queue must be 1 to 1000000 requests: current value is "-5"/,
  );
  assert.match(refusal({ env: { ODIST_CONTEXT: "1000000000000" } }), /ODIST_CONTEXT must be 4 to/);
  assert.match(refusal({ env: { ODIST_THREADS: "NaN" } }), /ODIST_THREADS must be 1 to 1024/);
  assert.match(refusal({ env: { ODIST_MAX_BODY: "64 parsecs" } }), /must be 1KiB to 32MiB/);
  assert.match(refusal({ flags: { drainTimeoutMs: "-1s" } }), /must be 0s to 24h/);
  assert.match(refusal({ env: { ODIST_PRUNE: "maybe" } }), /must be true or false/);
  assert.match(refusal({ file: file({ "log-level": "loud" }) }), /"log-level" in .* one of trace/);
  assert.match(refusal({ env: { ODIST_HOST: "host:99999" } }), /port from 0 to 65535/);
});

Deno.test("loadConfig names all mistakes at once", () => {
  const text = refusal({ flags: { slots: "0", threads: "-1" }, file: file({ "keep-alive": "x" }) });
  assert.match(text, /--slots/);
  assert.match(text, /--threads/);
  assert.match(text, /"keep-alive"/);
});

Deno.test("loadConfig names the nearest option for an unknown key of the file", () => {
  assert.match(refusal({ file: file({ keepalive: 1 }) }), /did you mean "keep-alive"\?/);
  assert.match(refusal({ file: { path: "c.json", text: "{" } }), /c\.json must be JSON/);
  assert.match(refusal({ file: file([1]) }), /must be a JSON object/);
  assert.match(refusal({ file: file({ slots: null }) }), /must be a text, number, boolean or list/);
});

Deno.test("loadConfig refuses values that contradict each other", () => {
  assert.match(
    refusal({ flags: { batchTokens: "4096", contextTokens: "2048" } }),
    /--batch must be at most --context \(2048\): current value is 4096/,
  );
  assert.match(refusal({ flags: { kvCacheType: "q8_0", flashAttention: "off" } }), /f16 while/);
  assert.equal(load({ flags: { batchTokens: "4096" } }).config.engine.batchTokens, 4096);
});

Deno.test("loadConfig completes cluster addresses with the cluster's own port", () => {
  const defaults = load({}).config.cluster;
  assert.equal(formatHost(defaults.listenAddress), "0.0.0.0:11435");
  assert.deepEqual(defaults.advertiseAddresses, []);
  assert.deepEqual([defaults.joinAddresses, defaults.nodeName, defaults.discover], [[], "", false]);
  const { cluster } = load({
    flags: { listenAddress: "127.0.0.1:0", joinAddresses: "a, b:7 ,[::1],", discover: "true" },
    env: { ODIST_ADVERTISE: ":5000" },
  }).config;
  assert.equal(formatHost(cluster.listenAddress), "127.0.0.1:0");
  assert.deepEqual(
    cluster.advertiseAddresses.map(({ hostname, port }) => [hostname, port]),
    [["", 5000]],
  );
  assert.deepEqual(cluster.joinAddresses.map(formatHost), ["a:11435", "b:7", "[::1]:11435"]);
  assert.equal(cluster.discover, true);
  assert.match(refusal({ flags: { listenAddress: "http://a" } }), /--listen must be host:port:/);
  assert.match(refusal({ flags: { joinAddresses: "a,b:x" } }), /--join must have a port from 0/);
  assert.match(refusal({ flags: { nodeName: "a b" } }), /--name must be 1 to 64 letters/);
});

Deno.test("loadConfig takes as many addresses of a node as nodes tell each other", () => {
  const several = { advertiseAddresses: "10.0.0.7,[fd00::7]:1,vpn.example:2,:3" };
  const { advertiseAddresses } = load({ flags: several }).config.cluster;
  assert.deepEqual(advertiseAddresses.map(formatHost), [
    "10.0.0.7:0",
    "[fd00::7]:1",
    "vpn.example:2",
    ":3",
  ]);
  assert.match(
    refusal({ flags: { advertiseAddresses: "a,b,c,d,e" } }),
    /--advertise must be at most 4 addresses, of 128 characters together: current value is a:0,b:0,c:0,d:0,e:0/,
  );
  const long = `${"a".repeat(100)},${"b".repeat(30)}`;
  assert.match(refusal({ flags: { advertiseAddresses: long } }), /of 128 characters together/);
});

Deno.test("loadConfig never shows a join token", () => {
  const joining = { joinAddresses: "a", joinToken: "hunter2" };
  const rows = describeConfig(load({ flags: joining }));
  assert.equal(rows.find(({ name }) => name === "token")?.value, "(secret)");
  const alone = refusal({ flags: { joinToken: "hunter2" } });
  assert.match(alone, /--token must be given with --join or --discover/);
  const broken = refusal({ flags: { joinToken: "hunter2 hunter3" } });
  assert.match(broken, /--token must be what `odist token create` printed: current value is a/);
  assert.doesNotMatch(alone + broken, /hunter/);
});

Deno.test("loadConfig reads Ollama's variables by Ollama's lenient rules", () => {
  const rows: readonly (readonly [string, string, string, unknown, boolean])[] = [
    ["OLLAMA_NOPRUNE", "nonsense", "prune", false, false],
    ["OLLAMA_NOPRUNE", "0", "prune", true, false],
    ["OLLAMA_NOHISTORY", " '1' ", "history", false, false],
    ["OLLAMA_FLASH_ATTENTION", "1", "flashAttention", "on", false],
    ["OLLAMA_FLASH_ATTENTION", "false", "flashAttention", "off", false],
    ["OLLAMA_DEBUG", "2", "logLevel", "trace", false],
    ["OLLAMA_DEBUG", "1", "logLevel", "debug", false],
    ["OLLAMA_DEBUG", "false", "logLevel", "info", false],
    ["OLLAMA_NUM_PARALLEL", "-3", "slots", 1, true],
    ["OLLAMA_NUM_PARALLEL", "lots", "slots", 1, true],
    ["OLLAMA_KEEP_ALIVE", "-1", "keepAliveMs", Infinity, false],
    ["OLLAMA_KEEP_ALIVE", "90", "keepAliveMs", 90_000, false],
    ["OLLAMA_KEEP_ALIVE", "soon", "keepAliveMs", 300_000, true],
    ["OLLAMA_LOAD_TIMEOUT", "0", "loadTimeoutMs", Infinity, false],
    ["OLLAMA_LOAD_TIMEOUT", "-1m", "loadTimeoutMs", Infinity, false],
    ["OLLAMA_KV_CACHE_TYPE", "q3", "kvCacheType", "f16", true],
    ["OLLAMA_MAX_QUEUE", "", "queueRequestsMax", 512, false],
  ];
  for (const [variable, text, name, wanted, warns] of rows) {
    const loaded = load({ env: { [variable]: text } });
    const flat = Object.assign({}, ...Object.values(loaded.config));
    assert.equal(flat[name], wanted, `${variable}=${text}`);
    assert.equal(loaded.warnings.length > 0, warns, `${variable}=${text}`);
  }
});

Deno.test("loadConfig warns of a bad port in OLLAMA_HOST and takes the default one", () => {
  const { config, warnings } = load({ env: { OLLAMA_HOST: "box:port" } });
  assert.equal(config.http.host.hostname, "box");
  assert.equal(config.http.host.port, 11434);
  assert.match(warnings.join(), /OLLAMA_HOST: port "port"/);
});

Deno.test("loadConfig falls through an unreadable alias to the file", () => {
  const loaded = load({ env: { OLLAMA_NUM_PARALLEL: "x" }, file: file({ slots: 6 }) });
  assert.equal(loaded.config.engine.slots, 6);
});

Deno.test("describeConfig shows each value as users write it, and where it came from", () => {
  const rows = describeConfig(load({
    flags: { keepAliveMs: "-1" },
    env: { ODIST_MAX_BODY: "1.5MB" },
    file: file({ origins: ["https://a.example", "https://b.example"] }),
  }));
  const row = (name: string) => rows.find((one) => one.name === name);
  assert.deepEqual(row("keep-alive"), {
    name: "keep-alive",
    value: "-1",
    origin: "flag --keep-alive",
  });
  assert.equal(row("max-body")?.value, "1500000");
  assert.equal(row("origins")?.value, "https://a.example,https://b.example");
  assert.equal(row("origins")?.origin, "file /etc/odist.json");
  assert.equal(row("slots")?.origin, "default");
});

Deno.test("every variable of Ollama's is read, or said to change nothing and why", () => {
  const read: readonly string[] = Object.values(OPTIONS).map((spec) =>
    "alias" in spec ? spec.alias.variable : ""
  );
  for (const variable of OLLAMA_VARIABLES) {
    const { warnings } = load({ env: { [variable]: "1" } });
    const isRead = read.includes(variable) || READ_ELSEWHERE.has(variable);
    const told = warnings.filter((text) => text.startsWith(`${variable} changes nothing: `));
    assert.equal(told.length, isRead ? 0 : 1, variable);
  }
  assert.deepEqual(load({ env: { OLLAMA_VULKAN: " " } }).warnings, []);
});
