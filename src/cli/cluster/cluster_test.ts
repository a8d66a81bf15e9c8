import assert from "node:assert/strict";
import { CLI_NOW_MS, cliContext, runCommand } from "../../../tests/harness/cli.ts";
import { type Script, ScriptedNode } from "../../../tests/harness/scripted_node.ts";
import { ScriptedTerminal } from "../../../tests/harness/scripted_terminal.ts";
import { runProgram } from "../program.ts";

const A = "aaaaaaaa00000000";
const B = "bbbbbbbb00000000";

const MEMBERS = [
  {
    node_id: A,
    name: "attic",
    address: "10.0.0.1:11435",
    health: "alive",
    role: "leader",
    drained: false,
    version: "1.2.3",
    match_index: 17,
    load: {
      running_requests: 1,
      waiting_requests: 2,
      slots: 4,
      tokens_per_second: 12.5,
      available_bytes: 2 ** 30,
      loaded_models: ["tiny:latest", "big:7b"],
      split_models: [{
        name: "big:7b",
        shards: [
          { node: "barn", first_layer: 0, layer_count: 20, memory_bytes: 7 },
          { node: "attic", first_layer: 20, layer_count: 12, memory_bytes: 5 },
        ],
      }],
    },
  },
  {
    node_id: B,
    name: "barn\x1b[2J",
    address: "",
    health: "down",
    role: "voter",
    drained: true,
    version: "",
  },
];
const STATUS = {
  cluster_id: "cccccccccccccccc",
  node_id: A,
  name: "attic",
  version: "1.2.3",
  health: "no_quorum",
  leader: A,
  answers: true,
  changes: {
    possible: false,
    reason: "1 of 2 voters is down",
    since: new Date(new Date(CLI_NOW_MS).setHours(14, 2)).toISOString(),
  },
  term: 3,
  committed_index: 17,
  applied_index: 16,
  state_hash: "ab".repeat(32),
  members: MEMBERS,
};
const TOKEN = {
  token: "otk1.secret",
  token_id: "t1",
  expires_at: new Date(CLI_NOW_MS + 3_600_000).toISOString(),
  uses_left: 1,
};
const KEY = {
  key: "odist-key-secret",
  key_id: "k1",
  label: "lap\x1btop",
  created_at: new Date(CLI_NOW_MS).toISOString(),
  expires_at: null,
  scopes: ["use", "ad\x1bmin"],
  last_used_at: null,
};
const CHANGE = {
  index: 7,
  at: "2026-11-29T10:00:00.000Z",
  who: "key ab12 lap\x1btop",
  from: "",
  action: "delete_model",
  subject: "h/library/m:latest",
};
const DONE = { json: {} };
const RECOVERY = {
  possible: true,
  last_index: 17,
  committed_index: 16,
  models: 3,
  left_behind: [{ node_id: "b".repeat(16), name: "ba\x1brn", alive: false, votes: true }],
};
const SCRIPT: Script = {
  "GET /api/cluster/status": { json: STATUS },
  "GET /api/cluster/members": { json: { members: MEMBERS } },
  "GET /api/cluster/tokens": { json: { tokens: [{ ...TOKEN, token: undefined }] } },
  "POST /api/cluster/tokens": { json: TOKEN, status: 201 },
  "DELETE /api/cluster/tokens/t1": DONE,
  "GET /api/cluster/keys": { json: { keys: [{ ...KEY, key: undefined }] } },
  "POST /api/cluster/keys": { json: KEY, status: 201 },
  "DELETE /api/cluster/keys/k1": DONE,
  "PUT /api/cluster/keys/k1/limits": { json: { weight: 3, tokens_per_day: 1_000 } },
  "GET /api/cluster/audit": { json: { changes: [CHANGE] } },
  "POST /api/cluster/members/barn/drain": DONE,
  "POST /api/cluster/members/barn/undrain": DONE,
  "POST /api/cluster/members/barn/revoke": DONE,
  "DELETE /api/cluster/members/barn": DONE,
  "POST /api/cluster/leave": DONE,
  "GET /api/cluster/recovery": { json: RECOVERY },
  "POST /api/cluster/recover": { json: RECOVERY },
  "GET /api/cluster/settings": { json: { settings: [{ key: "k", value: "v" }] } },
  "PUT /api/cluster/settings/k": DONE,
  "DELETE /api/cluster/settings/k": DONE,
};

