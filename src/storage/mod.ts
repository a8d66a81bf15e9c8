/**
 * What a node keeps on disk: blobs and manifests in Ollama's own layout, and the lock that keeps a second node off a
 * data folder. Never knows what a model is beyond its manifest's list of blobs. Everything written goes to a temporary
 * name, is synced, renamed, and its folder synced. Start with `durable_file.ts`, then `blob_store.ts`.
 *
 * @module
 */
export { type BlobStoreOptions, openBlobStore } from "./blob_store.ts";
export { type FolderLock, lockFolder } from "./folder_lock.ts";
export { openModelCatalog } from "./model_catalog.ts";
export { openRegistryKey } from "./registry_key.ts";
