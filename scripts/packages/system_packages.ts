/**
 * Packages of Linux distributions: `.deb` by dpkg-deb, `.rpm` by rpmbuild.
 *
 * @module
 */
import { dirname, join } from "node:path";
import { gzipSync } from "node:zlib";
import { DESCRIPTION } from "./description.ts";
import { renderService } from "./generate.ts";
import type { Program } from "./release_files.ts";
import { runTool } from "./tools.ts";

const { name, version, license, summary, text, publisher, email, homepage } = DESCRIPTION;

/** What is packaged beside the program. */
export interface PackageTexts {
  /** The completion scripts by shell. */
  readonly completions: Readonly<Record<"bash" | "zsh" | "fish", string>>;
  readonly changelog: string;
  readonly license: string;
  /** Of everything in the packages; seconds since the Unix epoch. */
  readonly builtAtS: number;
}

/** What both kinds of packages hold. */
async function layOut(root: string, program: Program, texts: PackageTexts): Promise<void> {
  const { completions } = texts;
  await writeAll(root, {
    "usr/lib/systemd/system/odist.service": renderService("system.service", "/usr/bin/odist"),
    "usr/lib/systemd/user/odist.service": renderService("user.service", "/usr/bin/odist"),
    "usr/share/bash-completion/completions/odist": completions.bash,
    "usr/share/zsh/vendor-completions/_odist": completions.zsh,
    "usr/share/fish/vendor_completions.d/odist.fish": completions.fish,
    [`${DOCUMENTS}/NEWS.gz`]: gzipSync(texts.changelog, { level: 9 }),
  });
  await Deno.mkdir(join(root, "usr/bin"), { recursive: true });
  await Deno.copyFile(program.path, join(root, "usr/bin/odist"));
  await Deno.chmod(join(root, "usr/bin/odist"), 0o755);
}

const DOCUMENTS = `usr/share/doc/${name}`;

async function writeAll(
  root: string,
  files: Readonly<Record<string, string | Uint8Array>>,
): Promise<void> {
  for (const [path, content] of Object.entries(files)) {
    await Deno.mkdir(join(root, dirname(path)), { recursive: true });
    const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
    await Deno.writeFile(join(root, path), bytes);
    await Deno.chmod(join(root, path), 0o644);
  }
}

/** What Debian's policy wants besides. */
function debianFiles({ builtAtS }: PackageTexts): Readonly<Record<string, string | Uint8Array>> {
  const date = new Date(builtAtS * 1_000).toUTCString().replace("GMT", "+0000");
  const change = `${name} (${DEBIAN_VERSION}) stable; urgency=medium\n\n  * See NEWS.gz.\n\n` +
    ` -- ${publisher} <${email}>  ${date}\n`;
  return {
    [`${DOCUMENTS}/copyright`]: COPYRIGHT,
    [`${DOCUMENTS}/changelog.gz`]: gzipSync(change, { level: 9 }),
    "usr/share/lintian/overrides/odist":
      `# A script with an archive behind it, where no shell ever reads.\n${name}: shell-script-fails-syntax-check [usr/bin/odist]\n`,
  };
}

const DEBIAN_VERSION = version.replace("-", "~");
const COPYRIGHT = `Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Source: ${homepage}
Comment: The licences of what it brings along are in the folder licenses of its
 unpacked copy (~/.cache/odist/*/licenses).

Files: *
Copyright: 2026 ${publisher}
License: ${license}
 On Debian systems, the text is in /usr/share/common-licenses/${license}.
`;

/** Path of the package in `out`. */
export async function makeDeb(
  program: Program,
  texts: PackageTexts,
  out: string,
): Promise<string> {
  const path = join(out, `${name}_${version}_${program.debian}.deb`);
  await withFolder(async (root) => {
    await layOut(root, program, texts);
    await writeAll(root, debianFiles(texts));
    await Deno.mkdir(join(root, "DEBIAN"));
    await Deno.writeTextFile(join(root, "DEBIAN/control"), controlOf(program));
    for (const [script, body] of Object.entries(SCRIPTS)) {
      await Deno.writeTextFile(join(root, "DEBIAN", script), body, { mode: 0o755 });
      await Deno.chmod(join(root, "DEBIAN", script), 0o755);
    }
    await allowReading(root);
    // The program is an archive already: nothing is gained by pressing harder.
    const pack = ["dpkg-deb", "--root-owner-group", "-Zgzip", "-z1", "--build", root, path];
    await runTool(pack, { env: { SOURCE_DATE_EPOCH: String(texts.builtAtS) } });
  });
  return path;
}

