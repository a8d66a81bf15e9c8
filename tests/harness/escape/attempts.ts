/**
 * A runner that was taken over: tries what it must not be able to do, by Deno's functions and by bare system calls, and
 * prints what came of each as one JSON object. What it may do is tried, too, so that a refusal means something.
 * Words after the confinement and the library folders: the model, and `--try=` with a secret file, a folder, a TCP port
 * and the id of a process of this user.
 */
const [confinement = "", , , model = "", goals = ""] = Deno.args;
const { secret, folder, port, pid } = JSON.parse(goals.replace("--try=", ""));

const libc = Deno.dlopen("libc.so.6", {
  syscall: { parameters: ["i64", "i64", "i64", "i64", "i64", "i64", "i64"], result: "i64" },
}).symbols;
const isArm = Deno.build.arch === "aarch64";
const AT_FDCWD = -100n;
const kept: Uint8Array[] = [];

function address(bytes: Uint8Array<ArrayBuffer>): bigint {
  kept.push(bytes);
  return Deno.UnsafePointer.value(Deno.UnsafePointer.of(bytes));
}
const text = (value: string) => address(new TextEncoder().encode(`${value}\0`));

/** Whether the kernel did it. */
function call(x86: number, arm: number, ...args: (number | bigint)[]): boolean {
  const [a = 0n, b = 0n, c = 0n, d = 0n, e = 0n, f = 0n] = args.map(BigInt);
  return libc.syscall(BigInt(isArm ? arm : x86), a, b, c, d, e, f) >= 0n;
}
const open = (path: string, flags: number) => call(257, 56, AT_FDCWD, text(path), flags, 0o600);

/** Whether Deno did it. */
async function deno(attempt: () => unknown): Promise<boolean> {
  try {
    await attempt();
    return true;
  } catch {
    return false;
  }
}

const O_RDWR_CREAT = 2 | 64;
const unixAddress = new Uint8Array(110);
unixAddress[0] = 1;

const allowed = {
  "read the model": open(model, 0),
  "start a thread": await deno(async () => {
    const worker = new Worker("data:application/javascript,postMessage(1)", { type: "module" });
    await new Promise((resolve) => worker.onmessage = resolve);
    worker.terminate();
  }),
};
const refused = {
  "open(secret)": open(secret, 0),
  "open(secret) past /proc": open(`/proc/self/root${secret}`, 0),
  "openat2(secret)": call(437, 437, AT_FDCWD, text(secret), address(new Uint8Array(24)), 24),
  "open(folder)": open(folder, 0),
  "read the other's environment": open(`/proc/${pid}/environ`, 0),
  "write a file": open(`${folder}/written`, O_RDWR_CREAT),
  "write into /tmp": open("/tmp/odist-escaped", O_RDWR_CREAT),
  "change the model": open(model, 2),
  "mkdirat": call(258, 34, AT_FDCWD, text(`${folder}/made`), 0o700),
  "unlinkat(secret)": call(263, 35, AT_FDCWD, text(secret), 0),
  "renameat2(model)": call(316, 276, AT_FDCWD, text(model), AT_FDCWD, text(`${model}.moved`), 0),
  "linkat(secret)": call(265, 37, AT_FDCWD, text(secret), AT_FDCWD, text(`${folder}/linked`), 0),
  "fchmodat(model)": call(268, 53, AT_FDCWD, text(model), 0o777),
  "socket(inet)": call(41, 198, 2, 1, 0),
  "socket(inet6, datagram)": call(41, 198, 10, 2, 0),
  "socket(unix)": call(41, 198, 1, 1, 0),
  "socket(netlink)": call(41, 198, 16, 3, 0),
  "connect": call(42, 203, 0, address(unixAddress), 110),
  "ptrace(attach)": call(101, 117, 16, BigInt(pid), 0, 0),
  "pidfd_open": call(434, 434, BigInt(pid), 0),
  "kill(other, 0)": call(62, 129, BigInt(pid), 0),
  "prlimit(other)": call(302, 261, BigInt(pid), 7, 0, address(new Uint8Array(16))),
  "io_uring_setup": call(425, 425, 4, address(new Uint8Array(256))),
  "bpf": call(321, 280, 0, address(new Uint8Array(64)), 64),
  "unshare(user)": call(272, 97, 0x10000000),
  "userfaultfd": call(323, 282, 1),
  "fork": call(isArm ? 220 : 57, 220, 17, 0, 0, 0, 0),
  "a call nobody knows": call(600, 600),
  "a call of another architecture": !isArm && call(0x40000000 + 39, 0),
  "execve": call(59, 221, text("/bin/true"), address(new Uint8Array(8)), 0),
  "Deno.readTextFile": await deno(() => Deno.readTextFile(secret)),
  "Deno.writeTextFile": await deno(() => Deno.writeTextFile(`${folder}/written`, "")),
  "Deno.connect": await deno(() => Deno.connect({ port: port })),
  "Deno.listen": await deno(() => Deno.listen({ port: 0 }).close()),
  "fetch": await deno(() => fetch(`http://127.0.0.1:${port}/`)),
  "Deno.Command": await deno(() => new Deno.Command("/bin/true").output()),
  "Deno.env": await deno(() => Deno.env.toObject()),
  "Deno.kill": await deno(() => Deno.kill(pid, "SIGCONT")),
};
console.log(JSON.stringify({ confinement, allowed, refused }));
