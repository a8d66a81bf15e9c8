/**
 * WebP images, which libmtmd can't read. `decode_webp.ts` has a worker decode one, which begins at `main.ts`.
 *
 * @module
 */
export { decodeWebp } from "./decode_webp.ts";
