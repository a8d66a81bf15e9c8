import { errorMessage, type NodeId } from "../base/mod.ts";
import type { StreamRouter } from "../calls/mod.ts";
import { admittedMembers, Catalogue } from "../core/catalogue/mod.ts";
import { type Group, READ_TIMEOUT_MS } from "../group/mod.ts";
import type { Clock, Log, RaftLogStore } from "../ports/mod.ts";
import type { QuicTransport, StoredIdentity } from "../transport/mod.ts";
import { AuthorityKeeper } from "./authority_keeper.ts";
import {
  AUTHORITY_KEY_PURPOSE,
  authorityKeyServer,
  CERTIFY_PURPOSE,
  certifyServer,
} from "./authority_messages.ts";
import { CatalogueDirectory } from "./directory.ts";
import { UnappliedMembers } from "./unapplied_members.ts";
import { askForVoucher } from "./vouching.ts";

/** What a directory is opened with. */
export interface DirectoryOf {
  readonly stored: StoredIdentity;
  readonly store: RaftLogStore;
  /** Who belonged when the log could still be read; none where it can. */
  readonly lastKnown: StoredIdentity["firstMembers"];
  readonly late: { readonly group?: Group; readonly transport?: QuicTransport };
  readonly addressOf: (peer: NodeId) => string;
  readonly clock: Clock;
  readonly log: Log;
}

/** Who may connect; `late` is filled while the node is opened. */
export function openDirectory(parts: DirectoryOf): CatalogueDirectory {
  const { stored, store, late, addressOf, clock, log } = parts;
  const rows = () => late.group?.catalogue ?? Catalogue.empty();
  const unapplied = new UnappliedMembers(store, () => rows().appliedIndex);
  const known = () =>
    admittedMembers(rows(), stored.nodeId)
      .map(({ nodeId }) => ({ nodeId, address: addressOf(nodeId) }))
      .filter(({ address }) => address !== "");
  return new CatalogueDirectory({
    rows,
    unapplied: (nodeId) => unapplied.find(nodeId),
    hasLeader: () => late.group?.view().leader !== undefined,
    catchUp: async () => await late.group?.read(() => {}, { timeoutMs: READ_TIMEOUT_MS }),
    askMembers: (nodeId) =>
      late.transport === undefined
        ? Promise.resolve(undefined)
        : askForVoucher(nodeId, { transport: late.transport, clock, members: known }),
    firstMembers: [...stored.firstMembers, ...parts.lastKnown],
    dropFirstMembers: () =>
      void stored.dropFirstMembers().catch((error) =>
        log.log("warn", "first_members_not_dropped", { reason: errorMessage(error) })
      ),
    judgeAgain: () => late.transport?.judgeAgain(),
    clock,
    log,
  });
}

/** What keeps the authority right as long as a node runs. */
export interface AuthorityKeeping {
  readonly keeper: AuthorityKeeper;
  close(): void;
}

/** Serves and follows the authority, and judges connections again when there is another leader. */
export function keepAuthority(parts: {
  readonly stored: StoredIdentity;
  readonly group: Group;
  readonly transport: QuicTransport;
  readonly router: StreamRouter;
  readonly directory: CatalogueDirectory;
  readonly addressOf: (peer: NodeId) => string;
  readonly clock: Clock;
  readonly log: Log;
  /** This node's certificate is another one now. */
  readonly onReplaced: () => void;
}): AuthorityKeeping {
  const { stored, group, transport, router, directory, onReplaced } = parts;
  const keeper = new AuthorityKeeper({
    ...parts,
    nodeId: stored.nodeId,
    useIdentity: (identity) => {
      transport.useIdentity(identity);
      onReplaced();
    },
  });
  registerAuthority(router, { stored, group, keeper });
  const stopLooking = group.onChanged(() => {
    directory.lookAtLeader();
    keeper.look();
  });
  const stopFollowing = group.onApplied(({ kinds }) => {
    if (kinds === undefined || kinds.has("put_setting") || kinds.has("revoke_member")) {
      keeper.look();
    }
  });
  keeper.look();
  return {
    keeper,
    close() {
      stopLooking();
      stopFollowing();
      keeper.close();
      directory.close();
    },
  };
}

function registerAuthority(
  router: StreamRouter,
  by: {
    readonly stored: StoredIdentity;
    readonly group: Group;
    readonly keeper: AuthorityKeeper;
  },
): void {
  const { stored, group, keeper } = by;
  router.register(CERTIFY_PURPOSE, certifyServer((publicKey) => keeper.issue(publicKey)));
  router.register(
    AUTHORITY_KEY_PURPOSE,
    authorityKeyServer({
      signer: () => stored.membership?.signer,
      catalogue: () => group.catalogue,
      view: () => group.view(),
    }),
  );
}
