import assert from "node:assert/strict";
import { join } from "node:path";
import { runCommand } from "../../../tests/harness/cli.ts";

/** A node that answers everything, and repeats what it should never have logged. */
function talkativeNode(line: string): Deno.HttpServer<Deno.NetAddr> {
  return Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, (request) => {
    const { pathname } = new URL(request.url);
    if (pathname === "/metrics") return new Response(`odist_build 1 # ${line}`);
    if (pathname === "/api/cluster/incident") {
      return Response.json({ error: `none: ${line}` }, { status: 503 });
    }
    return Response.json({ asked: pathname, lines: [{ event: "came", line }] });
  });
}

const PLANTED = {
  ODIST_KEY: "odk1.planted-key",
  HF_TOKEN: 'planted "token"\\with quotes',
  MY_PASSWORD: "planted-password",
};
const PROXY = "http://user:planted-proxy@proxy.example:8080/";

Deno.test("support writes what the node says, and none of the secrets that were planted", async () => {
  const folder = await Deno.makeTempDir();
  const path = join(folder, "fault.json");
  await using node = talkativeNode(`${Object.values(PLANTED).join(" and ")} via ${PROXY}`);
  const env = { ...PLANTED, HTTPS_PROXY: PROXY, ODIST_HOST: `127.0.0.1:${node.addr.port}` };
  const { code, err } = await runCommand(["support", path], { env });
  assert.equal(code, 0, err);
  const text = await Deno.readTextFile(path);
  const bundle = JSON.parse(text);
  assert.doesNotMatch(text, /planted/);
  assert.match(bundle.logs.lines[0].line, /^\[withheld\] and \[withheld\] and .* via http:\/\/\[w/);
  assert.match(bundle.metrics, /^odist_build 1/);
  assert.match(bundle.incident_base64.not_told, /none: \[withheld\]/);
  assert.equal(bundle.version.odist, "1.2.3");
  assert.deepEqual(
    bundle.config.options.find((row: { name: string }) => row.name === "key")?.value,
    "(secret)",
  );
  const again = await runCommand(["support", path], { env });
  assert.match(again.err, /there is such a file already/);
  await Deno.remove(folder, { recursive: true });
});
