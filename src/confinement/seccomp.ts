import { addressOf } from "./libc.ts";
import type { PortRights, Syscalls } from "./landlock.ts";

/** Architectures as `linux/audit.h` numbers them, and the number of `seccomp` there. */
const ARCHITECTURES: Readonly<Record<string, { readonly audit: number; readonly column: 0 | 1 }>> =
  {
    x86_64: { audit: 0xc000003e, column: 0 },
    aarch64: { audit: 0xc00000b7, column: 1 },
  };
const ABSENT = -1;

/**
 * System calls that neither V8, Deno nor llama.cpp needs, with their numbers on x86-64 and arm64: they answer EPERM. No
 * sockets, no look into other processes, no asynchronous calls past this filter, no kernel interfaces that are known for
 * their faults, no change of what landlock doesn't watch: owners, modes, times and attributes of files.
 */
const DENIED: Readonly<Record<string, readonly [number, number]>> = {
  socket: [41, 198],
  connect: [42, 203],
  bind: [49, 200],
  listen: [50, 201],
  accept: [43, 202],
  accept4: [288, 242],
  ptrace: [101, 117],
  process_vm_readv: [310, 270],
  process_vm_writev: [311, 271],
  process_madvise: [440, 440],
  pidfd_getfd: [438, 438],
  pidfd_open: [434, 434],
  pidfd_send_signal: [424, 424],
  kcmp: [312, 272],
  io_uring_setup: [425, 425],
  io_uring_enter: [426, 426],
  io_uring_register: [427, 427],
  bpf: [321, 280],
  perf_event_open: [298, 241],
  userfaultfd: [323, 282],
  add_key: [248, 217],
  request_key: [249, 218],
  keyctl: [250, 219],
  mount: [165, 40],
  umount2: [166, 39],
  pivot_root: [155, 41],
  chroot: [161, 51],
  move_mount: [429, 429],
  open_tree: [428, 428],
  fsopen: [430, 430],
  fsconfig: [431, 431],
  fsmount: [432, 432],
  fspick: [433, 433],
  mount_setattr: [442, 442],
  unshare: [272, 97],
  setns: [308, 268],
  init_module: [175, 105],
  finit_module: [313, 273],
  delete_module: [176, 106],
  kexec_load: [246, 104],
  kexec_file_load: [320, 294],
  reboot: [169, 142],
  swapon: [167, 224],
  swapoff: [168, 225],
  acct: [163, 89],
  syslog: [103, 116],
  quotactl: [179, 60],
  quotactl_fd: [443, 443],
  open_by_handle_at: [304, 265],
  name_to_handle_at: [303, 264],
  fanotify_init: [300, 262],
  tkill: [200, 130],
  rt_sigqueueinfo: [129, 138],
  rt_tgsigqueueinfo: [297, 240],
  fork: [57, ABSENT],
  vfork: [58, ABSENT],
  chmod: [90, ABSENT],
  fchmod: [91, 52],
  fchmodat: [268, 53],
  fchmodat2: [452, 452],
  chown: [92, ABSENT],
  fchown: [93, 55],
  lchown: [94, ABSENT],
  fchownat: [260, 54],
  setxattr: [188, 5],
  lsetxattr: [189, 6],
  fsetxattr: [190, 7],
  removexattr: [197, 14],
  lremovexattr: [198, 15],
  fremovexattr: [199, 16],
  utime: [132, ABSENT],
  utimes: [235, ABSENT],
  futimesat: [261, ABSENT],
  utimensat: [280, 88],
  sethostname: [170, 161],
  setdomainname: [171, 162],
  settimeofday: [164, 170],
  clock_settime: [227, 112],
  clock_adjtime: [305, 266],
  adjtimex: [159, 171],
  msgget: [68, 186],
  semget: [64, 190],
  shmget: [29, 194],
  mq_open: [240, 180],
  ioperm: [173, ABSENT],
  iopl: [172, ABSENT],
  modify_ldt: [154, ABSENT],
};
/** What of {@link DENIED} is left to who may use TCP: but a socket of another kind can't be made. */
const TCP_CALLS = {
  connect: ["connect"],
  listen: ["bind", "listen", "accept", "accept4"],
} as const;
const AF_INET = 2;
const SOCK_STREAM = 1;
const CLONE: readonly [number, number] = [56, 220];
const CLONE3: readonly [number, number] = [435, 435];
const KILL: readonly [number, number] = [62, 129];
const TGKILL: readonly [number, number] = [234, 131];
const PRLIMIT: readonly [number, number] = [302, 261];
const SECCOMP: readonly [number, number] = [317, 277];
const PRCTL: readonly [number, number] = [157, 167];
const CAPGET: readonly [number, number] = [125, 90];
const CAPSET: readonly [number, number] = [126, 91];
const CAPABILITY_VERSION = 0x20080522;
/** `CAP_DAC_OVERRIDE` and `CAP_DAC_READ_SEARCH`: models may belong to another user. */
const FILE_CAPABILITIES = 0b110;
/** `clone3` and older calls of a kernel end here; whatever is newer was never looked at. */
const KNOWN_CALLS = 462;

