/**
 * What a node keeps on disk: blobs and manifests in Ollama's own layout, the lock that keeps a second node off a data
 * folder, and the Raft log. Never knows what a model is beyond its manifest's list of blobs, nor what an entry says.
 * Everything written goes to a temporary name, is synced, renamed, and its folder synced; only the log's batches are
 * written in place. Start with `durable_file.ts`, then `blob_store.ts` or `wal.ts`.
 *
 * @module
 */
export { type BlobStoreOptions, openBlobStore } from "./blob_store.ts";
export { openRangeStore } from "./ranges/mod.ts";
export { writeFileDurably } from "./durable_file.ts";
export { openDisk, removeDisk } from "./deno_disk.ts";
export { fileAt, pageFilesIn } from "./kept_file.ts";
export { openCellFiles } from "./cells/mod.ts";
export { type FolderLock, lockFolder } from "./folder_lock.ts";
export { openModelCatalog } from "./model_catalog.ts";
export { pruneModels, type PruneOptions } from "./prune.ts";
export { openSecretFolder, type SecretFolderOptions } from "./secrets/mod.ts";
export { type LogRoom, openWal, type WalOptions } from "./wal.ts";
export { openRegistryKey } from "./secrets/mod.ts";
