import { addressOf, cText, type SyscallResult } from "./libc.ts";

/** `linux/landlock.h`. The numbers of these calls are the same on all architectures. */
const CREATE_RULESET = 444;
const ADD_RULE = 445;
const RESTRICT_SELF = 446;
const CREATE_RULESET_VERSION = 1n;
const RULE_PATH_BENEATH = 1n;

/** `fcntl.h` of x86-64 and arm64. */
const OPENAT: Readonly<Record<string, number>> = { x86_64: 257, aarch64: 56 };
const CLOSE: Readonly<Record<string, number>> = { x86_64: 3, aarch64: 57 };
const AT_FDCWD = -100n;
const O_PATH = 0o10000000n;
const O_CLOEXEC = 0o2000000n;

const EXECUTE = 1n << 0n;
const WRITE_FILE = 1n << 1n;
const READ_FILE = 1n << 2n;
const READ_DIR = 1n << 3n;
const TRUNCATE = 1n << 14n;
const IOCTL_DEV = 1n << 15n;
/** The only rights that a rule about a file, not a folder, may name. */
const FILE_RIGHTS = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV;
/** Rights over files that each version of landlock knows; later ones know the last line's. */
const RIGHTS_BITS_BY_ABI = [0, 13, 14, 15, 15, 16];
/** Since version 4: TCP `bind` and `connect`. */
const NET_RIGHTS = 3n;
/** Since version 6: abstract sockets of, and signals to, processes outside. */
const SCOPES = 3n;

const BIND_TCP = 1n;
const CONNECT_TCP = 2n;
const RULE_NET_PORT = 2n;

export type Syscalls = (number: number, ...args: (number | bigint)[]) => SyscallResult;

/** What a process may do with files. Nothing else is left to it. */
export interface FileRights {
  /** Read, and map as code; a folder with all below it. */
  readonly reads: readonly string[];
  /** As `reads`, and start as a program. */
  readonly programs: readonly string[];
  /** Read, written, made and deleted in. */
  readonly writes: readonly string[];
  /** Devices, read, written and told by `ioctl`. */
  readonly devices: readonly string[];
  /** Absent = no network. */
  readonly ports?: PortRights;
}

/** TCP ports, of whatever address. */
export interface PortRights {
  readonly use: "connect" | "listen";
  readonly ports: readonly number[];
}

/** Which version of landlock this kernel has; 0 when it has none or it is switched off. */
function landlockVersion(syscalls: Syscalls): number {
  return Math.max(0, syscalls(CREATE_RULESET, 0, 0, CREATE_RULESET_VERSION));
}

/**
 * Confines the calling thread, and every thread and program that it starts from now on. Threads that are there already
 * stay as they are, so that a program must follow by `execve`. Paths that don't exist are left out.
 *
 * @returns The version in use, 0 = none to be had.
 * @throws Error when the kernel has landlock and refuses.
 */
export function restrictFiles(syscalls: Syscalls, rights: FileRights): number {
  const version = landlockVersion(syscalls);
  if (version === 0) return 0;
  const handled = (1n << BigInt(RIGHTS_BITS_BY_ABI[version] ?? 16)) - 1n;
  const ruleset = new Uint8Array(version >= 6 ? 24 : version >= 4 ? 16 : 8);
  const view = new DataView(ruleset.buffer);
  view.setBigUint64(0, handled, true);
  if (version >= 4) view.setBigUint64(8, NET_RIGHTS, true);
  if (version >= 6) view.setBigUint64(16, SCOPES, true);
  const fd = refuseFailure(
    "landlock_create_ruleset",
    syscalls(CREATE_RULESET, addressOf(ruleset), ruleset.length, 0),
  );
  const read = READ_FILE | READ_DIR;
  const allow = (paths: readonly string[], access: bigint) => {
    for (const path of paths) addRule(syscalls, { fd, path, access: access & handled });
  };
  allow(rights.reads, read);
  allow(rights.programs, read | EXECUTE);
  allow(rights.writes, handled & ~EXECUTE & ~IOCTL_DEV);
  allow(rights.devices, read | WRITE_FILE | IOCTL_DEV);
  if (version >= 4 && rights.ports !== undefined) addPorts(syscalls, fd, rights.ports);
  refuseFailure("landlock_restrict_self", syscalls(RESTRICT_SELF, fd, 0));
  syscalls(CLOSE[Deno.build.arch] ?? 0, fd);
  return version;
}

function addPorts(syscalls: Syscalls, fd: number, { use, ports }: PortRights): void {
  for (const port of ports) {
    const attributes = new Uint8Array(16);
    const view = new DataView(attributes.buffer);
    view.setBigUint64(0, use === "connect" ? CONNECT_TCP : BIND_TCP, true);
    view.setBigUint64(8, BigInt(port), true);
    const result = syscalls(ADD_RULE, fd, RULE_NET_PORT, addressOf(attributes), 0);
    refuseFailure(`landlock_add_rule for port ${port}`, result);
  }
}

function addRule(
  syscalls: Syscalls,
  rule: { readonly fd: number; readonly path: string; readonly access: bigint },
): void {
  const path = cText(rule.path);
  const flags = O_PATH | O_CLOEXEC;
  const place = syscalls(OPENAT[Deno.build.arch] ?? 0, AT_FDCWD, addressOf(path), flags, 0);
  if (place < 0) return;
  const isFolder = Deno.statSync(rule.path).isDirectory;
  // Packed: twelve bytes.
  const attributes = new Uint8Array(12);
  const view = new DataView(attributes.buffer);
  view.setBigUint64(0, isFolder ? rule.access : rule.access & FILE_RIGHTS, true);
  view.setInt32(8, place, true);
  const result = syscalls(ADD_RULE, rule.fd, RULE_PATH_BENEATH, addressOf(attributes), 0);
  syscalls(CLOSE[Deno.build.arch] ?? 0, place);
  refuseFailure(`landlock_add_rule for ${rule.path}`, result);
}

function refuseFailure(what: string, result: SyscallResult): number {
  if (result < 0) throw new Error(`${what} failed with errno ${-result}`);
  return result;
}
