import { UnavailableError } from "../../base/mod.ts";

/** npm packages that carry the libraries, all of one llama.cpp release. */
const NATIVE_PACKAGES_VERSION = "3.21.1";
const PACKAGES: Readonly<Record<string, string>> = {
  "linux-x86_64": "linux-x64",
  "linux-aarch64": "linux-arm64",
  "darwin-aarch64": "mac-arm64-metal",
  "darwin-x86_64": "mac-x64",
  "windows-x86_64": "win-x64",
  "windows-aarch64": "win-arm64",
};

/**
 * Where llama.cpp's libraries lie: `ODIST_NATIVE_DIR`, or the npm package of this platform, downloaded on first use.
 *
 * @throws UnavailableError `load_failed` when there is no package for this platform.
 */
export async function findNativeFolder(): Promise<string> {
  const given = Deno.env.get("ODIST_NATIVE_DIR");
  if (given) return given;
  const platform = PACKAGES[`${Deno.build.os}-${Deno.build.arch}`];
  if (platform === undefined) {
    throw new UnavailableError(
      "load_failed",
      `There are no prebuilt llama.cpp libraries for ${Deno.build.os} on ${Deno.build.arch}`,
    );
  }
  // Computed, so that only this platform's package is ever downloaded.
  const specifier = `npm:@node-llama-cpp/${platform}@${NATIVE_PACKAGES_VERSION}`;
  const { getBinsDir }: { getBinsDir(): { binsDir: string } } = await import(specifier);
  return `${getBinsDir().binsDir}/${platform}`;
}
