import { type NodeId, printable } from "../../base/mod.ts";
import { ByteReader, ByteWriter, type Decoded } from "../bytes.ts";
import { nodeIdField } from "../catalogue.ts";
import { recordField, textField, uintField } from "../field_codec.ts";
import { clusterIdField, cutText } from "./hello.ts";

/** Bytes of one packet of discovery; fits into any network's packets unfragmented. */
export const DISCOVERY_BYTES_MAX = 512;
/** First bytes of every packet, so that what else is said on the port is told apart. */
const MAGIC = Uint8Array.of(0x6f, 0x64, 0x73, 0x74);
const DISCOVERY_VERSION = 1;
const HOSTNAME_BYTES_MAX = 253;
const NAME_BYTES_MAX = 64;
const VERSION_BYTES_MAX = 32;

/** What a node tells its local network. No secret: joining still wants a token, and nothing here is believed before TLS. */
export interface Announcement {
  readonly clusterId: string;
  readonly nodeId: NodeId;
  /** Where its cluster port is; "" = at the address that the packet came from. */
  readonly hostname: string;
  readonly port: number;
  readonly name: string;
  /** odist's version. */
  readonly version: string;
}

/** One packet. A query asks all nodes of a cluster to announce themselves now. */
export type DiscoveryPacket =
  | { readonly kind: "announcement"; readonly announcement: Announcement }
  | { readonly kind: "query"; readonly clusterId: string };

const announcementField = recordField<Announcement>({
  clusterId: clusterIdField,
  nodeId: nodeIdField,
  hostname: textField(HOSTNAME_BYTES_MAX, (text) => /^[A-Za-z0-9_.:-]*$/.test(text)),
  port: uintField(65_535),
  name: textField(NAME_BYTES_MAX),
  version: textField(VERSION_BYTES_MAX),
});
const KINDS = ["announcement", "query"] as const;

/** The bytes of a packet. Name and version are cut where they are too long. */
export function encodeDiscovery(packet: DiscoveryPacket): Uint8Array<ArrayBuffer> {
  const writer = new ByteWriter().raw(MAGIC).uint8(DISCOVERY_VERSION);
  writer.uint8(KINDS.indexOf(packet.kind));
  if (packet.kind === "query") return writer.hex64(packet.clusterId).finish();
  const { announcement } = packet;
  announcementField.write(writer, {
    ...announcement,
    name: cutText(announcement.name, NAME_BYTES_MAX),
    version: cutText(announcement.version, VERSION_BYTES_MAX),
  });
  return writer.finish();
}

/** Reads a packet from anybody at all; never throws. */
export function decodeDiscovery(bytes: Uint8Array): Decoded<DiscoveryPacket> {
  if (bytes.length > DISCOVERY_BYTES_MAX) return { kind: "malformed", reason: "too long" };
  const reader = new ByteReader(bytes);
  const magic = reader.raw(MAGIC.length);
  if (!magic.every((byte, index) => byte === MAGIC[index])) reader.fail("another protocol");
  if (reader.uint8() !== DISCOVERY_VERSION) reader.fail("another version");
  const kind = KINDS[reader.uint8()];
  if (kind === "query") return reader.finish({ kind, clusterId: reader.hex64() });
  if (kind === undefined) reader.fail("unknown kind");
  const { name, version, ...rest } = announcementField.read(reader);
  const announcement = { ...rest, name: printable(name), version: printable(version) };
  if (announcement.port === 0) reader.fail("no port");
  return reader.finish({ kind: "announcement", announcement });
}
