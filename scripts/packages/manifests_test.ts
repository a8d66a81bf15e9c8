import assert from "node:assert/strict";
import { join } from "node:path";
import { parse } from "yaml";
import { DESCRIPTION, PLATFORMS } from "./description.ts";
import { renderManifests } from "./manifests.ts";
import type { Program } from "./release_files.ts";
import { hasTool, runTool } from "./tools.ts";

const { version } = DESCRIPTION;
/** A package doesn't care what its program is. */
const PROGRAM = `#!/bin/sh\necho "odist version ${version}"\n`;
const ignore = Deno.build.os !== "linux";

const EVERY_PROGRAM: readonly Program[] = PLATFORMS.map((platform, index) => ({
  ...platform,
  ...{ path: "", bytes: 1, sha256: String(index).repeat(64) },
}));

Deno.test({
  name: "PKGBUILD is read by a shell, and puts program and units where they belong",
  ignore: ignore || !hasTool("bash"),
  async fn() {
    const folder = await Deno.makeTempDir();
    const text = renderManifests(EVERY_PROGRAM).get("PKGBUILD") ?? "";
    await Deno.writeTextFile(join(folder, `odist-${version}-x86_64`), PROGRAM);
    const script = `set -eu; srcdir=${folder} pkgdir=${folder}/root CARCH=x86_64; . ./PKGBUILD
      package; echo "\${source_aarch64[0]} \${sha256sums_aarch64[0]}"`;
    await Deno.writeTextFile(join(folder, "PKGBUILD"), text);
    const said = await runTool(["bash", "-c", script], { cwd: folder });
    assert.match(said, /::https:\/\/\S+\/odist-linux-aarch64 1{64}$/m);
    assert.equal(await Deno.readTextFile(join(folder, "root/usr/bin/odist")), PROGRAM);
    const unit = await Deno.readTextFile(join(folder, "root/usr/lib/systemd/user/odist.service"));
    assert.match(unit, /^ExecStart=\/usr\/bin\/odist serve$/m);
    await Deno.remove(folder, { recursive: true });
  },
});

Deno.test("Homebrew and winget are told each of their programs with its address and SHA-256", () => {
  const manifests = renderManifests(EVERY_PROGRAM);
  const formula = manifests.get("odist.rb") ?? "";
  const pairs = [...formula.matchAll(/url ".*\/(.*)"\n +sha256 "(.*)"/g)].map((match) =>
    match.slice(1)
  );
  const wanted = EVERY_PROGRAM.filter(({ os }) => os !== "windows").map((one) => [
    ...[one.file, one.sha256],
  ]);
  assert.deepEqual(pairs.sort(), wanted.sort());
  const opened = formula.match(/\b(class|do|def)\b(?= |$)/gm) ?? [];
  assert.equal(opened.length, (formula.match(/^ *end$/gm) ?? []).length);
  const installer = parse(manifests.get("Odist.Odist.installer.yaml") ?? "");
  assert.deepEqual(
    installer.Installers.map((one: Record<string, string>) => [
      ...[one.Architecture, one.InstallerUrl?.split("/").at(-1), one.InstallerSha256],
    ]),
    [["x64", "odist-windows-x86_64.exe", "4".repeat(64)], [
      ...["arm64", "odist-windows-aarch64.exe", "5".repeat(64)],
    ]],
  );
  for (const [name, text] of manifests) {
    if (!name.endsWith(".yaml")) continue;
    const { PackageIdentifier, PackageVersion, ManifestType } = parse(text);
    assert.deepEqual([PackageIdentifier, PackageVersion], ["Odist.Odist", version]);
    assert.match(text, new RegExp(`winget-manifest\\.${ManifestType}\\.`));
  }
  assert.deepEqual([...renderManifests(EVERY_PROGRAM.slice(0, 1)).keys()], [
    "odist.rb",
    "PKGBUILD",
  ]);
});
