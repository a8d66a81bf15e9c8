/**
 * A port of its own for one dial, of the version of IP that the host is written in. Names are looked up as IPv4: most networks
 * have that, and a node listens on it unless told otherwise.
 */
export function openDialEndpoint(
  hostname: string,
): { readonly endpoint: Deno.QuicEndpoint; readonly family: 4 | 6 } {
  const family = hostname.includes(":") ? 6 : 4;
  const any = family === 6 ? "::" : "0.0.0.0";
  return { endpoint: new Deno.QuicEndpoint({ hostname: any, port: 0 }), family };
}