const CLONE_THREAD = 0x10000;
const PR_SET_NO_NEW_PRIVS = 38;
const SET_MODE_FILTER = 1;
/** Kernels before 5.16 would slow the whole process down otherwise, against attacks that a JIT engine guards against itself. */
const FLAG_SPEC_ALLOW = 4;

const ALLOW = 0x7fff0000;
const EPERM = 0x00050001;
const ENOSYS = 0x00050026;
/** Classic BPF: load a word, compare, return. */
const LOAD = 0x20;
const JUMP_EQUAL = 0x15;
const JUMP_AT_LEAST = 0x35;
const JUMP_ANY_BIT = 0x45;
const RETURN = 0x06;
/** Offsets in `struct seccomp_data`, of the lower halves of the first two arguments. */
const AT_NUMBER = 0;
const AT_ARCHITECTURE = 4;
const AT_FIRST_ARGUMENT = 16;
const AT_SECOND_ARGUMENT = 24;

/** One instruction: code, jumps when true and false, operand. */
export type Instruction = readonly [number, number, number, number];

/**
 * The filter for a process with id `processId`. No call kills: a driver that asks for what it doesn't need goes on.
 * Programs may be started, because the one inside must be; landlock leaves only it, and all of this holds for it again.
 *
 * @returns undefined for an architecture whose calls aren't known.
 */
function callFilter(
  arch: string,
  processId: number,
  ports: PortRights | undefined,
): Instruction[] | undefined {
  const known = ARCHITECTURES[arch];
  if (known === undefined) return undefined;
  const { audit, column } = known;
  const own = [JUMP_EQUAL, 1, 0, processId] as const;
  const left: readonly string[] = ports === undefined ? [] : TCP_CALLS[ports.use];
  const denied = Object.entries(DENIED).filter(([name]) => !left.includes(name))
    .map(([, numbers]) => numbers[column]).filter((number) => number !== ABSENT);
  const socket = DENIED["socket"]?.[column] ?? ABSENT;
  return [
    [LOAD, 0, 0, AT_ARCHITECTURE],
    [JUMP_EQUAL, 1, 0, audit],
    [RETURN, 0, 0, EPERM],
    [LOAD, 0, 0, AT_NUMBER],
    ...when([JUMP_AT_LEAST, 0, 1, KNOWN_CALLS], [[RETURN, 0, 0, ENOSYS]]),
    // Its flags lie in memory, where no filter sees them; the C library then takes `clone`.
    ...when(isCall(CLONE3[column]), [[RETURN, 0, 0, ENOSYS]]),
    // Threads, and no processes.
    ...when(isCall(CLONE[column]), firstArgument([JUMP_ANY_BIT, 1, 0, CLONE_THREAD])),
    ...[KILL, TGKILL].flatMap((numbers) => when(isCall(numbers[column]), firstArgument(own))),
    ...when(isCall(PRLIMIT[column]), firstArgument([JUMP_EQUAL, 2, 0, 0], own)),
    ...ports === undefined ? [] : when(isCall(socket), TCP_SOCKET_ONLY),
    ...denied.flatMap((number) => when(isCall(number), [[RETURN, 0, 0, EPERM]])),
    [RETURN, 0, 0, ALLOW],
  ];
}

