/**
 * How a runner comes to be: finds llama.cpp's libraries, checks them, and starts this program again with the rights of a
 * runner only. Runs in the process that becomes the runner, and opens no library of llama.cpp. Start with
 * `launch_runner.ts`.
 *
 * @module
 */
export { CONFINED_RUNNER, launchRunner, RUNNER } from "./launch_runner.ts";
export { checkOwnNatives, packageDigests, refuseOther } from "./native_digests.ts";
export { findOwnNativeFolder, OWN_NATIVES_LIST, ownNativesCache } from "./own_natives.ts";
export { NATIVE_RELEASE, nativePackage, packageFolder } from "./native_folder.ts";
