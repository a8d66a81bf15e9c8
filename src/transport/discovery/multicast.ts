import { errorMessage, UnavailableError } from "../../base/mod.ts";
import { DISCOVERY_BYTES_MAX } from "../../protocol/mod.ts";

/** Organization-local multicast (RFC 2365), where nothing else is known to talk. */
const GROUP = "239.255.114.36";
/** One network and not beyond: no router passes a packet of this life on. */
const HOPS = 1;
/** Networks of this machine that are used. */
const INTERFACES_MAX = 16;
/** Receives that may fail in a row; something is wrong with the socket itself then. */
const FAILURES_MAX = 16;

/** A wire to everybody on the local networks who listens on the same port. */
export interface MulticastWire {
  /** Best effort, to every network of this machine. */
  send(bytes: Uint8Array<ArrayBuffer>): void;
  close(): void;
}

/** How a wire is opened. */
export interface MulticastOptions {
  /** UDP; shared with other nodes on this machine. */
  readonly port: number;
  /** `from` is an IP address and nothing more: anybody can send. */
  readonly onPacket: (bytes: Uint8Array, from: string) => void;
  /** Something that makes discovery deaf or dumb on some network; it goes on on the others. */
  readonly onFault: (text: string) => void;
}

/**
 * Opens the wire on all IPv4 networks of this machine.
 *
 * @throws UnavailableError `address_unusable` when the port can't be had or no network carries multicast.
 */
export async function openMulticast(options: MulticastOptions): Promise<MulticastWire> {
  const ear = openSocket("0.0.0.0", options.port);
  const mouths: Deno.DatagramConn[] = [];
  let heard = 0;
  try {
    for (const address of localAddresses()) {
      try {
        const group = await ear.joinMulticastV4(GROUP, address);
        heard++;
        await group.setLoopback(true);
        mouths.push(await openMouth(address));
      } catch (error) {
        options.onFault(`no discovery on ${address}: ${errorMessage(error)}`);
      }
    }
    if (heard === 0) {
      throw new UnavailableError("address_unusable", "No network here carries multicast");
    }
  } catch (error) {
    for (const socket of [ear, ...mouths]) socket.close();
    throw error;
  }
  return new Wire(ear, mouths, options);
}

class Wire implements MulticastWire {
  readonly #ear: Deno.DatagramConn;
  readonly #mouths: readonly Deno.DatagramConn[];
  readonly #options: MulticastOptions;
  #closed = false;

  constructor(
    ear: Deno.DatagramConn,
    mouths: readonly Deno.DatagramConn[],
    options: MulticastOptions,
  ) {
    this.#ear = ear;
    this.#mouths = mouths;
    this.#options = options;
    void this.#listen();
  }

  send(bytes: Uint8Array<ArrayBuffer>): void {
    for (const mouth of this.#mouths) void this.#sendFrom(mouth, bytes);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const socket of [this.#ear, ...this.#mouths]) socket.close();
  }

  async #sendFrom(mouth: Deno.DatagramConn, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    try {
      const to = { transport: "udp", hostname: GROUP, port: this.#options.port } as const;
      await mouth.send(bytes, to);
    } catch (error) {
      // A network that is down now may be up at the next announcement.
      if (!this.#closed) this.#options.onFault(`could not announce: ${errorMessage(error)}`);
    }
  }

  async #listen(): Promise<void> {
    const buffer = new Uint8Array(DISCOVERY_BYTES_MAX + 1);
    for (let failures = 0; !this.#closed && failures < FAILURES_MAX;) {
      try {
        const [bytes, from] = await this.#ear.receive(buffer);
        failures = 0;
        if (from.transport === "udp") this.#options.onPacket(bytes.slice(), from.hostname);
      } catch (error) {
        if (this.#closed) return;
        failures++;
        this.#options.onFault(`could not listen: ${errorMessage(error)}`);
      }
    }
  }
}

/** Bound to one network's address, because only that decides which network a packet leaves by. */
async function openMouth(address: string): Promise<Deno.DatagramConn> {
  const mouth = openSocket(address, 0);
  try {
    const group = await mouth.joinMulticastV4(GROUP, address);
    await group.setTTL(HOPS);
    await group.setLoopback(true);
    return mouth;
  } catch (error) {
    mouth.close();
    throw error;
  }
}

function openSocket(hostname: string, port: number): Deno.DatagramConn {
  try {
    return Deno.listenDatagram({
      transport: "udp",
      hostname,
      port,
      reuseAddress: true,
      loopback: true,
    });
  } catch (cause) {
    throw new UnavailableError(
      "address_unusable",
      `Cannot use UDP ${hostname}:${port} for discovery: ${errorMessage(cause)}`,
      { cause },
    );
  }
}

function localAddresses(): readonly string[] {
  const addresses = Deno.networkInterfaces()
    .filter(({ family }) => family === "IPv4")
    .map(({ address }) => address);
  return [...new Set(addresses)].sort().slice(0, INTERFACES_MAX);
}
