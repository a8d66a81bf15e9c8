/** Functions of the C library that Deno has no API for. Opening them wants the permission `ffi`. */
const PATHS: Partial<Record<typeof Deno.build.os, string>> = {
  linux: "libc.so.6",
  darwin: "/usr/lib/libSystem.B.dylib",
};
const SIGKILL = 9;

const PROCESS_SYMBOLS = {
  execve: { parameters: ["buffer", "buffer", "buffer"], result: "i32" },
  getpid: { parameters: [], result: "i32" },
  kill: { parameters: ["i32", "i32"], result: "i32" },
} as const;
const LINUX_SYMBOLS = {
  syscall: { parameters: ["i64", "i64", "i64", "i64", "i64", "i64", "i64"], result: "i64" },
  __errno_location: { parameters: [], result: "pointer" },
} as const;

/** A failed call's `errno`, below zero; the result otherwise. */
export type SyscallResult = number;

/**
 * Replaces this process by another program; process id, pipes and working folder stay. Returns only when it failed.
 *
 * @throws Error when this system's C library can't be opened; there is none to open on Windows.
 */
export function replaceProcess(
  command: readonly string[],
  environment: Readonly<Record<string, string>>,
): void {
  const { symbols } = Deno.dlopen(libcPath(), PROCESS_SYMBOLS);
  const args = new TextList(command);
  const variables = Object.entries(environment).map(([name, value]) => `${name}=${value}`);
  symbols.execve(cText(command[0] ?? ""), args.pointers, new TextList(variables).pointers);
}

/** Ends this process at once: no exit handler of a library runs. */
export function killThisProcess(): never {
  if (PATHS[Deno.build.os] === undefined) Deno.kill(Deno.pid, "SIGKILL");
  const { symbols } = Deno.dlopen(libcPath(), PROCESS_SYMBOLS);
  symbols.kill(symbols.getpid(), SIGKILL);
  throw new Error("A process outlived its SIGKILL");
}

/** Linux's system calls by number, of the calling thread. */
export function openSyscalls(): (number: number, ...args: (number | bigint)[]) => SyscallResult {
  const { symbols } = Deno.dlopen(libcPath(), LINUX_SYMBOLS);
  return (number, ...args) => {
    const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0] = args.map(BigInt);
    const words = [a, b, c, d, e, f].map(BigInt);
    const [a64 = 0n, b64 = 0n, c64 = 0n, d64 = 0n, e64 = 0n, f64 = 0n] = words;
    const result = Number(symbols.syscall(BigInt(number), a64, b64, c64, d64, e64, f64));
    if (result !== -1) return result;
    const place = symbols.__errno_location();
    return place === null ? -1 : -new Deno.UnsafePointerView(place).getInt32();
  };
}

/** Where `bytes` lie, as a system call wants it. The caller keeps them referenced. */
export function addressOf(bytes: Uint8Array<ArrayBuffer>): bigint {
  const pointer = Deno.UnsafePointer.of(bytes);
  return pointer === null ? 0n : Deno.UnsafePointer.value(pointer);
}

/** A NUL-terminated copy. */
export function cText(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(`${text}\0`);
}

function libcPath(): string {
  const path = PATHS[Deno.build.os];
  if (path === undefined) throw new Error(`There is no C library to call on ${Deno.build.os}`);
  return path;
}

/** `char *const []` of C: addresses of texts, and a last one that is NULL. */
class TextList {
  readonly pointers: BigUint64Array<ArrayBuffer>;
  /** Referenced, so that they stay where the addresses say. */
  readonly texts: readonly Uint8Array<ArrayBuffer>[];

  constructor(texts: readonly string[]) {
    this.texts = texts.map(cText);
    this.pointers = new BigUint64Array(texts.length + 1);
    this.texts.forEach((text, index) => this.pointers[index] = addressOf(text));
  }
}
