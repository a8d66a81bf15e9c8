import assert from "node:assert/strict";
import { odistProgram, servingArgs, startNode } from "../harness/node.ts";

/** A node that has nothing to finish ends long before. */
const TOLD_TIMEOUT_MS = 60_000;

/** Runs the program in a process of its own to its end. */
async function odist(
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<{ readonly code: number; readonly out: string; readonly err: string }> {
  const program = await odistProgram();
  const { code, stdout, stderr } = await new Deno.Command(program.command, {
    args: [...program.args, ...args],
    clearEnv: true,
    env: { ...program.environment, ODIST_LISTEN: "127.0.0.1:0", ...env },
    cwd: new URL("../..", import.meta.url),
    stdin: "null",
  }).output();
  const decoder = new TextDecoder();
  return { code, out: decoder.decode(stdout), err: decoder.decode(stderr) };
}

/** What the printed `curl` line would do; the test machine need not have curl. */
async function obey(curlLine: string): Promise<Response> {
  const [, url = "", body = ""] = /^curl (\S+) -d '(.*)'$/.exec(curlLine) ?? [];
  return await fetch(url, { method: "POST", body });
}

Deno.test("odist serve prints an address and a curl line that works, and ends with 0 on SIGTERM", async () => {
  await using node = await startNode();
  const [listening, curl] = node.printed().split("\n").filter((line) => !line.includes("INFO"));
  assert.equal(listening, `Listening on ${node.origin}`);
  const answer = await obey(curl ?? "");
  assert.equal(answer.status, 200);
  const lines = (await answer.text()).trim().split("\n").map((line) => JSON.parse(line));
  assert.equal(lines.at(-1).done, true);
  assert(lines.map((line) => line.response).join("").length > 0);
  assert.equal(await node.stop(), 0);
});

Deno.test({
  name: "odist serve that is told to stop while it starts ends, whenever it is told",
  ignore: Deno.build.os === "windows",
  fn: async () => {
    // After so many lines of its log: from the first one on it listens to signals, and after the last it serves.
    for (const lines of [1, 2, 3]) {
      const home = await Deno.makeTempDir({ prefix: "odist-told-" });
      const program = await odistProgram();
      const child = new Deno.Command(program.command, {
        args: [...servingArgs(program.args, { HOME: home }), "serve"],
        clearEnv: true,
        env: {
          ...program.environment,
          HOME: home,
          ODIST_HOST: "127.0.0.1:0",
          ODIST_LISTEN: "127.0.0.1:0",
        },
        cwd: new URL("../..", import.meta.url),
        stdin: "null",
        stdout: "null",
        stderr: "piped",
      }).spawn();
      let seen = 0;
      const timer = setTimeout(() => child.kill("SIGKILL"), TOLD_TIMEOUT_MS);
      for await (const text of child.stderr.pipeThrough(new TextDecoderStream())) {
        const before = seen;
        seen += text.split("\n").length - 1;
        if (before < lines && seen >= lines) child.kill("SIGTERM");
      }
      const { code, signal } = await child.status;
      clearTimeout(timer);
      assert.deepEqual([code, signal], [0, null], `told after ${lines} lines of ${seen}`);
      await Deno.remove(home, { recursive: true });
    }
  },
});

Deno.test("the commands work against a real node", async () => {
  await using node = await startNode();
  const env = { HOME: node.homeFolder, ODIST_HOST: new URL(node.origin).host };
  assert.match((await odist(["list"], env)).out, /^NAME .*\ntiny:latest /);
  const answer = await odist(["run", "tiny", "Why is the sky blue?"], env);
  assert.deepEqual([answer.code, answer.err], [0, ""]);
  assert(answer.out.trim().length > 0);
  assert.match((await odist(["ps"], env)).out, /\ntiny:latest .* 100% CPU .* from now .*\n$/);
  assert.equal((await odist(["cp", "tiny", "second"], env)).out, "copied 'tiny' to 'second'\n");
  const modelfile = `${node.homeFolder}/Modelfile`;
  await Deno.writeTextFile(modelfile, "FROM second\nSYSTEM Be brief.\n");
  assert.equal((await odist(["create", "third", "-f", modelfile], env)).code, 0);
  assert.equal((await odist(["show", "third", "--system"], env)).out, "Be brief.\n");
  assert.equal((await odist(["stop", "tiny"], env)).code, 0);
  assert.equal((await odist(["rm", "second", "third"], env)).code, 0);
  assert.deepEqual((await odist(["list"], env)).out.split("\n").length, 3);
  assert.match((await odist(["doctor"], env)).out, /ok +port +a node answers at/);
});

Deno.test("odist serve says what to do when its port is in use, and ends with 1", async () => {
  await using node = await startNode();
  const { host, port } = new URL(node.origin);
  const home = await Deno.makeTempDir();
  const { code, err } = await odist(["serve"], { HOME: home, ODIST_HOST: host });
  await Deno.remove(home, { recursive: true });
  assert.equal(code, 1);
  assert.match(
    err,
    new RegExp(`another program uses port ${port}.*--host 127\\.0\\.0\\.1:${Number(port) + 1}`),
  );
});

Deno.test("odist serve names the address whose name is unknown, and ends with 1", async () => {
  const home = await Deno.makeTempDir();
  const { code, err } = await odist(["serve"], { HOME: home, ODIST_HOST: "nowhere.invalid:1234" });
  await Deno.remove(home, { recursive: true });
  assert.equal(code, 1);
  assert.match(err, /Cannot listen on nowhere\.invalid:1234: no address is known/);
});

Deno.test("odist serve refuses a data folder that another node uses", async () => {
  await using node = await startNode();
  const env = { HOME: node.homeFolder, ODIST_HOST: "127.0.0.1:0" };
  const { code, err } = await odist(["serve"], env);
  assert.equal(code, 1);
  assert.match(err, /^Error: .*data folder/i);
});

Deno.test("odist refuses a bad setting before anything is started", async () => {
  const { code, out, err } = await odist(["serve"], { HOME: "/", ODIST_THREADS: "1000000" });
  assert.deepEqual([code, out], [2, ""]);
  assert.match(err, /ODIST_THREADS must be 1 to 1024 threads, or 0 .*: current value is "1000000"/);
});
