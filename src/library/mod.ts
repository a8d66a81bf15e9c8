/**
 * The models of the cluster: its catalogue as names, this node's copies, and who else holds what. It never loads one. Start reading in
 * `model_sharing.ts`.
 *
 * @module
 */
export { ClusterDefinitions, findOwnDefinition } from "./cluster_definitions.ts";
export {
  DESCRIBE_PURPOSE,
  describeServer,
  type FindDefinition,
  getHeldDefinition,
} from "./describe.ts";
export { type Holder, loadFromGossip } from "./holders.ts";
export { KnownModels } from "./known_models.ts";
export { type BlobMember, onlyHere, placementOf } from "./members.ts";
export type { AwayHolders } from "../models/mod.ts";
export { ModelSharing } from "./model_sharing.ts";
