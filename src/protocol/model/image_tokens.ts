/**
 * What stands for images among the tokens of a prompt: a number above every vocabulary's, once for each position that a part
 * of an image takes. So an image counts in the window, and a journal of tokens says where it stood.
 */

/** The least such number. */
export const IMAGE_TOKEN_MIN = 0x4000_0000;
/** Images of one request at most. */
export const IMAGES_MAX = 256;
/** Parts of one image at most: some projectors cut an image into tiles. */
export const IMAGE_PARTS_MAX = 4096;
/**
 * Bytes of all images of one request at most: they go to another node in one message, with the prompt, and again when an
 * answer moves.
 */
export const IMAGES_BYTES_MAX = 24 * 1024 * 1024;

/** What an image is counted as where its runner isn't asked (contract 1.5). */
export const IMAGE_TOKENS_ESTIMATED = 768;

/** Whether a token is of an image. */
export function isImageToken(token: number): boolean {
  return token >= IMAGE_TOKEN_MIN;
}

/** The token of a part of an image, both counted from 0 in the order of the request and of the image. */
export function imageToken(image: number, part: number): number {
  return IMAGE_TOKEN_MIN + image * IMAGE_PARTS_MAX + part;
}

/** Text, and the images between: an image is its number. */
export type PromptPiece =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "image"; readonly image: number };

/** Takes a prompt apart at its markers `[img-N]`; one whose image is not among `imageCount` is text as any other. */
export function splitAtImages(prompt: string, imageCount: number): readonly PromptPiece[] {
  const pieces: PromptPiece[] = [];
  let at = 0;
  for (const { 0: marker, 1: digits, index } of prompt.matchAll(/\[img-(\d{1,3})\]/g)) {
    const image = Number(digits);
    if (image >= imageCount) continue;
    pieces.push({ kind: "text", text: prompt.slice(at, index) }, { kind: "image", image });
    at = index + marker.length;
  }
  return [...pieces, { kind: "text", text: prompt.slice(at) }];
}
