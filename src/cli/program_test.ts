import assert from "node:assert/strict";
import { runCommand } from "../../tests/harness/cli.ts";

Deno.test("a wrong command or flag ends with 2 and names the nearest right one", async () => {
  const rows: readonly (readonly [readonly string[], RegExp])[] = [
    [["lst"], /^Error: unknown command 'lst'\n\(Did you mean .*list/],
    [["list", "--jsn"], /^Error: unknown option '--jsn'\n\(Did you mean --json\?\)/],
    [["show"], /^Error: missing required argument 'MODEL'/],
    [["cp", "a", "b", "c"], /^Error: too many arguments/],
    [["completions", "tcsh"], /Allowed choices are bash, zsh, fish/],
    [["config", "--slots", "-3"], /--slots must be 1 to 256 requests: current value is "-3"/],
    [["config", "--slts", "3"], /Did you mean --slots\?/],
    [["list", "--host", "a b"], /--host must be host:port/],
    [[], /^Usage: odist/],
  ];
  for (const [args, wanted] of rows) {
    const { code, out, err } = await runCommand(args);
    assert.deepEqual([code, out], [2, ""], args.join(" "));
    assert.match(err, wanted);
  }
});

Deno.test("--help and --version go to standard output and end with 0", async () => {
  assert.match((await runCommand(["--help"])).out, /^Usage: odist/);
  assert.match((await runCommand(["help", "list"])).out, /^Usage: odist list\|ls/);
  for (const args of [["-v"], ["--version"], ["version"]]) {
    assert.deepEqual(await runCommand(args), { code: 0, out: "odist version 1.2.3\n", err: "" });
  }
  const { out } = await runCommand(["version", "--json"]);
  assert.equal(JSON.parse(out).version, "1.2.3");
});

Deno.test("config prints each value with its origin, and what could not be read", async () => {
  const env = { ODIST_SLOTS: "4", OLLAMA_MAX_QUEUE: "many" };
  const { code, out, err } = await runCommand(["config", "--no-prune"], { env });
  assert.equal(code, 0);
  assert.match(out, /^OPTION +VALUE +FROM\n/);
  assert.match(out, /\nslots +4 +environment ODIST_SLOTS\n/);
  assert.match(out, /\nprune +false +flag --no-prune\n/);
  assert.match(out, /\nmax-queue +512 +default\n/);
  assert.match(err, /^Warning: OLLAMA_MAX_QUEUE: must be 1 to 1000000 requests: "many" is ignored/);
  const { options } = JSON.parse((await runCommand(["config", "--json"], { env })).out);
  assert(options.some((row: { name: string; value: string }) => row.name === "slots"));
});

Deno.test("doctor ends with 1 when something is broken, and says what to do", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  listener.close();
  const folder = await Deno.makeTempDir();
  const host = ["--host", `127.0.0.1:${listener.addr.port}`];
  const free = [...host, "--listen", "127.0.0.1:0", "--data", folder];
  const well = await runCommand(["doctor", "--json", ...free]);
  const states = Object.fromEntries(
    JSON.parse(well.out).findings.map((one: { name: string; state: string }) => [
      one.name,
      one.state,
    ]),
  );
  assert.equal(states.port, "ok");
  assert.equal(states["cluster port"], "ok");
  assert.equal(states["data folder"], "ok");
  assert.equal(states["tiny model"], "warning");
  await Deno.writeTextFile(`${folder}/file`, "");
  const broken = await runCommand(["doctor", ...free, "--models", `${folder}/file`]);
  assert.equal(broken.code, 1);
  assert.match(broken.out, /BROKEN +models folder .*\n +Make it writable .* --models/);
  await Deno.remove(folder, { recursive: true });
  const taken = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
  assert(taken.addr.transport === "udp");
  const address = `127.0.0.1:${taken.addr.port}`;
  const { out } = await runCommand(["doctor", ...host, "--listen", address]);
  assert.match(
    out,
    /BROKEN +cluster port +127.* is taken by another program\n +Stop it, .*--listen/,
  );
});

Deno.test("doctor tells a node from a stranger on its port", async () => {
  for (
    const [body, wanted] of [["{}", /taken by a program that is no node/], [
      '{"version":"9.9"}',
      /a node answers at .* version 9\.9/,
    ]] as const
  ) {
    const server = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen: () => {} },
      () => new Response(body),
    );
    const host = `127.0.0.1:${server.addr.port}`;
    assert.match((await runCommand(["doctor", "--host", host])).out, wanted);
    await server.shutdown();
  }
});

Deno.test("completions know every command, flag and place for a model's name", async () => {
  for (const shell of ["bash", "zsh", "fish"]) {
    const { code, out } = await runCommand(["completions", shell]);
    assert.equal(code, 0);
    for (const word of ["serve", "ls", "keepalive", "max-queue", "--names models"]) {
      assert(out.includes(word), `${shell}: ${word}`);
    }
    assert(!out.includes("no-verbose"), "a flag is offered once");
  }
});
