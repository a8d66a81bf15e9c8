/**
 * The cluster as a living picture: who is there, what each does, and where models lie.
 *
 * @module
 */
export { ClusterView } from "./cluster_view.tsx";
export { PlacementTable } from "./placement.tsx";
