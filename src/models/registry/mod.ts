/**
 * Speaks the registry's protocol: manifests and blobs, both ways. It never decides what is kept. Start reading in
 * `registry_client.ts`.
 *
 * @module
 */
export { createImageFetcher } from "./fetch_image.ts";
export { type PullContext, pullModel } from "./pull_model.ts";
export { type PushContext, pushModel } from "./push_model.ts";
export type { RegistryAccess } from "./registry_client.ts";
export { type RegistryNetwork, SYSTEM_NETWORK } from "./registry_network.ts";
