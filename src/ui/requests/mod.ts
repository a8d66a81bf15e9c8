/**
 * What runs and ran lately, and why each request went where it went.
 *
 * @module
 */
export { Explanation } from "./explanation.tsx";
export { RequestsView } from "./requests_view.tsx";
