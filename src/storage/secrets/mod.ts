/**
 * Keys and other secrets on disk: modes, owners, writing them whole. It never makes one. Start reading in `secret_folder.ts`.
 *
 * @module
 */
export { openRegistryKey } from "./registry_key.ts";
export { openSecretFolder, type SecretFolderOptions } from "./secret_folder.ts";
