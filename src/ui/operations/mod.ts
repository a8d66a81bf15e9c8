/**
 * What people who run a cluster do: members, tokens, keys, settings, changes, logs.
 *
 * @module
 */
export { OperationsView } from "./operations_view.tsx";
