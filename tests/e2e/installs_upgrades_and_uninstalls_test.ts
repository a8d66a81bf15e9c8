import assert from "node:assert/strict";
import { join } from "node:path";
import { withManifest } from "../../scripts/packaging/payload.ts";
import { writeSelfExtracting } from "../../scripts/packaging/self_extracting.ts";
import { DESCRIPTION } from "../../scripts/packages/description.ts";
import { DEPLOY_FOLDER } from "../../scripts/packages/generate.ts";
import { renderRelease, renderSums, takePrograms } from "../../scripts/packages/release_files.ts";
import { BareRoot, NO_BARE_ROOT } from "../harness/bare_root.ts";
import { builtFile, findFreePort, ServingOdist } from "../harness/built_odist.ts";

const { version } = DESCRIPTION;
const NEWER = "99.0.0";

/** A folder with a release of this machine's program, as they are published. */
async function publish(file: string, versionOfFile: string): Promise<string> {
  const [from, out] = [await Deno.makeTempDir(), await Deno.makeTempDir()];
  await Deno.copyFile(file, join(from, "odist"));
  const programs = await takePrograms(from, out);
  await Deno.writeTextFile(join(out, "release.json"), renderRelease(versionOfFile, programs));
  await Deno.writeTextFile(join(out, "SHA256SUMS"), await renderSums(out));
  await Deno.remove(from, { recursive: true });
  return out;
}

/** The same program saying that it is a newer one: what was unpacked, packed again. */
async function packNewer(unpacked: string, out: string): Promise<void> {
  const { files } = JSON.parse(await Deno.readTextFile(join(unpacked, "manifest.json")));
  let changed = 0;
  const packed = files.map(({ path }: { path: string }) => {
    let bytes = Deno.readFileSync(join(unpacked, path));
    if (path === "main.js") {
      const text = new TextDecoder().decode(bytes);
      const renamed = text.replaceAll(`"${version}"`, `"${NEWER}"`);
      if (renamed !== text) changed++;
      bytes = new TextEncoder().encode(renamed);
    }
    return { path, bytes, executable: path === "deno" };
  });
  assert.equal(changed, 1, "the version stands in main.js");
  await writeSelfExtracting(out, { version: NEWER, files: withManifest(packed) });
}

/** Files of a folder in a folder that others publish, over HTTP. */
function serveFolders(folders: Readonly<Record<string, string>>): Deno.HttpServer<Deno.NetAddr> {
  return Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async ({ url }) => {
    const [, folder = "", name = ""] = new URL(url).pathname.split("/");
    try {
      return new Response((await Deno.open(join(folders[folder] ?? "/nowhere", name))).readable);
    } catch {
      return new Response("not there", { status: 404 });
    }
  });
}

/** `NAME=value` lines, as systemd reads them. */
function readEnvironment(text: string): Readonly<Record<string, string>> {
  return Object.fromEntries(text.trim().split("\n").map((line) => line.split(/=(.*)/).slice(0, 2)));
}

/** What the unit of the user's service would start, in the way systemd would. */
async function startService(root: BareRoot): Promise<ServingOdist> {
  const unit = await Deno.readTextFile(
    root.outside(`${root.home}/.config/systemd/user/odist.service`),
  );
  const [, command = ""] = /^ExecStart=(.*)$/m.exec(unit) ?? [];
  const [, file = ""] = /^EnvironmentFile=-%h\/(.*)$/m.exec(unit) ?? [];
  const env = readEnvironment(await Deno.readTextFile(root.outside(`${root.home}/${file}`)));
  const startedAtMs = performance.now();
  const serving = new ServingOdist(
    root.command(command.split(" "), env).spawn(),
    env.ODIST_HOST ?? "",
  );
  await serving.ready(startedAtMs);
  return serving;
}

