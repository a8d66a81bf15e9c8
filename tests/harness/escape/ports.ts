/**
 * A runner that computes with others and was taken over: tries what of the network it must not have, and what it may, by bare
 * system calls, and prints what came of each as one JSON object. Started with `launch.ts`; the last word is `--try=` with the
 * port that it was given, and another one at which somebody listens, too.
 */
const { port, other } = JSON.parse((Deno.args.at(-1) ?? "").replace("--try=", ""));

const libc = Deno.dlopen("libc.so.6", {
  syscall: { parameters: ["i64", "i64", "i64", "i64", "i64", "i64", "i64"], result: "i64" },
}).symbols;
const isArm = Deno.build.arch === "aarch64";
const [INET, INET6, UNIX, NETLINK] = [2, 10, 1, 16];
const [STREAM, DATAGRAM, RAW] = [1, 2, 3];
const kept: Uint8Array[] = [];

function call(x86: number, arm: number, ...args: (number | bigint)[]): number {
  const [a = 0n, b = 0n, c = 0n, d = 0n, e = 0n, f = 0n] = args.map(BigInt);
  return Number(libc.syscall(BigInt(isArm ? arm : x86), a, b, c, d, e, f));
}
const socket = (family: number, kind: number) => call(41, 198, family, kind, 0);

/** `struct sockaddr_in` of the loopback address. */
function place(at: number): bigint {
  const bytes = new Uint8Array(new ArrayBuffer(16));
  new DataView(bytes.buffer).setUint16(0, INET, true);
  new DataView(bytes.buffer).setUint16(2, at);
  bytes.set([127, 0, 0, 1], 4);
  kept.push(bytes);
  return Deno.UnsafePointer.value(Deno.UnsafePointer.of(bytes));
}
const connect = (at: number) => call(42, 203, socket(INET, STREAM), place(at), 16) === 0;
const bind = (at: number) => call(49, 200, socket(INET, STREAM), place(at), 16) === 0;

console.log(JSON.stringify({
  "tcp": socket(INET, STREAM) >= 0,
  "udp": socket(INET, DATAGRAM) >= 0,
  "raw": socket(INET, RAW) >= 0,
  "tcp over IPv6": socket(INET6, STREAM) >= 0,
  "unix": socket(UNIX, STREAM) >= 0,
  "netlink": socket(NETLINK, RAW) >= 0,
  "connect to its port": connect(port),
  "connect to another": connect(other),
  "bind its port": bind(port),
  "bind another": bind(0),
}));
