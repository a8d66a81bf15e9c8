/**
 * What a process does once it has given up all rights but a runner's: serve a model, rewrite a file, or tell which
 * libraries there are. `launch/` starts it, at `main.ts`. Start with `become_runner.ts`.
 *
 * @module
 */
export { becomeRunner } from "./become_runner.ts";
