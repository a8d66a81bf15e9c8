import assert from "node:assert/strict";
import { runnersOf } from "../harness/runners.ts";
import { startNode } from "../harness/node.ts";

/** What a node's environment may hold and nobody else may know. */
const SECRETS = {
  ODIST_KEY: "odk_node",
  AWS_SECRET_ACCESS_KEY: "cloud",
  GGML_API_TOKEN: "by its prefix",
  SOMETHING_ELSE: "unknown",
  // The first step of a runner may need them to fetch the libraries, and what it becomes doesn't.
  HTTPS_PROXY: "http://user:password@127.0.0.1:9",
  npm_config__authToken: "registry",
};
/** What a runner needs to know. */
const TOLD = { LANG: "C.UTF-8", GGML_TEST_VARIABLE: "1" };

Deno.test({
  name: "a runner knows only the variables on the list, and Linux keeps it from the rest",
  ignore: Deno.build.os !== "linux",
  async fn() {
    await using node = await startNode({ environment: { ...SECRETS, ...TOLD } });
    await node.ask("/api/generate", { model: "tiny", prompt: "Hi", stream: false });
    const [pid, ...others] = await runnersOf(node.pid);
    assert.deepEqual(others, []);
    const variables = (await Deno.readTextFile(`/proc/${pid}/environ`)).split("\0");
    const names = variables.map((line) => line.split("=")[0]);
    for (const name of Object.keys(SECRETS)) assert.ok(!names.includes(name), name);
    for (const name of Object.keys(TOLD)) assert.ok(names.includes(name), name);
    const status = await Deno.readTextFile(`/proc/${pid}/status`);
    assert.match(status, /^NoNewPrivs:\t1$/m);
    assert.match(status, /^Seccomp:\t2$/m);
    assert.match(node.printed(), /runner_loaded.*landlock:\d+\+seccomp/);
  },
});
