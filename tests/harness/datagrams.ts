import {
  encodeClaimPart,
  encodeDatagramHead,
  encodeValuePart,
  type MembershipDatagram,
} from "../../src/protocol/mod.ts";

/** A whole datagram; the caller keeps it within {@link DATAGRAM_BYTES_MAX}. */
export function encodeDatagram(message: MembershipDatagram): Uint8Array<ArrayBuffer> {
  const writer = encodeDatagramHead(message.source, message.body, message.piggyback.accusation);
  for (const claim of message.piggyback.claims) writer.raw(encodeClaimPart(claim));
  for (const rumor of message.piggyback.values) writer.raw(encodeValuePart(rumor));
  return writer.finish();
}
