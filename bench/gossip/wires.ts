/**
 * A network of its own for each process: namespaces on one bridge, so that what a process sends and receives is counted
 * by the kernel, headers, handshakes and acknowledgements included, the same for every program.
 *
 * @module
 */
const BRIDGE_SPACE = "odist-bench-bridge";
const BRIDGE = "bridge0";

/** What went over one node's wire, Ethernet frames with their 14 bytes of header. */
export interface WireCount {
  readonly sentPackets: number;
  readonly sentBytes: number;
  readonly receivedPackets: number;
  readonly receivedBytes: number;
}

/** Why there can be no such network here; undefined = there can. */
export async function whyNoWires(): Promise<string | undefined> {
  try {
    const { success } = await ip("netns", "list");
    if (!success || Deno.uid() !== 0) return "network namespaces need root and iproute2";
    return undefined;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "iproute2 is not installed";
    throw error;
  }
}

/** Namespaces 0..count-1, each with one wire to the bridge. */
export class Wires implements AsyncDisposable {
  readonly #count: number;

  private constructor(count: number) {
    this.#count = count;
  }

  static async lay(count: number): Promise<Wires> {
    const wires = new Wires(count);
    // What a killed run left behind.
    await wires[Symbol.asyncDispose]();
    await must("netns", "add", BRIDGE_SPACE);
    await silenceIpv6(BRIDGE_SPACE);
    await must("-n", BRIDGE_SPACE, "link", "add", BRIDGE, "type", "bridge");
    await must("-n", BRIDGE_SPACE, "link", "set", BRIDGE, "up");
    for (let index = 0; index < count; index++) await wires.#plug(index);
    return wires;
  }

  addressOf(index: number): string {
    return `10.77.0.${index + 1}`;
  }

  /** A command line that runs another one behind the wire. */
  command(index: number, args: readonly string[]): readonly string[] {
    return ["ip", "netns", "exec", spaceOf(index), ...args];
  }

  async count(index: number): Promise<WireCount> {
    const { stdout } = await must("-n", spaceOf(index), "-s", "-j", "link", "show", "eth0");
    const [link] = JSON.parse(new TextDecoder().decode(stdout));
    const { rx, tx } = link.stats64;
    return {
      sentPackets: tx.packets,
      sentBytes: tx.bytes,
      receivedPackets: rx.packets,
      receivedBytes: rx.bytes,
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (let index = 0; index < this.#count; index++) await ip("netns", "del", spaceOf(index));
    await ip("netns", "del", BRIDGE_SPACE);
  }

  async #plug(index: number): Promise<void> {
    const space = spaceOf(index);
    await must("netns", "add", space);
    await silenceIpv6(space);
    await must("-n", space, "link", "set", "lo", "up");
    const port = `port${index}`;
    const there = ["peer", "name", port, "netns", BRIDGE_SPACE];
    await must("-n", space, "link", "add", "eth0", "type", "veth", ...there);
    await must("-n", BRIDGE_SPACE, "link", "set", port, "master", BRIDGE, "up");
    await must("-n", space, "addr", "add", `${this.addressOf(index)}/24`, "dev", "eth0");
    await must("-n", space, "link", "set", "eth0", "up");
  }
}

/** Its solicitations would be counted as the program's own. */
async function silenceIpv6(space: string): Promise<void> {
  await must("netns", "exec", space, "sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1");
  await must("netns", "exec", space, "sysctl", "-qw", "net.ipv6.conf.default.disable_ipv6=1");
}

function spaceOf(index: number): string {
  return `odist-bench-${index}`;
}

function ip(...args: string[]): Promise<Deno.CommandOutput> {
  return new Deno.Command("ip", { args, stdin: "null", stdout: "piped", stderr: "piped" }).output();
}

async function must(...args: string[]): Promise<Deno.CommandOutput> {
  const output = await ip(...args);
  if (output.success) return output;
  throw new Error(`ip ${args.join(" ")}: ${new TextDecoder().decode(output.stderr).trim()}`);
}
