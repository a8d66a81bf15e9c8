/**
 * What odist is, for whoever packages it: the one description that installers, units, container, chart, packages and manifests are
 * made of.
 *
 * @module
 */
import denoFile from "../../deno.json" with { type: "json" };
import { SERVICE_NAME, SERVICE_PLACES } from "../../src/cli/installed/places.ts";
import { RELEASES_URL } from "../../src/cli/installed/release.ts";
import { CLUSTER_PORT } from "../../src/config/host_address.ts";
import { OPTIONS } from "../../src/config/mod.ts";

/** A system that a release has a program for, in everybody's words. */
export interface Platform {
  /** As Deno names them. */
  readonly os: "linux" | "darwin" | "windows";
  readonly arch: "x86_64" | "aarch64";
  /** Of the file in a release. */
  readonly file: string;
  /** What Debian calls the machine; only where there are such packages. */
  readonly debian?: "amd64" | "arm64";
  /** What winget calls it. */
  readonly winget?: "x64" | "arm64";
}

/** Everything that is the same wherever odist is packaged. */
export const DESCRIPTION = {
  name: "odist",
  version: denoFile.version,
  license: denoFile.license,
  summary: "Every machine you own becomes one Ollama",
  /** Lines of at most 79 characters. */
  text: [
    "odist is a language-model server that speaks Ollama's API. Started on a second",
    "machine with a token from the first, both are one: any node answers for every",
    "model that any node holds, and an answer goes on when its node dies.",
  ],
  publisher: "The odist authors",
  email: "odist@users.noreply.github.com",
  homepage: RELEASES_URL.replace(/\/releases$/, ""),
  releases: RELEASES_URL,
  image: "ghcr.io/odist/odist",
  wingetId: "Odist.Odist",
  service: SERVICE_NAME,
  ports: { api: Number(OPTIONS.host.default.split(":").at(-1)), cluster: CLUSTER_PORT },
  /** What the self-extracting file needs of a Debian system besides what each has, and of an RPM one. */
  debianDepends: ["libc6", "libgcc-s1", "libstdc++6"],
  rpmRequires: ["glibc", "libgcc", "libstdc++", "gzip", "tar", "coreutils"],
} as const;

const on = (os: Platform["os"], arch: Platform["arch"], words: Partial<Platform>): Platform => ({
  ...{ os, arch, ...words },
  file: `odist-${os}-${arch}${os === "windows" ? ".exe" : ""}`,
});

export const PLATFORMS: readonly Platform[] = [
  on("linux", "x86_64", { debian: "amd64" }),
  on("linux", "aarch64", { debian: "arm64" }),
  on("darwin", "x86_64", {}),
  on("darwin", "aarch64", {}),
  on("windows", "x86_64", { winget: "x64" }),
  on("windows", "aarch64", { winget: "arm64" }),
];

/** Where a service's file is, `~/` taken off where it is a user's. */
export function servicePath(os: Platform["os"], scope: "user" | "system"): string {
  const place = SERVICE_PLACES.find((one) => one.os === os && one.scope === scope);
  if (place === undefined) throw new TypeError(`There is no service of ${scope} on ${os}`);
  return place.path.replace(/^~\//, "");
}
