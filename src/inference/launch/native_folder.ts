import { UnavailableError } from "../../base/mod.ts";

/** Release of the npm packages that carry the libraries, all of one llama.cpp release. */
export const NATIVE_RELEASE = "3.21.1";
const PACKAGES: Readonly<Record<string, string>> = {
  "linux-x86_64": "linux-x64",
  "linux-aarch64": "linux-arm64",
  "darwin-aarch64": "mac-arm64-metal",
  "darwin-x86_64": "mac-x64",
  "windows-x86_64": "win-x64",
  "windows-aarch64": "win-arm64",
};

/**
 * The package of this platform, without its scope.
 *
 * @throws UnavailableError `load_failed` when there is none.
 */
export function nativePackage(): string {
  const name = PACKAGES[`${Deno.build.os}-${Deno.build.arch}`];
  if (name !== undefined) return name;
  throw new UnavailableError(
    "load_failed",
    `There are no prebuilt llama.cpp libraries for ${Deno.build.os} on ${Deno.build.arch}`,
  );
}

/** Where the libraries of a package lie, such as `linux-x64`; downloaded on first use. */
export async function packageFolder(name: string): Promise<string> {
  // Computed, so that only the package that is needed is ever downloaded.
  const specifier = `npm:@node-llama-cpp/${name}@${NATIVE_RELEASE}`;
  const { getBinsDir }: { getBinsDir(): { binsDir: string } } = await import(specifier);
  return `${getBinsDir().binsDir}/${name}`;
}

/** Where llama.cpp's libraries lie: `ODIST_NATIVE_DIR`, or the npm package. @throws As {@link nativePackage}. */
export async function findNativeFolder(): Promise<string> {
  return Deno.env.get("ODIST_NATIVE_DIR") || await packageFolder(nativePackage());
}