Deno.test({
  name:
    `install.sh on a bare machine, its service, a question, an upgrade, and nothing but the data left${NO_BARE_ROOT}`,
  ignore: NO_BARE_ROOT !== "",
  async fn() {
    await using root = await BareRoot.make();
    const releases = { old: await publish(await builtFile(), version), new: "" };
    await using server = serveFolders(releases);
    const place = (name: keyof typeof releases) => `http://127.0.0.1:${server.addr.port}/${name}`;
    await Deno.copyFile(join(DEPLOY_FOLDER, "install.sh"), root.outside("install.sh"));
    const install = ["sh", "/install.sh", "--service", "--from", place("old")];
    const odist = `${root.home}/.local/bin/odist`;

    // What isn't what was released is not installed.
    const sums = join(releases.old, "SHA256SUMS");
    const right = await Deno.readTextFile(sums);
    await Deno.writeTextFile(sums, right.replaceAll(/^[0-9a-f]{8}/gm, "00000000"));
    const tampered = await root.run(install);
    assert.match(tampered.err, /is not what was released: wanted SHA-256 00000000.*nothing was/);
    assert.equal(tampered.code, 1);
    assert.deepEqual([...Deno.readDirSync(root.outside(`${root.home}/.local/bin`))], []);
    await Deno.writeTextFile(sums, right);

    const installed = await root.run(install);
    assert.equal(installed.code, 0, installed.err);
    assert.match(installed.out, new RegExp(`${odist} is odist version ${version}`));
    assert.match(installed.out, /no service manager took it: start it with "systemctl --user/);

    const host = `127.0.0.1:${findFreePort()}`;
    const settings = `ODIST_HOST=${host}\nODIST_LISTEN=127.0.0.1:0\nODIST_THREADS=1\n`;
    await Deno.mkdir(root.outside(`${root.home}/.config/odist`), { recursive: true });
    await Deno.writeTextFile(root.outside(`${root.home}/.config/odist/environment`), settings);
    const at = { ODIST_HOST: host };
    {
      await using node = await startService(root);
      const answer = await root.run([odist, "run", "tiny", "Why is the sky blue?"], at);
      assert.match(answer.out, /^The sky is blue because/, answer.err);
      const kept = await root.run([odist, "uninstall"], at);
      assert.match(kept.err, /A node runs at .*stop it first/);

      const unpacked = [...Deno.readDirSync(root.outside(`${root.home}/.cache/odist`))]
        .find(({ name }) => name.startsWith(`${version}-`));
      const newer = await Deno.makeTempFile();
      await packNewer(root.outside(`${root.home}/.cache/odist/${unpacked?.name}`), newer);
      releases.new = await publish(newer, NEWER);
      await Deno.remove(newer);
      const check = await root.run([odist, "upgrade", "--check", "--from", place("new")], at);
      assert.equal(check.out, `odist ${NEWER} is there, this is ${version}: odist upgrade\n`);
      const upgrade = await root.run([odist, "upgrade", "--from", place("new")], at);
      assert.equal(upgrade.code, 0, upgrade.err);
      // The node is the old one until it is started again.
      const mixed = await root.run([odist, "status"], at);
      assert.match(
        mixed.out,
        new RegExp(`Versions differ, the newest is ${NEWER}: \\S+ runs ${version}`),
      );
      node.kill("SIGTERM");
      assert.equal((await node.ended).code, 0);
    }
    {
      await using node = await startService(root);
      const status = await root.run([odist, "status"], at);
      assert.match(status.out, new RegExp(` ${NEWER} `));
      assert.doesNotMatch(status.out, /Versions differ/);
      node.kill("SIGTERM");
      assert.equal((await node.ended).code, 0);
    }
    const gone = await root.run([odist, "uninstall"], at);
    assert.equal(gone.code, 0, gone.err);
    assert.match(gone.out, /^stays +models +\/home\/me\/\.odist\/models$/m);
    const left = await root.run(["sh", "-c", "cd; ls -A . .cache .config .config/* .local/*"]);
    assert.deepEqual(left.out.split("\n").filter((line) => line !== ""), [
      ...[".:", ".cache", ".config", ".local", ".odist", ".cache:", ".config:", "odist", "systemd"],
      ...[".config/odist:", "environment", ".config/systemd:", "user", ".local/bin:"],
    ]);
    for (const folder of Object.values(releases)) await Deno.remove(folder, { recursive: true });
  },
});

Deno.test({
  name:
    `install.sh as root installs for everybody with a unit of the system, and uninstall takes both away${NO_BARE_ROOT}`,
  ignore: NO_BARE_ROOT !== "",
  async fn() {
    await using root = await BareRoot.make({ user: 0 });
    const release = await publish(await builtFile(), version);
    await Deno.rename(release, root.outside("release"));
    await Deno.copyFile(join(DEPLOY_FOLDER, "install.sh"), root.outside("install.sh"));
    const installed = await root.run(["sh", "/install.sh", "--service", "--from", "/release"]);
    assert.equal(installed.code, 0, installed.err);
    assert.match(installed.out, /\/usr\/local\/bin\/odist is odist version/);
    const unit = root.outside("etc/systemd/system/odist.service");
    assert.match(await Deno.readTextFile(unit), /^ExecStart=\/usr\/local\/bin\/odist serve$/m);
    await Deno.mkdir(root.outside("var/lib/odist/models"), { recursive: true });
    const gone = await root.run(["/usr/local/bin/odist", "uninstall"]);
    assert.equal(gone.code, 0, gone.err);
    assert.match(
      gone.out,
      /^removed +service of the system +\/etc\/systemd\/system\/odist\.service$/m,
    );
    assert.match(gone.out, /^stays +data of the system's service +\/var\/lib\/odist$/m);
    for (const folder of ["usr/local/bin", "etc/systemd/system"]) {
      assert.deepEqual([...Deno.readDirSync(root.outside(folder))], [], folder);
    }
    await Deno.stat(root.outside("var/lib/odist/models"));
  },
});
