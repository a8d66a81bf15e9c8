/**
 * Finds the nodes of a cluster on the local networks by UDP multicast. Carries no secret and proves nothing: whoever is
 * found still has to show the certificate that a join token asks for. Start with `discovery.ts`.
 *
 * @module
 */
export {
  advertisedAddresses,
  type AdvertisingParts,
  portOf,
  watchAddresses,
} from "./advertising.ts";
export { Announcing } from "./announcing.ts";
export { announce, type DiscoveryParts, findNodes, type HeardNode } from "./discovery.ts";
export { type MulticastOptions, type MulticastWire, openMulticast } from "./multicast.ts";
