import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import { readRelease } from "../../src/cli/installed/release.ts";
import { DESCRIPTION } from "../../scripts/packages/description.ts";
import { makeRelease } from "../../scripts/packages/make.ts";
import { renderSums } from "../../scripts/packages/release_files.ts";
import { hasTool, runTool } from "../../scripts/packages/tools.ts";

const { version } = DESCRIPTION;
/** As long as it needs no unpacking, a package doesn't care what its program is. */
const PROGRAM = `#!/bin/sh\necho "odist version ${version}"\n`;
const ignore = Deno.build.os !== "linux";

function missingOf(...tools: readonly string[]): string {
  const missing = tools.filter((tool) => !hasTool(tool));
  return missing.length === 0 ? "" : ` (skipped: no ${missing.join(", no ")} here)`;
}

/** Programs of two systems made into a release. */
async function withRelease(run: (out: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    for (const arch of ["x86_64", "aarch64"]) {
      await Deno.writeTextFile(join(folder, `odist-linux-${arch}`), PROGRAM);
    }
    await Deno.writeTextFile(join(folder, "odist-windows-x86_64.exe"), "MZ");
    await makeRelease({ from: folder, out: join(folder, "release") }, () => {});
    await run(join(folder, "release"));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test({
  name: "A release is made of programs that were built",
  ignore,
  async fn(t) {
    await withRelease(async (out) => {
      for (const [name, missing, look] of LOOKS) {
        const ignore = missing !== "";
        await t.step({ name: `${name}${missing}`, ignore, fn: () => look(out) });
      }
    });
  },
});

/** What to look at, what is missing for it, and how. */
const LOOKS: readonly (readonly [string, string, (out: string) => Promise<void>])[] = [
  ["its programs are described as upgrade reads it, and sums hold for every file", "", lookAtFiles],
  ["its bill names what is in the file and nothing else", "", lookAtBill],
  [
    "a .deb holds program, units and completions, and lintian finds no error",
    missingOf("dpkg-deb", "lintian"),
    lookAtDeb,
  ],
  [
    "an .rpm holds program, units and completions, unstripped",
    missingOf("rpmbuild", "rpm"),
    lookAtRpm,
  ],
];

async function lookAtFiles(out: string): Promise<void> {
  const release = await readRelease(out, AbortSignal.timeout(60_000));
  assert.equal(release.version, version);
  assert.deepEqual(release.files.map(({ os, arch }) => `${os}-${arch}`), [
    ...["linux-x86_64", "linux-aarch64", "windows-x86_64"],
  ]);
  await runTool(["sha256sum", "--check", "--strict", "SHA256SUMS"], { cwd: out });
  const sums = await Deno.readTextFile(join(out, "SHA256SUMS"));
  const files = [...Deno.readDirSync(out)].map(({ name }) => name);
  assert.equal(sums.trim().split("\n").length, files.length - 1);
  assert.equal(await renderSums(out), sums);
}

async function lookAtBill(out: string): Promise<void> {
  const bill = JSON.parse(await Deno.readTextFile(join(out, "odist.cdx.json")));
  const names = bill.components.map(({ name }: { name: string }) => name);
  for (const name of ["deno", "hono", "preact", "@node-llama-cpp/linux-x64"]) {
    assert.ok(names.includes(name), name);
  }
  assert.ok(!names.includes("fast-check"), "what only tests use is not in the file");
}

async function lookAtDeb(out: string): Promise<void> {
  const root = join(dirname(out), "root");
  const path = join(out, `odist_${version}_amd64.deb`);
  await runTool(["dpkg-deb", "--extract", path, root]);
  assert.equal(await Deno.readTextFile(join(root, "usr/bin/odist")), PROGRAM);
  const unit = await Deno.readTextFile(join(root, "usr/lib/systemd/system/odist.service"));
  assert.match(unit, /^ExecStart=\/usr\/bin\/odist serve$/m);
  const completion = "usr/share/bash-completion/completions/odist";
  assert.match(await Deno.readTextFile(join(root, completion)), /complete .*odist/);
  const arm = join(out, `odist_${version}_arm64.deb`);
  assert.match(await runTool(["dpkg-deb", "--field", arm, "Architecture"]), /^arm64$/m);
  // The program of this test is no archive, so that its override has nothing to override.
  const lintian = ["lintian", "--allow-root", "--fail-on", "error"];
  await runTool([...lintian, "--suppress-tags", "mismatched-override,unused-override", path]);
}

async function lookAtRpm(out: string): Promise<void> {
  for (const arch of ["x86_64", "aarch64"]) {
    const path = join(out, `odist-${version}-1.${arch}.rpm`);
    const said = await runTool(["rpm", "-qp", "--qf", "%{NAME} %{VERSION} %{ARCH}\n", path]);
    assert.equal(said, `odist ${version} ${arch}\n`);
    const files = await runTool(["rpm", "-qlpv", path]);
    assert.match(files, new RegExp(`^-rwxr-xr-x .* ${PROGRAM.length} .*/usr/bin/odist$`, "m"));
    assert.match(files, /systemd\/system\/odist\.service$/m);
    assert.match(files, /bash-completion\/completions\/odist$/m);
  }
}
