/** What is this machine, in the form of NO_PROXY. */
const LOOPBACK = "localhost,127.0.0.0/8,::1";

/**
 * Keeps what is meant for this machine from going through a proxy, for which a loopback address is another machine: adds
 * them to NO_PROXY of this process. Must come before the first request, which is when the variables are read.
 */
export function reachLoopbackPastProxies(env: Readonly<Record<string, string>>): void {
  const usesProxies = Object.keys(env).some((name) => /^(http|https|all)_proxy$/i.test(name));
  if (!usesProxies) return;
  const present = env.NO_PROXY ?? env.no_proxy ?? "";
  Deno.env.set("NO_PROXY", present === "" ? LOOPBACK : `${present},${LOOPBACK}`);
}
