/**
 * The way into a confined runner, for `launch/` alone. Its words: what confines it, the folders of llama.cpp's libraries and
 * of odist's own, and the runner's own.
 *
 * @module
 */

// cborg asks whether there is a Buffer of Node's, and Deno sets up all of Node for whoever asks: half of a runner's start.
Reflect.deleteProperty(globalThis, "process");
const { becomeRunner } = await import("./mod.ts");
const [confinement = "", nativeFolder = "", ownNativeFolder = "", ...words] = Deno.args;
await becomeRunner({ confinement, nativeFolder, ownNativeFolder }, words);
