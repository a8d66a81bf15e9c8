/**
 * The cluster's models: got, made, looked at, named and let go.
 *
 * @module
 */
export { isTransferring } from "./transfers.ts";
export { ModelsView } from "./models_view.tsx";
