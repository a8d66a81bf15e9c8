import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";

const LAUNCH = fileURLToPath(new URL("../../../tests/harness/escape/launch.ts", import.meta.url));

/** What a runner that was taken over could do, of what it tried. */
async function attempts(): Promise<{
  readonly confinement: string;
  readonly allowed: Readonly<Record<string, boolean>>;
  readonly refused: Readonly<Record<string, boolean>>;
}> {
  const folder = await Deno.makeTempDir({ prefix: "odist-escape-" });
  const natives = await Deno.makeTempDir({ prefix: "odist-escape-" });
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const [model, secret] = [`${folder}/model.gguf`, `${folder}/key.pem`];
  await Deno.writeTextFile(model, "weights");
  await Deno.writeTextFile(secret, "secret", { mode: 0o600 });
  const goals = { secret, folder, port: listener.addr.port, pid: Deno.pid };
  try {
    const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "-A",
        "--quiet",
        "--no-lock",
        "--no-check",
        LAUNCH,
        model,
        `--try=${JSON.stringify(goals)}`,
      ],
      env: { ODIST_NATIVE_DIR: natives },
    }).output();
    const [said, errors] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
    assert.notEqual(said, "", errors);
    assert.deepEqual([...Deno.readDirSync(folder)].map(({ name }) => name).sort(), [
      "key.pem",
      "model.gguf",
    ]);
    return JSON.parse(said ?? "");
  } finally {
    listener.close();
    await Deno.remove(folder, { recursive: true });
    await Deno.remove(natives, { recursive: true });
  }
}

Deno.test({
  name: "a runner that was taken over reads no key, reaches nobody and changes nothing",
  ignore: Deno.build.os !== "linux",
  async fn() {
    const { confinement, allowed, refused } = await attempts();
    // A kernel without either is told of by `doctor`; these are the ones that odist is tested on.
    assert.match(confinement, /^landlock:\d+\+seccomp$/);
    assert.deepEqual(Object.entries(allowed).filter(([, done]) => !done), []);
    assert.deepEqual(Object.entries(refused).filter(([, done]) => done), []);
    assert.ok(Object.keys(refused).length >= 35);
  },
});

Deno.test({
  name:
    "a worker has one port to listen at, and a leader those of its workers to connect to, and nothing else of the network",
  ignore: Deno.build.os !== "linux",
  async fn() {
    const version = Number(/landlock:(\d+)/.exec((await attempts()).confinement)?.[1]);
    // Ports are among its rights since version 4; without, seccomp alone leaves TCP, and all ports of it.
    if (version < 4) return;
    using own = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    using other = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const free = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const freePort = free.addr.port;
    free.close();
    assert.deepEqual(
      await portsOf(`--connect=${own.addr.port}`, own.addr.port, other.addr.port),
      ["connect to its port", "tcp"],
    );
    assert.deepEqual(
      await portsOf(`--listen=${freePort}`, freePort, other.addr.port),
      ["bind its port", "tcp"],
    );
  },
});

/** What of the network a runner with this word can use. */
async function portsOf(word: string, port: number, other: number): Promise<readonly string[]> {
  const natives = await Deno.makeTempDir({ prefix: "odist-escape-" });
  try {
    const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: [
        ...["run", "-A", "--quiet", "--no-lock", "--no-check", LAUNCH, word],
        `--try=${JSON.stringify({ port, other })}`,
      ],
      env: { ODIST_NATIVE_DIR: natives },
    }).output();
    const [said = "", errors] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
    assert.notEqual(said, "", errors);
    const done: Readonly<Record<string, boolean>> = JSON.parse(said);
    return Object.keys(done).filter((attempt) => done[attempt]).sort();
  } finally {
    await Deno.remove(natives, { recursive: true });
  }
}
