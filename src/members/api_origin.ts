import { type NodeHttp, parseAddress, splitAddresses } from "../protocol/mod.ts";

const WILDCARDS: readonly string[] = ["0.0.0.0", "::"];
const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|::1)$/;
/** What a header may carry without any care. */
const PLAIN_HOST = /^([a-zA-Z0-9.-]+|[0-9a-fA-F:.]+)$/;

/**
 * Where browsers find a member's HTTP API, such as `http://192.168.1.10:11434`; undefined where only its own machine does.
 * The host is always one at which the member has proved who it is, so that no member has pages sent to another machine:
 * what it is bound to only tells whether HTTP is served there, too.
 */
export function apiOrigin(http: NodeHttp, clusterAddress: string): string | undefined {
  const hosts = splitAddresses(clusterAddress).map((address) => parseAddress(address)?.hostname);
  const found = hosts.find((host) => host !== undefined && isServedAt(http.hostname, host));
  if (found === undefined || !PLAIN_HOST.test(found) || http.port === 0) return undefined;
  return `http://${found.includes(":") ? `[${found}]` : found}:${http.port}`;
}

function isServedAt(boundTo: string, host: string): boolean {
  if (WILDCARDS.includes(boundTo) || boundTo.toLowerCase() === host.toLowerCase()) return true;
  return LOOPBACK.test(boundTo) && LOOPBACK.test(host);
}