/** A unit that was there before is read anew; one that runs is stopped with its program. */
const SCRIPTS: Readonly<Record<string, string>> = {
  postinst: `#!/bin/sh
set -e
if [ "$1" = configure ] && [ -d /run/systemd/system ]; then
  systemctl daemon-reload || true
  # One that runs goes on with the new program.
  if [ -n "$2" ]; then systemctl try-restart odist.service || true; fi
fi
`,
  prerm: `#!/bin/sh
set -e
if [ "$1" = remove ] && [ -d /run/systemd/system ]; then systemctl disable --now odist.service || true; fi
`,
};

function controlOf({ debian, bytes }: Program): string {
  const description = text.map((line) => ` ${line}`).join("\n");
  return `Package: ${name}
Version: ${DEBIAN_VERSION}
Architecture: ${debian}
Maintainer: ${publisher} <${email}>
Installed-Size: ${Math.ceil(bytes / 1_024)}
Depends: ${DESCRIPTION.debianDepends.join(", ")}
Section: net
Priority: optional
Homepage: ${homepage}
Description: ${summary.replace(/^E/, "e")}
${description}
`;
}

/** Path of the package in `out`. */
export async function makeRpm(
  program: Program,
  texts: PackageTexts,
  out: string,
): Promise<string> {
  const path = join(out, `${name}-${version}-1.${program.arch}.rpm`);
  await withFolder(async (folder) => {
    const root = join(folder, "root");
    await layOut(root, program, texts);
    await writeAll(root, { [`${DOCUMENTS}/LICENSE`]: texts.license });
    await allowReading(root);
    const spec = join(folder, "odist.spec");
    await Deno.writeTextFile(spec, specOf(root));
    const defined = { _topdir: folder, _rpmdir: folder, _rpmfilename: "made.rpm" };
    const defines = Object.entries(defined).flatMap(([key, value]) => ["-D", `${key} ${value}`]);
    await runTool(["rpmbuild", "-bb", "--quiet", "--target", program.arch, ...defines, spec], {
      env: { SOURCE_DATE_EPOCH: String(texts.builtAtS), HOME: folder },
    });
    await Deno.copyFile(join(folder, "made.rpm"), path);
  });
  return path;
}

function specOf(root: string): string {
  return `Name: ${name}
Version: ${DEBIAN_VERSION}
Release: 1
Summary: ${summary}
License: ${license}
URL: ${homepage}
Vendor: ${publisher}
AutoReqProv: no
Requires: ${DESCRIPTION.rpmRequires.join(", ")}
# The file is a script with an archive behind it, which strip would cut off.
%global __strip /bin/true
%global debug_package %{nil}
%global _build_id_links none
%global _binary_payload w1.gzdio
%global use_source_date_epoch_as_buildtime 1
%global clamp_mtime_to_source_date_epoch 1
%description
${text.join("\n")}
%install
cp -a "${root}/." "%{buildroot}"
%post
if [ -d /run/systemd/system ]; then systemctl daemon-reload || :; fi
%preun
if [ "$1" = 0 ] && [ -d /run/systemd/system ]; then systemctl disable --now odist.service || :; fi
%postun
if [ "$1" -ge 1 ] && [ -d /run/systemd/system ]; then systemctl try-restart odist.service || :; fi
%files
%defattr(-,root,root,-)
/usr/bin/odist
/usr/lib/systemd/system/odist.service
/usr/lib/systemd/user/odist.service
/usr/share/bash-completion/completions/odist
/usr/share/zsh/vendor-completions/_odist
/usr/share/fish/vendor_completions.d/odist.fish
%doc /usr/share/doc/${name}
`;
}

/** Folders of temporary trees are their maker's alone; packages hold what everybody reads. */
async function allowReading(folder: string): Promise<void> {
  await Deno.chmod(folder, 0o755);
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    if (isDirectory) await allowReading(join(folder, name));
  }
}

async function withFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "odist-package-" });
  try {
    await work(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}