async function ask(args: readonly string[], script: Script = SCRIPT) {
  await using node = new ScriptedNode(script);
  const outcome = await runCommand([...args, "--host", node.host]);
  return { ...outcome, asked: node.asked };
}

Deno.test("status shows who leads, how far the log is and how everyone does", async () => {
  const { code, out } = await ask(["status"]);
  assert.equal(code, 0);
  assert.equal(
    out,
    [
      "cluster    cccccccccccccccc",
      "health     no quorum, 2 members",
      "answers    yes",
      "changes    no, 1 of 2 voters is down since 14:02",
      "leader     attic, term 3",
      "log        committed 17, applied 16",
      "state      abababababababab",
      "asked      attic, aaaaaaaa",
      "",
      "NAME        ID          HEALTH           ROLE      VERSION    ADDRESS           ENTRIES",
      "attic       aaaaaaaa    alive            leader    1.2.3      10.0.0.1:11435    17",
      "barn\ufffd[2J    bbbbbbbb    down, drained    voter     -          -                 -",
      "",
    ].join("\n"),
  );
  assert.deepEqual(JSON.parse((await ask(["status", "--json"])).out), STATUS);
});

Deno.test("status says which members run another version than the newest, and whether this command does", async () => {
  const [attic] = STATUS.members;
  const withVersions = (...versions: readonly string[]) => ({
    ...SCRIPT,
    "GET /api/cluster/status": {
      json: {
        ...STATUS,
        members: versions.map((version, index) => ({ ...attic, name: `n${index}`, version })),
      },
    },
  });
  const rows: readonly (readonly [readonly string[], RegExp | undefined])[] = [
    [["1.2.3", "1.2.3", ""], undefined],
    [["1.2.3", "1.2.3-rc.1"], /newest is 1\.2\.3: n1 runs 1\.2\.3-rc\.1 \(odist upgrade/],
    [["1.10.0", "1.9.0"], /newest is 1\.10\.0: n1 runs 1\.9\.0, this command is 1\.2\.3 /],
    [["1.2.2"], /newest is 1\.2\.3: n0 runs 1\.2\.2 /],
  ];
  for (const [versions, wanted] of rows) {
    const { out } = await ask(["status"], withVersions(...versions));
    if (wanted === undefined) assert.doesNotMatch(out, /Versions differ/);
    else assert.match(out, wanted);
  }
});

Deno.test("status and top show what members compute with beside their cores", async () => {
  const device = {
    name: "CUDA0",
    description: "Some \x1bGPU",
    kind: "gpu",
    total_bytes: 24 * 2 ** 30,
    free_bytes: 2 ** 30,
    driver: "",
  };
  const members = MEMBERS.map((member, index) =>
    index === 0 ? { ...member, devices: [device] } : member
  );
  const script = { ...SCRIPT, "GET /api/cluster/status": { json: { ...STATUS, members } } };
  for (const command of ["status", "top"]) {
    const { out } = await ask([command], script);
    assert.match(out, /\nNODE +DEVICE +FREE +MEMORY +DRIVER +WHAT IT IS\n/);
    assert.match(out, /\nattic +CUDA0 +1 GiB +24 GiB +-? *Some \ufffdGPU\n/);
  }
});

Deno.test("top shows whose requests wait on the node that it asks, and of many the first", async () => {
  const queue = Array.from({ length: 25 }, (_, at) => ({
    tenant: at === 0 ? "key \x1bk1" : `at 10.0.0.${at}`,
    ...{ weight: 3, waiting: 20 - at, running: 1 },
  }));
  const script = { ...SCRIPT, "GET /api/cluster/queue": { json: { queue } } };
  const { out } = await ask(["top"], script);
  assert.match(out, /\nQUEUE HERE +WEIGHT +WAITING +RUNNING\nkey \ufffdk1 +3 +20 +1\n/);
  assert.match(out, /\nat 10\.0\.0\.19 +3 +1 +1\nand 5 more\n$/);
});

Deno.test("members shows what each one does", async () => {
  const { out } = await ask(["members"]);
  assert.match(out, /\nattic .* 1\/4 +2 +1 GiB +tiny:latest, big:7b\n/);
  assert.match(out, /\nbarn\ufffd\[2J .* - +- +- +-\n$/);
});

Deno.test("token create prints the command that joins, and what the token is good for", async () => {
  const { out, err, asked } = await ask(["token", "create", "--ttl", "2h", "--uses", "3"]);
  assert.equal(out, "ODIST_TOKEN=otk1.secret odist serve --join 10.0.0.1:11435\n");
  assert.match(err, /Good for one node; expires about an hour from now/);
  assert.deepEqual(asked[0]?.body, { ttl: "2h", uses: 3 });
  const json = await ask(["token", "create", "--json"]);
  assert.deepEqual(JSON.parse(json.out), TOKEN);
  assert.deepEqual(json.asked.map(({ body }) => body), [{ ttl: "1h", uses: 1 }]);
  const wrong = await ask(["token", "create", "--uses", "many"]);
  assert.deepEqual([wrong.code, wrong.asked.length], [2, 0]);
});

Deno.test("what was made is shown though its maker may not look at the cluster", async () => {
  const forbidden = { json: { error: "forbidden" }, status: 403 };
  const script = { ...SCRIPT, "GET /api/cluster/status": forbidden };
  const token = await ask(["token", "create"], script);
  assert.equal(token.out, "ODIST_TOKEN=otk1.secret odist serve --join HOST\n");
  const key = await ask(["key", "create"], script);
  assert.match(key.out, /^ODIST_KEY=odist-key-secret odist status --host odist:\/\/HOST\n$/);
});

Deno.test("token create --out writes the token for its owner alone, over an earlier one, and prints nothing", async () => {
  const folder = await Deno.makeTempDir();
  const path = `${folder}/token`;
  await Deno.writeTextFile(path, "old", { mode: 0o644 });
  const { code, out, err } = await ask(["token", "create", "--out", path]);
  assert.deepEqual([code, out, err], [0, "", ""]);
  assert.equal(await Deno.readTextFile(path), `${TOKEN.token}\n`);
  if (Deno.build.os !== "windows") assert.equal((await Deno.stat(path)).mode, 0o100600);
  assert.equal([...Deno.readDirSync(folder)].length, 1);
  await Deno.remove(folder, { recursive: true });
});

Deno.test("token list and revoke go by the id", async () => {
  assert.match((await ask(["token", "list"])).out, /\nt1 +1 +About an hour from now\n/);
  assert.equal((await ask(["token", "revoke", "t1"])).out, "revoked 't1'\n");
});

Deno.test("key create prints a command that uses the key, and the key is listed without itself", async () => {
  const { out, err, asked } = await ask(["key", "create", "--label", "laptop"]);
  assert.equal(out, "ODIST_KEY=odist-key-secret odist status --host odist://10.0.0.1:11435\n");
  assert.match(err, /its scopes allow \(use, ad\ufffdmin\)\..*not shown again/);
  assert.deepEqual(asked[0]?.body, { label: "laptop", scopes: ["use"] });
  const all = await ask(["key", "create", "--scope", "all", "--json"]);
  assert.deepEqual(all.asked[0]?.body, { label: "", scopes: ["use", "models", "admin", "join"] });
  const args = ["key", "create", "--scope", "use,models", "--expires", "720h", "--json"];
  const json = await ask(args);
  assert.deepEqual(JSON.parse(json.out), KEY);
  assert.deepEqual(json.asked.map(({ body }) => body), [
    { label: "", scopes: ["use", "models"], ttl: "720h" },
  ]);
  assert.match(
    (await ask(["key", "list"])).out,
    /\nk1 +lap\ufffdtop +\S.* Never +use,ad\ufffdmin +- +Never\n$/i,
  );
  const limits = ["--weight", "3", "--tokens-per-day", "1000"];
  const limited = await ask(["key", "limit", "k1", ...limits]);
  assert.equal(limited.out, "limited 'k1': weight 3, 1000 tokens/day\n");
  assert.deepEqual(limited.asked[0]?.body, { weight: 3, tokens_per_day: 1_000 });
  assert.match((await ask(["key", "limit", "k1", "--weight", "much"])).err, /whole number/);
  assert.equal((await ask(["key", "revoke", "k1"])).out, "revoked 'k1'\n");
});

Deno.test("audit lists who changed what, and nothing that moves the cursor", async () => {
  const { out } = await ask(["audit"]);
  assert.match(out, /^TIME +WHO +FROM +CHANGE +WHAT\n/);
  assert.match(out, /\n2026-\S+ +key ab12 lap\ufffdtop +- +delete_model +h\/library\/m:latest\n$/);
  const json = await ask(["audit", "-n", "5", "--json"]);
  assert.deepEqual(JSON.parse(json.out), { changes: [CHANGE] });
  assert.equal((await ask(["audit", "-n", "x"])).code, 2);
});

Deno.test("a host that begins with odist:// wants a key that can be read", async () => {
  const host = ["status", "--host", "odist://127.0.0.1:9"];
  const without = await runCommand(host);
  assert.equal(without.code, 2);
  assert.match(without.err, /needs a key: make one with `odist key create`/);
  const typo = await runCommand([...host, "--key", "odist-key-abc"]);
  assert.equal(typo.code, 2);
  assert.match(typo.err, /ODIST_KEY can't be used: it is cut short or has a typo/);
  assert.doesNotMatch(typo.err, /odist-key-abc/);
  const serving = await runCommand(["serve", "--host", "odist://127.0.0.1:9"]);
  assert.equal(serving.code, 2);
  assert.match(serving.err, /--host must be where HTTP is served/);
});

Deno.test("commands that change members say what they did", async () => {
  const rows: readonly (readonly [readonly string[], string, string])[] = [
    [["drain", "barn"], "drained 'barn'\n", '{"drained":"barn"}'],
    [["undrain", "barn"], "undrained 'barn'\n", '{"undrained":"barn"}'],
    [["member", "remove", "barn"], "removed 'barn'\n", '{"removed":"barn"}'],
    [["member", "revoke", "barn"], "revoked 'barn'\n", '{"revoked":"barn"}'],
    [["settings", "set", "k", "v"], "set 'k'\n", '{"key":"k","value":"v"}'],
    [["settings", "unset", "k"], "unset 'k'\n", '{"unset":"k"}'],
  ];
  for (const [args, text, json] of rows) {
    const said = await ask(args);
    assert.deepEqual([said.code, said.out], [0, text], args.join(" "));
    const asJson = await ask([...args, "--json"]);
    assert.equal(JSON.stringify(JSON.parse(asJson.out)), json);
  }
  assert.match((await ask(["settings", "list"])).out, /^KEY +VALUE\nk +v\n$/);
  assert.match((await ask(["leave"])).out, /has left its cluster and stops/);
});

Deno.test("sleep and wake name the node, which is the asked one where none is given, and how long it took", async () => {
  const routes = {
    "POST /api/cluster/members/attic/sleep": { json: {} },
    "POST /api/cluster/members/barn/wake": { json: { took_ms: 11_800 } },
  };
  const asleep = await ask(["sleep"], {
    ...routes,
    "GET /api/cluster/status": { json: { ...STATUS, name: "attic" } },
  });
  assert.deepEqual([asleep.code, asleep.out], [0, "'attic' sleeps\n"]);
  assert.equal((await ask(["sleep", "attic"], routes)).out, "'attic' sleeps\n");
  const awake = await ask(["wake", "barn"], routes);
  assert.deepEqual([awake.code, awake.out], [0, "'barn' is awake, after 11.8 s\n"]);
  const json = await ask(["wake", "barn", "--json"], routes);
  assert.deepEqual(JSON.parse(json.out), { awake: "barn", took_ms: 11_800 });
  const refused = await ask(["sleep", "barn"], {
    "POST /api/cluster/members/barn/sleep": {
      json: { error: '"barn" stays awake: no other member holds tiny' },
      status: 409,
    },
  });
  assert.deepEqual([refused.code, refused.err], [
    1,
    'Error: "barn" stays awake: no other member holds tiny\n',
  ]);
});

Deno.test("recover shows what it would do, and does nothing that nobody agreed to", async () => {
  const unasked = await ask(["recover"]);
  assert.equal(unasked.code, 2);
  assert.match(unasked.err, /nothing was changed/);
  assert.match(unasked.out, /knows 3 models.* ends at entry 17, of which 16 are known/);
  assert.match(unasked.out, /\nba\ufffdrn +bbbbbbbb +lost +voter\n/);
  assert.deepEqual(unasked.asked.filter(({ route }) => route.startsWith("POST")), []);
  const agreed = await ask(["recover", "--yes"]);
  assert.equal(agreed.code, 0);
  assert.match(agreed.out, /stops; start it again/);
  assert.deepEqual(JSON.parse((await ask(["recover", "--yes", "--json"])).out), RECOVERY);
  const refused = await ask(["recover", "--yes"], {
    "GET /api/cluster/recovery": { json: { ...RECOVERY, possible: false, reason: "all live" } },
  });
  assert.deepEqual([refused.code, refused.err], [1, "Error: cannot recover: all live\n"]);
});

Deno.test("status ends with what somebody has to do something about", async () => {
  const warned = { ...STATUS, warnings: ["two of \x1b them"] };
  const { out } = await ask(["status"], { "GET /api/cluster/status": { json: warned } });
  assert.match(out, /\n\nWarning: two of \ufffd them\n$/);
});

Deno.test("a refusal of the cluster is the command's, and a group without a verb is a usage error", async () => {
  const { code, err } = await ask(["drain", "x y"], {
    "POST /api/cluster/members/x%20y/drain": {
      json: { error: 'there is no member "x y"' },
      status: 404,
    },
  });
  assert.deepEqual([code, err], [1, 'Error: there is no member "x y"\n']);
  const alone = await runCommand(["token"]);
  assert.deepEqual([alone.code, alone.out], [2, ""]);
  assert.match(alone.err, /^Usage: odist token/);
});

Deno.test("snapshot save writes a file for its owner alone, and never over another", async () => {
  const folder = await Deno.makeTempDir();
  const path = `${folder}/cluster.snapshot`;
  const bytes = { "GET /api/cluster/snapshot": { json: "the bytes" } };
  const { code, out } = await ask(["snapshot", "save", path], bytes);
  assert.deepEqual([code, out], [0, `saved 11 bytes to ${path}\n`]);
  assert.equal(await Deno.readTextFile(path), '"the bytes"');
  if (Deno.build.os !== "windows") {
    assert.equal(((await Deno.stat(path)).mode ?? 0) & 0o777, 0o600);
  }
  const again = await ask(["snapshot", "save", path], bytes);
  assert.equal(again.code, 2);
  assert.match(again.err, /there is such a file already/);
  assert.deepEqual([...Deno.readDirSync(folder)].map(({ name }) => name), ["cluster.snapshot"]);
  await Deno.remove(folder, { recursive: true });
});

Deno.test("logs prints lines for people, or as they are for programs", async () => {
  const line = {
    time: "2026-01-01T00:00:00.000Z",
    level: "info",
    event: "node_started",
    a: 1,
    b: "x y\x1b",
  };
  const script: Script = { "GET /api/cluster/logs": { lines: [line] } };
  const { out } = await ask(["logs", "-n", "5"], script);
  assert.equal(out, '2026-01-01T00:00:00.000Z INFO  node_started a=1 b="x y\\u001b"\n');
  assert.deepEqual(JSON.parse((await ask(["logs", "--json"], script)).out), line);
  assert.equal((await ask(["logs", "-n", "few"], script)).code, 2);
});

Deno.test("top prints once where there is no terminal", async () => {
  const { out } = await ask(["top"]);
  assert.equal(
    out,
    [
      "odist cccccccccccccccc: no quorum, leader attic, term 3, log 16",
      "2 nodes, 1 of 4 slots, 2 waiting, 12.5 tokens/s",
      "",
      "NODE        HEALTH           ROLE      SLOTS    WAITING    TOKENS/S    FREE     MODELS",
      "attic       alive            leader    1/4      2          12.5        1 GiB    2",
      "barn\ufffd[2J    down, drained    voter     -        -          -           -        -",
      "",
      "LOADED MODEL    NODES",
      "big:7b          barn 0-19, attic 20-31",
      "tiny:latest     attic",
      "",
    ].join("\n"),
  );
});

Deno.test("top repaints at a key, outlives a node that is gone, and gives the screen back at q", async () => {
  let term = 1;
  await using node = new ScriptedNode({
    "GET /api/cluster/status": () =>
      term > 2 ? { json: { error: "gone" }, status: 503 } : { json: { ...STATUS, term: term++ } },
  });
  const terminal = new ScriptedTerminal({ isTerminal: true });
  const ended = runProgram(["top", "--host", node.host], cliContext({ terminal }));
  await terminal.shows("term 1");
  terminal.press("x");
  await terminal.shows("term 2");
  terminal.press("x");
  await terminal.shows("gone");
  terminal.press("q");
  assert.equal(await ended, 0);
  assert(terminal.outText.startsWith("\x1b[?1049h") && terminal.outText.endsWith("\x1b[?1049l"));
});
