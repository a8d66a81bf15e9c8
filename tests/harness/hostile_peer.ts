/**
 * A peer that speaks QUIC by hand, for everything a well-behaved transport never does.
 *
 * @module
 */
import type { PeerAddress } from "../../src/ports/mod.ts";
import {
  encodeStreamHeader,
  FRAME_LENGTH_BYTES,
  LIFE_BYTES,
  spokenVersions,
  type StreamKind,
} from "../../src/protocol/mod.ts";
import { type FramePipe, greet, type NodeIdentity, serverNameOf } from "../../src/transport/mod.ts";
import { directoryOf } from "./identities.ts";

/** One hostile connection to a node. */
export class HostilePeer {
  readonly conn: Deno.QuicConn;
  readonly identity: NodeIdentity;
  readonly #target: PeerAddress;

  private constructor(conn: Deno.QuicConn, identity: NodeIdentity, target: PeerAddress) {
    this.conn = conn;
    this.identity = identity;
    this.#target = target;
  }

  /** Gets as far as TLS. `trusts`: whose authority it believes, by default its own. */
  static async connect(
    target: PeerAddress,
    options: {
      identity: NodeIdentity;
      trusts?: NodeIdentity;
      protocol?: string;
      endpoint?: Deno.QuicEndpoint;
    },
  ): Promise<HostilePeer> {
    const { identity, trusts = identity, protocol = "odist/1" } = options;
    const conn = await Deno.connectQuic({
      hostname: "127.0.0.1",
      port: Number(target.address.split(":").at(-1)),
      endpoint: options.endpoint ?? new Deno.QuicEndpoint({ hostname: "127.0.0.1", port: 0 }),
      serverName: serverNameOf(target.nodeId),
      caCerts: [trusts.authorityPem],
      alpnProtocols: [protocol],
    });
    conn.closed.catch(() => {});
    return new HostilePeer(conn, identity, target);
  }

  /** Code of the other side's close. */
  async closeCode(): Promise<number> {
    return (await this.conn.closed).closeCode;
  }

  /** The first stream with its header and this peer's life sent. */
  async openHello(header: Uint8Array = encodeStreamHeader("hello")): Promise<BytePipe> {
    const pipe = new BytePipe(await this.conn.createBidirectionalStream());
    await pipe.writeBytes(header);
    await pipe.write(new Uint8Array(LIFE_BYTES));
    return pipe;
  }

  /** Behaves until it is let in. */
  async greet(): Promise<void> {
    const pipe = await this.openHello();
    await greet(pipe, {
      identity: this.identity,
      directory: directoryOf(),
      nowMs: () => Date.now(),
      speaks: spokenVersions(),
      role: "dialer",
      expected: this.#target.nodeId,
    });
    await pipe.read();
  }

  /** A unidirectional stream that begins with these bytes. */
  async openChannel(kind: StreamKind, ...parts: Uint8Array[]): Promise<BytePipe> {
    const writable = await this.conn.createUnidirectionalStream();
    const pipe = new BytePipe({ writable });
    for (const part of [encodeStreamHeader(kind), ...parts]) await pipe.writeBytes(part);
    return pipe;
  }

  /** A stream that begins with these bytes. */
  async openStream(...parts: Uint8Array[]): Promise<BytePipe> {
    const pipe = new BytePipe(await this.conn.createBidirectionalStream());
    for (const part of parts) await pipe.writeBytes(part);
    return pipe;
  }

  close(): void {
    this.conn.close({ closeCode: 0, reason: "" });
    this.conn.endpoint.close();
  }
}

/** Frames, or any bytes, over one stream. */
export class BytePipe implements FramePipe {
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #reader: ReadableStreamDefaultReader<Uint8Array<ArrayBuffer>> | undefined;
  #bytes = new Uint8Array(0);

  constructor(stream: {
    readonly writable: WritableStream<Uint8Array>;
    readonly readable?: ReadableStream<Uint8Array<ArrayBuffer>>;
  }) {
    this.#writer = stream.writable.getWriter();
    this.#reader = stream.readable?.getReader();
  }

  async writeBytes(bytes: Uint8Array): Promise<void> {
    await this.#writer.write(bytes);
  }

  async write(frame: Uint8Array): Promise<void> {
    await this.writeBytes(frameOf(frame));
  }

  /** Reads bytes that are no frame. */
  async skip(count: number): Promise<void> {
    while (this.#bytes.length < count && await this.#pull());
    this.#bytes = this.#bytes.slice(count);
  }

  async read(): Promise<Uint8Array<ArrayBuffer> | undefined> {
    for (;;) {
      const view = new DataView(this.#bytes.buffer, this.#bytes.byteOffset);
      const isLengthThere = this.#bytes.length >= FRAME_LENGTH_BYTES;
      const end = isLengthThere ? FRAME_LENGTH_BYTES + view.getUint32(0, true) : Infinity;
      if (this.#bytes.length >= end) {
        const frame = this.#bytes.slice(FRAME_LENGTH_BYTES, end);
        this.#bytes = this.#bytes.slice(end);
        return frame;
      }
      if (!await this.#pull()) return undefined;
    }
  }

  async #pull(): Promise<boolean> {
    const read = await this.#reader?.read();
    if (read?.value === undefined) return false;
    this.#bytes = joined(this.#bytes, read.value);
    return true;
  }
}

/** A frame as it is on the wire; `announcedBytes` for a length that is not its own. */
export function frameOf(
  frame: Uint8Array | string,
  announcedBytes?: number,
): Uint8Array<ArrayBuffer> {
  const bytes = typeof frame === "string" ? new TextEncoder().encode(frame) : frame;
  const length = new Uint8Array(FRAME_LENGTH_BYTES);
  new DataView(length.buffer).setUint32(0, announcedBytes ?? bytes.length, true);
  return joined(length, bytes);
}

function joined(one: Uint8Array, other: Uint8Array): Uint8Array<ArrayBuffer> {
  const both = new Uint8Array(one.length + other.length);
  both.set(one);
  both.set(other, one.length);
  return both;
}
