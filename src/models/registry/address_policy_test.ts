import assert from "node:assert/strict";
import { addressKind } from "./address_kind.ts";
import { AddressPolicy } from "./address_policy.ts";
import type { RegistryNetwork } from "./registry_network.ts";

/** Names and what they mean; a list of several is the answers one after the other. */
const NAMES: Readonly<Record<string, readonly string[]>> = {
  "public.example": ["1.1.1.1"],
  "storage.example": ["8.8.8.8"],
  "mixed.example": ["10.0.0.1", "8.8.8.8"],
  "lan.example": ["192.168.1.2"],
  "nas.example": ["192.168.1.3"],
  "meta.example": ["169.254.169.254"],
};

function policyOf(origin: string, options: Partial<RegistryNetwork> = {}): AddressPolicy {
  const network: RegistryNetwork = {
    resolve: (hostname) => {
      const found = NAMES[hostname];
      return found ? Promise.resolve(found) : Promise.reject(new Error(`unknown ${hostname}`));
    },
    kindOf: addressKind,
    isProxied: () => false,
    ...options,
  };
  return new AddressPolicy(origin, { network, allowsPrivate: false });
}

async function verdict(
  policy: AddressPolicy,
  url: string,
  purpose: "read" | "write" = "read",
): Promise<string> {
  try {
    return (await policy.admit(new URL(url), purpose)).addresses.join(" ");
  } catch (error) {
    return (error as Error).message.replace(/^.*?: /, "");
  }
}

/** Registry, address, and what comes of reading and of writing; "" for what is allowed. */
const CASES: readonly (readonly [from: string, to: string, read: RegExp, write: RegExp])[] = [
  ["https://public.example", "https://public.example/x", /^1.1/, /^1.1/],
  ["https://public.example", "https://storage.example/x", /^8.8/, /^8.8/],
  ["https://public.example", "https://public.example:8443/x", /^1.1/, /^1.1/],
  ["https://public.example", "http://public.example/x", /leaves https/, /leaves https/],
  ["https://public.example", "http://storage.example/x", /leaves https/, /leaves https/],
  ["https://public.example", "https://lan.example/x", /private address/, /private address/],
  ["https://public.example", "https://127.0.0.1/x", /loopback address/, /loopback address/],
  ["https://public.example", "https://meta.example/x", /link-local/, /link-local/],
  ["https://public.example", "https://mixed.example/x", /^8.8.8.8$/, /^8.8.8.8$/],
  ["https://public.example", "https://u:p@public.example/x", /user name/, /user name/],
  ["https://public.example", "file:///etc/passwd", /got file/, /got file/],
  ["https://public.example", "data:,x", /got data/, /got data/],
  ["http://public.example", "http://storage.example/x", /^8.8/, /itself only/],
  ["http://public.example", "https://storage.example/x", /^8.8/, /itself only/],
  ["http://public.example", "http://public.example:81/x", /^1.1/, /itself only/],
  ["http://lan.example", "http://nas.example/x", /^192/, /itself only/],
  ["https://lan.example", "https://nas.example/x", /^192/, /^192/],
  ["http://lan.example", "http://127.0.0.1/x", /loopback address/, /itself only/],
  ["http://lan.example", "http://meta.example/x", /link-local/, /itself only/],
  ["http://127.0.0.1:5000", "http://nas.example/x", /^192/, /itself only/],
  ["http://127.0.0.1:5000", "http://169.254.169.254/x", /link-local/, /itself only/],
  ["https://mixed.example", "https://lan.example/x", /private address/, /private address/],
];

Deno.test("AddressPolicy admits what a registry may lead to, and nothing else", async () => {
  for (const [from, to, read, write] of CASES) {
    assert.match(await verdict(policyOf(from), to), read, `${from} reads ${to}`);
    assert.match(await verdict(policyOf(from), to, "write"), write, `${from} writes ${to}`);
  }
});

Deno.test("AddressPolicy refuses a name that meant the internet and now means this network", async () => {
  const answers = [["1.1.1.1"], ["1.1.1.1"], ["127.0.0.1"]];
  const policy = policyOf("http://public.example", {
    resolve: () => Promise.resolve(answers.shift() ?? []),
  });
  assert.equal(await verdict(policy, "http://public.example/x"), "1.1.1.1");
  assert.match(await verdict(policy, "http://public.example/x"), /loopback address/);
});

Deno.test("AddressPolicy leaves a name that only a proxy knows to the proxy, and no address inside", async () => {
  const policy = policyOf("https://unknown.example", { isProxied: () => true });
  assert.equal(await verdict(policy, "https://elsewhere.example/x"), "");
  assert.equal(await verdict(policy, "https://storage.example/x"), "");
  assert.match(await verdict(policy, "https://10.0.0.1/x"), /private address/);
  assert.match(await verdict(policy, "https://lan.example/x"), /private address/);
});
