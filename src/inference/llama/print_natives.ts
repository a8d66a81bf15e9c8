import { openLlama } from "./llama.ts";
import { lookAtOwnLibraries } from "./own_libraries.ts";
import { findUnusable } from "./unusable.ts";

/**
 * Opens llama.cpp's libraries and prints what they are as one JSON line: `{"build", "devices", "unusable", "folder", "own",
 * "confinement"}`, where `own` says of each library of odist's own build why it doesn't serve, or "", and `unusable` has the
 * `library` and the `reason` of each that drives no device. A process of its own does this, because a library made for
 * another machine may end it.
 *
 * @throws UnavailableError `load_failed`, as {@link openLlama} does.
 */
export function printNatives(place: {
  readonly nativeFolder: string;
  readonly ownNativeFolder: string;
  readonly confinement: string;
}): void {
  const llama = openLlama(place.nativeFolder);
  const { buildText: build, gpus, folder } = llama;
  const own = lookAtOwnLibraries(llama, place.ownNativeFolder);
  const { confinement } = place;
  const devices = gpus.map((gpu) => gpu.facts());
  const unusable = findUnusable(folder, gpus.map(({ name }) => name));
  console.log(JSON.stringify({ build, devices, unusable, folder, own, confinement }));
}
