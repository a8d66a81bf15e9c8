/**
 * What package managers that fetch a release's files are told: Homebrew, winget and makepkg.
 *
 * @module
 */
import { stringify } from "yaml";
import { DESCRIPTION } from "./description.ts";
import { renderService } from "./generate.ts";
import type { Program } from "./release_files.ts";

const { name, version, license, summary, text, publisher, email, homepage, releases, wingetId } =
  DESCRIPTION;
const urlOf = ({ file }: Program) => `${releases}/download/v${version}/${file}`;

/** Texts by file name; a manager whose systems have no program gets none. */
export function renderManifests(programs: readonly Program[]): ReadonlyMap<string, string> {
  const windows = programs.filter(({ winget }) => winget !== undefined);
  const linux = programs.filter(({ os }) => os === "linux");
  const unix = programs.filter(({ os }) => os !== "windows");
  return new Map([
    ...(unix.length > 0 ? [["odist.rb", renderFormula(unix)] as const] : []),
    ...(linux.length > 0 ? [["PKGBUILD", renderPkgbuild(linux)] as const] : []),
    ...(windows.length > 0 ? renderWinget(windows) : []),
  ]);
}

function renderFormula(programs: readonly Program[]): string {
  const blocks = (["darwin", "linux"] as const).flatMap((os) => {
    const own = programs.filter((program) => program.os === os);
    if (own.length === 0) return [];
    const machines = own.flatMap((program) => [
      `    on_${program.arch === "x86_64" ? "intel" : "arm"} do`,
      `      url "${urlOf(program)}"`,
      `      sha256 "${program.sha256}"`,
      "    end",
    ]);
    return [`  on_${os === "darwin" ? "macos" : "linux"} do`, ...machines, "  end", ""];
  });
  return `class Odist < Formula
  desc "${summary}"
  homepage "${homepage}"
  version "${version}"
  license "${license}"

${blocks.join("\n")}
  def install
    bin.install Dir["odist-*"].first => "odist"
    generate_completions_from_executable(bin/"odist", "completions")
  end

  service do
    run [opt_bin/"odist", "serve"]
    keep_alive crashed: true
    log_path var/"log/odist.log"
    error_log_path var/"log/odist.log"
  end

  test do
    assert_match version.to_s, shell_output("#{bin}/odist version")
  end
end
`;
}

function renderPkgbuild(programs: readonly Program[]): string {
  const sources = programs.flatMap((program) => [
    `source_${program.arch}=("$pkgname-$pkgver-${program.arch}::${urlOf(program)}")`,
    `sha256sums_${program.arch}=('${program.sha256}')`,
  ]);
  const unit = (template: "system.service" | "user.service", scope: string) =>
    `  install -Dm644 /dev/stdin "$pkgdir/usr/lib/systemd/${scope}/odist.service" <<'UNIT'
${renderService(template, "/usr/bin/odist").trimEnd()}
UNIT`;
  return `# Maintainer: ${publisher} <${email}>
pkgname=${name}
# No version of pacman's has a dash.
pkgver=${version.replaceAll("-", "_")}
pkgrel=1
pkgdesc='${summary}'
arch=(${programs.map(({ arch }) => `'${arch}'`).join(" ")})
url='${homepage}'
license=('${license}')
depends=('glibc' 'gcc-libs' 'gzip' 'tar' 'coreutils')
# The file is a script with an archive behind it, which strip would cut off.
options=('!strip' '!debug')
${sources.join("\n")}

package() {
  install -Dm755 "$srcdir/$pkgname-$pkgver-$CARCH" "$pkgdir/usr/bin/odist"
${unit("system.service", "system")}
${unit("user.service", "user")}
}
`;
}

const SCHEMA = "1.6.0";

function renderWinget(programs: readonly Program[]): (readonly [string, string])[] {
  const common = { PackageIdentifier: wingetId, PackageVersion: version };
  const render = (type: string, words: Readonly<Record<string, unknown>>) =>
    `# yaml-language-server: $schema=https://aka.ms/winget-manifest.${type}.${SCHEMA}.schema.json\n` +
    stringify({ ...common, ...words, ManifestType: type, ManifestVersion: SCHEMA });
  const installers = programs.map((program) => ({
    Architecture: program.winget,
    InstallerUrl: urlOf(program),
    InstallerSha256: program.sha256.toUpperCase(),
  }));
  return [
    [`${wingetId}.yaml`, render("version", { DefaultLocale: "en-US" })],
    [
      `${wingetId}.installer.yaml`,
      render("installer", {
        ...{ InstallerType: "portable", Commands: [name], Installers: installers },
      }),
    ],
    [
      `${wingetId}.locale.en-US.yaml`,
      render("defaultLocale", {
        ...{ PackageLocale: "en-US", Publisher: publisher, PackageName: name, License: license },
        ...{ ShortDescription: summary, Description: text.join(" "), PackageUrl: homepage },
      }),
    ],
  ];
}
