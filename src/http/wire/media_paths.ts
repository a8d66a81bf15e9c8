/**
 * Where in a body images and audio stand: names in lower case, {@link ITEM} for the items of a list. They are strings of
 * base64, in some places behind the head of a data URL.
 */
export interface MediaPlace {
  /** A string here is an image or a recording. */
  readonly isMedia: boolean;
  readonly below: ReadonlyMap<string, MediaPlace>;
}

/** Stands for each item of a list. */
export const ITEM = "[]";

/** Of all API families: places that one of them doesn't know are read by none. */
const PATHS = [
  ["images", ITEM],
  ["messages", ITEM, "images", ITEM],
  ["messages", ITEM, "content", ITEM, "image_url"],
  ["messages", ITEM, "content", ITEM, "image_url", "url"],
  ["messages", ITEM, "content", ITEM, "input_audio", "data"],
  ["messages", ITEM, "content", ITEM, "source", "data"],
];

/** The place of the body itself. */
export const MEDIA_PLACES: MediaPlace = placeOf(PATHS);

function placeOf(paths: readonly (readonly string[])[]): MediaPlace {
  const isMedia = paths.some((path) => path.length === 0);
  const below = new Map<string, MediaPlace>();
  for (const [name] of paths) {
    if (name === undefined || below.has(name)) continue;
    const deeper = paths.filter((path) => path[0] === name).map((path) => path.slice(1));
    below.set(name, placeOf(deeper));
  }
  return { isMedia, below };
}
