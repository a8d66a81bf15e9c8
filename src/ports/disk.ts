/**
 * One folder of a disk, as the Raft log needs it: small enough that a simulated one can do all that real ones do. Names
 * are plain file names. Calls are made one after another, never two at once; only `prepare` may run beside the others.
 *
 * Nothing is durable before it is synced: a crash may keep, lose or garble each 512-byte sector written since the last
 * `sync` of its file, and do or undo each creation, rename and removal since the last `syncFolder`. Every call throws
 * StorageError: `disk_full` where there is no room, `storage_failed` for anything else. After a failed `sync` what is
 * on the disk is unknown, and a later one that succeeds proves nothing.
 */
export interface Disk {
  /** Names of all files, sorted. */
  list(): Promise<readonly string[]>;
  /** The whole file, or undefined when there is none. */
  read(name: string): Promise<Uint8Array | undefined>;
  /** A new file with these bytes; an old one under that name is replaced. */
  create(name: string, bytes: Uint8Array): Promise<void>;
  /** A new file of zeros, synced; slow on purpose, because it must not get in the way of what runs beside it. */
  prepare(name: string, fileBytes: number): Promise<void>;
  /** Overwrites bytes within an existing file. */
  write(name: string, write: { readonly at: number; readonly bytes: Uint8Array }): Promise<void>;
  /** The file's bytes survive a crash. */
  sync(name: string): Promise<void>;
  /** Replaces what was under `to`. */
  rename(from: string, to: string): Promise<void>;
  /** Absent is fine. */
  remove(name: string): Promise<void>;
  /** Creations, renames and removals survive a crash. */
  syncFolder(): Promise<void>;
  /** Gives back what is held open. */
  close(): Promise<void>;
}
