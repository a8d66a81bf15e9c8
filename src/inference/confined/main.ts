/**
 * The way into a confined runner, for `launch/` alone. Its words: what confines it, the folder of llama.cpp's libraries,
 * and the runner's own.
 *
 * @module
 */
import { becomeRunner } from "./mod.ts";

const [confinement = "", nativeFolder = "", ...words] = Deno.args;
await becomeRunner({ confinement, nativeFolder }, words);
