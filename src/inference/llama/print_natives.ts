import { openLlama } from "./llama.ts";
import { lookAtOwnLibraries } from "./own_libraries.ts";

/**
 * Opens llama.cpp's libraries and prints what they are as one JSON line: `{"build", "gpus", "folder", "own",
 * "confinement"}`, where `own` says of each library of odist's own build why it doesn't serve, or "". A process of its own
 * does this, because a library made for another machine may end it.
 *
 * @throws UnavailableError `load_failed`, as {@link openLlama} does.
 */
export function printNatives(place: {
  readonly nativeFolder: string;
  readonly ownNativeFolder: string;
  readonly confinement: string;
}): void {
  const llama = openLlama(place.nativeFolder);
  const { buildText, gpuCount, folder } = llama;
  const own = lookAtOwnLibraries(llama, place.ownNativeFolder);
  const { confinement } = place;
  console.log(JSON.stringify({ build: buildText, gpus: gpuCount, folder, own, confinement }));
}