function isCall(number: number): Instruction {
  return [JUMP_EQUAL, 0, 1, number];
}

/** `body` when the test holds; the test's second jump is set to pass it. */
function when(test: Instruction, body: readonly Instruction[]): Instruction[] {
  return [[test[0], 0, body.length, test[3]], ...body];
}

/** Of sockets those of TCP over IPv4 without flags, as llama.cpp makes them. */
const TCP_SOCKET_ONLY: readonly Instruction[] = [
  [LOAD, 0, 0, AT_FIRST_ARGUMENT],
  [JUMP_EQUAL, 0, 3, AF_INET],
  [LOAD, 0, 0, AT_SECOND_ARGUMENT],
  [JUMP_EQUAL, 0, 1, SOCK_STREAM],
  [RETURN, 0, 0, ALLOW],
  [RETURN, 0, 0, EPERM],
];

/** Allows what passes a test of the first argument: each test jumps to the last instruction, else on. */
function firstArgument(...tests: readonly Instruction[]): Instruction[] {
  return [
    [LOAD, 0, 0, AT_FIRST_ARGUMENT],
    ...tests,
    [RETURN, 0, 0, EPERM],
    [RETURN, 0, 0, ALLOW],
  ];
}

/**
 * Puts the filter on the calling thread, and every thread and program that it starts from now on, and gives up rights
 * that a program file could bring.
 *
 * @returns false where this machine's architecture or kernel has no filter.
 */
export function restrictCalls(syscalls: Syscalls, ports?: PortRights): boolean {
  const filter = callFilter(Deno.build.arch, Deno.pid, ports);
  const column = ARCHITECTURES[Deno.build.arch]?.column;
  if (filter === undefined || column === undefined) return false;
  const bytes = new Uint8Array(filter.length * 8);
  const view = new DataView(bytes.buffer);
  filter.forEach(([code, whenTrue, whenFalse, operand], index) => {
    view.setUint16(index * 8, code, true);
    view.setUint8(index * 8 + 2, whenTrue);
    view.setUint8(index * 8 + 3, whenFalse);
    view.setUint32(index * 8 + 4, operand, true);
  });
  const program = new Uint8Array(16);
  new DataView(program.buffer).setUint16(0, filter.length, true);
  new DataView(program.buffer).setBigUint64(8, addressOf(bytes), true);
  return syscalls(SECCOMP[column], SET_MODE_FILTER, FLAG_SPEC_ALLOW, addressOf(program)) === 0;
}

/**
 * No program started from now on gains rights by its file's owner, without which the kernel takes neither filter nor
 * rules; and of the superuser's special rights none stay but to open files that landlock leaves.
 */
export function giveUpPrivileges(syscalls: Syscalls): boolean {
  const column = ARCHITECTURES[Deno.build.arch]?.column;
  if (column === undefined) return false;
  const header = new Uint32Array([CAPABILITY_VERSION, 0]);
  // Effective, permitted and inheritable ones; then the same for those from number 32 on.
  const sets = new Uint32Array(6);
  const [at, to] = [
    addressOf(new Uint8Array(header.buffer)),
    addressOf(new Uint8Array(sets.buffer)),
  ];
  if (syscalls(CAPGET[column], at, to) < 0) return false;
  const left = sets.map((set, index) => index < 3 ? set & FILE_CAPABILITIES : 0);
  if (syscalls(CAPSET[column], at, addressOf(new Uint8Array(left.buffer))) < 0) return false;
  return syscalls(PRCTL[column], PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) === 0;
}
