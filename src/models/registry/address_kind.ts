import ipaddr from "ipaddr.js";

/**
 * Where a numeric address lies, as seen from this machine. `special` is what belongs to nobody's host: multicast,
 * broadcast, documentation, obsolete tunnels.
 */
export type AddressKind = "public" | "private" | "loopback" | "link_local" | "special";

const KINDS: Readonly<Record<string, AddressKind>> = {
  unicast: "public",
  private: "private",
  uniqueLocal: "private",
  // Shared addresses of carriers, and of overlay networks between a person's own machines.
  carrierGradeNat: "private",
  loopback: "loopback",
  // Connecting to 0.0.0.0 or :: reaches this machine.
  unspecified: "loopback",
  linkLocal: "link_local",
};

/** @param address IPv4 or IPv6, without brackets. What is neither is `special`. */
export function addressKind(address: string): AddressKind {
  const [plain = ""] = address.split("%");
  if (!ipaddr.isValid(plain)) return "special";
  const parsed = ipaddr.process(plain);
  const range = parsed.range();
  // Networks without IPv4 see the whole of it below this prefix (RFC 6052).
  if (parsed.kind() === "ipv6" && range === "rfc6052") {
    return addressKind(parsed.toByteArray().slice(12).join("."));
  }
  return KINDS[range] ?? "special";
}
