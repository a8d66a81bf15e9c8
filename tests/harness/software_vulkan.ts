/**
 * A device for tests where there is no GPU: Mesa's software Vulkan (Debian: apt-get install mesa-vulkan-drivers libvulkan1).
 *
 * @module
 */
import { NATIVE_RELEASE, packageFolder } from "../../src/inference/launch/mod.ts";

const DRIVERS = "/usr/share/vulkan/icd.d";

/** Why there is none; "" = there is. */
export const NO_SOFTWARE_VULKAN: string = whyNot();

/**
 * Makes a test that needs it; without, the test is skipped and its name says why.
 */
export function vulkanTest(name: string, fn: (vulkan: SoftwareVulkan) => Promise<void>): void {
  const skipped = NO_SOFTWARE_VULKAN === "" ? "" : ` (skipped: ${NO_SOFTWARE_VULKAN})`;
  Deno.test({
    name: `${name}${skipped}`,
    ignore: skipped !== "",
    fn: async () => await fn({ nativeFolder: await packageFolder("linux-x64-vulkan"), env: ENV }),
  });
}

/** What runners are told to compute on it. */
export interface SoftwareVulkan {
  /** llama.cpp's libraries with Vulkan. */
  readonly nativeFolder: string;
  readonly env: Readonly<Record<string, string>>;
}

/** llama.cpp takes a device of software only where it is named. */
const ENV = {
  GGML_VK_VISIBLE_DEVICES: "0",
  VK_ICD_FILENAMES: softwareDriver() ?? "",
  // Each kind of shader less is seconds of compiling less.
  GGML_VK_DISABLE_F16: "1",
  GGML_VK_DISABLE_INTEGER_DOT_PRODUCT: "1",
};

function softwareDriver(): string | undefined {
  try {
    const names = [...Deno.readDirSync(DRIVERS)].map(({ name }) => name);
    const found = names.find((name) => name.startsWith("lvp_icd."));
    return found === undefined ? undefined : `${DRIVERS}/${found}`;
  } catch {
    return undefined;
  }
}

function whyNot(): string {
  const platform = `${Deno.build.os}-${Deno.build.arch}`;
  if (platform !== "linux-x86_64") return `no linux-x64-vulkan ${NATIVE_RELEASE} for ${platform}`;
  return softwareDriver() === undefined ? "no mesa-vulkan-drivers" : "";
}
