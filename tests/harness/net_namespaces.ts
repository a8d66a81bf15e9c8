/**
 * Machines on a network of their own, made of the kernel's network namespaces: what loopback can't show, such as packets that
 * are too long for the way, and what a slow way does to a handshake.
 *
 * @module
 */
import assert from "node:assert/strict";

/** How a network carries. */
export interface Wire {
  /** Bytes of the longest packet. */
  readonly mtu: number;
  /** Milliseconds from one machine to another, where the kernel can delay packets. */
  readonly delayMs: number;
}

/** Machines, numbered from 1, behind one bridge. Disposing takes all of it away. */
export class NamespaceNetwork implements AsyncDisposable {
  /** Why packets are not delayed although asked for; undefined when they are. */
  readonly undelayed: string | undefined;
  readonly #id: string;
  readonly #count: number;

  private constructor(id: string, by: { readonly count: number; readonly undelayed?: string }) {
    this.#id = id;
    this.#count = by.count;
    this.undelayed = by.undelayed;
  }

  /** Why there can be none on this system; undefined when there can. */
  static async lacking(): Promise<string | undefined> {
    if (Deno.build.os !== "linux") return "only Linux has network namespaces";
    const name = `odist-probe-${Deno.pid}`;
    const made = await attempt("ip", "netns", "add", name);
    if (made !== undefined) return `no network namespace can be made here: ${made}`;
    const bridged = await attempt("ip", "-n", name, "link", "add", "br0", "type", "bridge");
    await ip("netns", "del", name);
    return bridged === undefined ? undefined : `no bridge can be made here: ${bridged}`;
  }

  static async open(count: number, wire: Wire): Promise<NamespaceNetwork> {
    const id = (Deno.pid % 0xffff).toString(16);
    const bridge = `odbr${id}`;
    await ip("link", "add", bridge, "mtu", String(wire.mtu), "type", "bridge");
    await ip("address", "add", `${prefixOf(id)}.254/24`, "dev", bridge);
    await ip("link", "set", bridge, "up");
    let undelayed: string | undefined;
    for (let number = 1; number <= count; number++) {
      const [name, outer] = [`odist-${id}-${number}`, `od${id}v${number}`];
      await ip("netns", "add", name);
      await ip("link", "add", outer, "type", "veth", "peer", "name", "eth0", "netns", name);
      await ip("link", "set", outer, "mtu", String(wire.mtu), "master", bridge, "up");
      await ip("-n", name, "link", "set", "eth0", "mtu", String(wire.mtu), "up");
      await ip("-n", name, "link", "set", "lo", "up");
      await ip("-n", name, "address", "add", `${prefixOf(id)}.${number}/24`, "dev", "eth0");
      const delay = ["root", "netem", "delay", `${wire.delayMs}ms`];
      undelayed ??= await attempt("tc", "-n", name, "qdisc", "add", "dev", "eth0", ...delay);
    }
    return new NamespaceNetwork(id, { count, ...(undelayed !== undefined && { undelayed }) });
  }

  /** IPv4, of a machine. */
  addressOf(number: number): string {
    return `${prefixOf(this.#id)}.${number}`;
  }

  /** What to put before a command so that it runs on a machine. */
  on(number: number): readonly string[] {
    return ["ip", "netns", "exec", `odist-${this.#id}-${number}`];
  }

  /** Bytes of the longest packet that a machine's own wire takes, as the kernel says. */
  async mtuOf(number: number): Promise<number> {
    const [command = "", ...args] = [...this.on(number), "cat", "/sys/class/net/eth0/mtu"];
    const { stdout } = await new Deno.Command(command, { args }).output();
    return Number(new TextDecoder().decode(stdout));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (let number = 1; number <= this.#count; number++) {
      await attempt("ip", "netns", "del", `odist-${this.#id}-${number}`);
    }
    await attempt("ip", "link", "del", `odbr${this.#id}`);
  }
}

/** Of private addresses (RFC 1918), one network a process. */
function prefixOf(id: string): string {
  const number = parseInt(id, 16);
  return `10.${64 + (number >> 8) % 64}.${number % 256}`;
}

async function ip(...args: readonly string[]): Promise<void> {
  assert.equal(await attempt("ip", ...args), undefined, `ip ${args.join(" ")}`);
}

/** What the command said when it failed. */
async function attempt(command: string, ...args: readonly string[]): Promise<string | undefined> {
  try {
    const { success, stderr, stdout } = await new Deno.Command(command, { args: [...args] })
      .output();
    if (success) return undefined;
    const said = new TextDecoder().decode(stderr) || new TextDecoder().decode(stdout);
    return said.trim() || "it failed";
  } catch (error) {
    return String(error);
  }
}
