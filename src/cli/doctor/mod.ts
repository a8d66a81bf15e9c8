/**
 * Looks at this machine and says what would keep a node from running well. It never changes anything. Start reading in
 * `checks.ts`.
 *
 * @module
 */
export type { Finding } from "./checks.ts";
export { lookAround } from "./look.ts";
