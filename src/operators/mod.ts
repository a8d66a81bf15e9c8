/**
 * What people who run a cluster ask of it: status, members, tokens, keys, settings. It never touches an answer. Start reading in
 * `admin.ts`.
 *
 * @module
 */
export { changesView } from "./changes_view.ts";
export { Admin, type SeenMember } from "./admin.ts";
export { Attribution } from "./attribution.ts";
export {
  admitClient,
  type ClientAccessParts,
  keyAccess,
  LogLookups,
  type OpenTo,
  tenantWeight,
} from "./client_access.ts";
export { Credentials } from "./credentials.ts";
export { KeyUses } from "./key_uses.ts";
export { listLoaded, type LoadedRowsParts } from "./loaded_rows.ts";
export { lookBeforeRender, roomGauges, setNodeGauges } from "./node_gauges.ts";
