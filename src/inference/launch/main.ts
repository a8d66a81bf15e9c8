/**
 * The way into a runner: gives up all rights but a runner's and starts again as one. It imports next to nothing, because
 * Deno reads a program's whole graph before it starts.
 *
 * @module
 */
import { extensionOf, ownProgram } from "../../confinement/mod.ts";
import { launchRunner } from "./launch_runner.ts";

const program = ownProgram(`${import.meta.dirname}/../../..`, extensionOf(import.meta.url));
const place = await launchRunner(program, Deno.args);
// Computed, so that a launch reads nothing of it: this is for systems where a process can't be replaced.
const runner: string = import.meta.url.replace(/launch\/main(\.\w+)$/, "confined/mod$1");
const { becomeRunner } = await import(runner);
await becomeRunner(place, Deno.args);
