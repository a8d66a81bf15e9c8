import type { NodeId } from "../../src/base/mod.ts";
import type { PeerDirectory } from "../../src/ports/mod.ts";
import {
  type Authority,
  createAuthority,
  generateSigningKey,
  issueCertificate,
  type NodeIdentity,
  nodeIdentity,
} from "../../src/transport/mod.ts";

/** A cluster's authority and the makers of its nodes' identities. */
export interface IdentityMaker {
  readonly authority: Authority;
  /** A fresh node, certified at `nowMs`. */
  make(nowMs?: number): Promise<NodeIdentity>;
}

/** A cluster on paper; certificates are made at `nowMs` by default now. */
export async function identityMaker(nowMs: number = Date.now()): Promise<IdentityMaker> {
  const authority = await createAuthority(nowMs);
  return {
    authority,
    async make(atMs = nowMs) {
      const key = await generateSigningKey();
      const certificate = await issueCertificate(authority, {
        publicKey: key.publicKey,
        nowMs: atMs,
      });
      return await nodeIdentity({ key, certificate, authority, nowMs: atMs });
    },
  };
}

/** Lets everybody in but those it names otherwise. */
export function directoryOf(
  exceptions: Readonly<Record<string, ReturnType<PeerDirectory["judge"]>>> = {},
): PeerDirectory {
  return { judge: (nodeId: NodeId) => exceptions[nodeId] ?? "admitted" };
}
