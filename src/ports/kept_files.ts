/**
 * Small files that only this user may read: keys and what belongs to them. A file that others may read is repaired when it
 * is read, and whoever made the folder is told. Calls are made one after another. Every call throws StorageError
 * `disk_full` or `storage_failed`; what a failed write was to replace is whole, old or new.
 */
export interface SecretFiles {
  /** The whole file, or undefined when there is none. */
  read(name: string): Promise<Uint8Array<ArrayBuffer> | undefined>;
  /** Replaces the file as a whole; it survives a crash once this resolves. */
  write(name: string, bytes: Uint8Array): Promise<void>;
  /** Absent is fine; survives a crash once this resolves. */
  remove(name: string): Promise<void>;
}

/** One small file that a node keeps over restarts. */
export interface KeptFile {
  /** Undefined when there is none. @throws StorageError `storage_failed` when it is there and can't be read. */
  read(): Promise<Uint8Array | undefined>;
  /** Replaces it as a whole; it survives a crash once this resolves. @throws StorageError `disk_full` or `storage_failed`. */
  write(bytes: Uint8Array): Promise<void>;
  /** Absent is fine. @throws StorageError `storage_failed`. */
  remove(): Promise<void>;
}
