import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import { renderDeploy } from "../../scripts/packages/generate.ts";
import { runTool } from "../../scripts/packages/tools.ts";
import { BareRoot, NO_BARE_ROOT } from "../harness/bare_root.ts";
import { builtFile, findFreePort, ServingOdist } from "../harness/built_odist.ts";

/** What the image's last stage says of the container. */
function readDockerfile() {
  const text = (renderDeploy().get("container/Dockerfile") ?? "").replaceAll("\\\n", " ");
  const line = (word: string) => new RegExp(`^${word} (.*)$`, "m").exec(text)?.[1] ?? "";
  const env = line("ENV").trim().split(/ +/).map((pair) => pair.split(/=(.*)/).slice(0, 2));
  return {
    env: Object.fromEntries(env) as Record<string, string>,
    entrypoint: JSON.parse(line("ENTRYPOINT")) as readonly string[],
    command: JSON.parse(line("CMD")) as readonly string[],
    health: JSON.parse(/ CMD (\[.*\])/.exec(line("HEALTHCHECK"))?.[1] ?? "") as readonly string[],
    user: Number(line("USER").split(":")[0]),
  };
}

Deno.test({
  name:
    `The image's root file system runs a node without a shell or root, writes to /data alone, and a second node joins it${NO_BARE_ROOT}`,
  ignore: NO_BARE_ROOT !== "",
  async fn() {
    const { env, entrypoint, command, health, user } = readDockerfile();
    assert.notEqual(user, 0);
    await using root = await BareRoot.make({ tools: [], readOnly: true, user });
    const cache = await Deno.makeTempDir();
    await runTool([await builtFile(), "version"], { env: { XDG_CACHE_HOME: cache } });
    const unpacked = [...Deno.readDirSync(join(cache, "odist"))].map(({ name }) => name);
    assert.equal(unpacked.length, 1);
    await runTool(["cp", "-r", join(cache, "odist", unpacked[0] ?? ""), root.outside("odist")]);
    await runTool(["chmod", "-R", "a+rX,go-w", root.outside("odist")]);
    await Deno.remove(cache, { recursive: true });
    const [port, peers] = [findFreePort(), findFreePort()];
    const start = async (name: string, host: string, more: Readonly<Record<string, string>>) => {
      const own = {
        ODIST_NAME: name,
        ODIST_HOST: host,
        ODIST_THREADS: "1",
        ODIST_NETWORK: "local",
      };
      const startedAtMs = performance.now();
      const child = root.command([...entrypoint, ...command], { ...env, ...own, ...more }).spawn();
      const node = new ServingOdist(child, host);
      await node.ready(startedAtMs);
      return node;
    };
    const host = `127.0.0.1:${port}`;
    await using first = await start("first", host, { ODIST_LISTEN: `127.0.0.1:${peers}` });
    const run = (words: readonly string[]) => root.run(words, { ...env, ODIST_HOST: host });
    const healthy = await run(health);
    assert.equal(healthy.code, 0, healthy.err);
    const answer = await run([...entrypoint, "run", "tiny", "Why is the sky blue?"]);
    assert.match(answer.out, /^The sky is blue because/, answer.err);
    // As the token's container of the compose file does, which has no shell to redirect either.
    const token = await run([...entrypoint, "token", "create", "--out", "/data/token"]);
    assert.deepEqual([token.code, token.out], [0, ""], token.err);
    await Deno.mkdir(root.outside("data/second"));
    await Deno.chown(root.outside("data/second"), user, user);
    await using second = await start("second", `127.0.0.1:${findFreePort()}`, {
      ...{ ODIST_DATA: "/data/second", ODIST_LISTEN: "127.0.0.1:0" },
      ...{ ODIST_JOIN: `127.0.0.1:${peers}`, ODIST_TOKEN_FILE: "/data/token" },
    });
    const status = await run([...entrypoint, "status"]);
    assert.match(status.out, /^health +healthy, 2 members$/m);
    const refused = await root.run([...entrypoint, "token", "create", "--out", "/tmp/token"], {
      ...{ ...env, ODIST_HOST: host },
    });
    assert.match(refused.err, /[Rr]ead-only file system/);
    for (const node of [second, first]) {
      node.kill("SIGTERM");
      assert.equal((await node.ended).code, 0);
    }
    assert.equal(dirname(entrypoint[0] ?? ""), "/odist");
  },
});
