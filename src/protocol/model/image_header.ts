/** Pixels of one image at most: decoded it takes three bytes for each, and its decoder twice as much. */
export const IMAGE_PIXELS_MAX = 32 * 1024 * 1024;
/** Bytes that the pixels of a PNG may take before they are brought to three a pixel: some have eight for one. */
export const IMAGE_INFLATED_BYTES_MAX = 128 * 1024 * 1024;
/** Pixels of all images of one request at most: they are decoded one after the other, while others wait with theirs. */
export const IMAGES_PIXELS_MAX = 8 * IMAGE_PIXELS_MAX;
/** Passes over its pixels that a JPEG may make; what cameras and editors write makes twenty at most. */
const JPEG_SCANS_MAX = 64;
/** Pixels along one side at most. */
export const IMAGE_SIDE_PIXELS_MAX = 16_384;
/** How many times longer than the other one side may be: tiles of a ribbon are many. */
const IMAGE_ASPECT_MAX = 200;

/** What an image says of itself before anything of it is decoded. */
export interface ImageHeader {
  readonly format: "png" | "jpeg" | "gif" | "bmp" | "webp";
  /** Pixels, >= 1. */
  readonly width: number;
  readonly height: number;
  /** Of a PNG, how many bytes its data may inflate to. */
  readonly inflatedBytesMax?: number;
}

/** A header, or why the bytes are no image that can be looked at. */
export type ReadImage =
  | { readonly kind: "image"; readonly header: ImageHeader }
  | { readonly kind: "refused"; readonly reason: string };

type Size = Omit<ImageHeader, "format">;

/**
 * Reads format and size off the first bytes of an image, and holds the size against the limits. A few bytes can claim, and
 * decompress to, any number of pixels: so nothing may be decoded before.
 */
export function readImageHeader(bytes: Uint8Array): ReadImage {
  const format = formatOf(bytes);
  if (format === undefined) return refused("it is no PNG, JPEG, GIF, BMP or WebP image");
  if (format === "webp" && isMoving(bytes)) {
    return refused("it is a WebP that moves: send one picture of it instead");
  }
  const size = SIZES[format](new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength));
  if (size === undefined) return refused(`its ${format.toUpperCase()} header is broken`);
  const { width, height, inflatedBytesMax = 0 } = size;
  const [short, long] = width < height ? [width, height] : [height, width];
  if (short < 1) return refused("it has no pixels");
  if (long > IMAGE_SIDE_PIXELS_MAX || width * height > IMAGE_PIXELS_MAX) {
    return refused(
      `it has ${width} x ${height} pixels: at most ${IMAGE_PIXELS_MAX} are taken, and ` +
        `${IMAGE_SIDE_PIXELS_MAX} along one side`,
    );
  }
  if (format === "jpeg" && scansOf(bytes) > JPEG_SCANS_MAX) {
    return refused(`it goes over its pixels more than ${JPEG_SCANS_MAX} times`);
  }
  if (inflatedBytesMax > IMAGE_INFLATED_BYTES_MAX) {
    return refused(
      `its ${width} x ${height} pixels take ${inflatedBytesMax} bytes: at most ` +
        `${IMAGE_INFLATED_BYTES_MAX} are taken`,
    );
  }
  if (long > short * IMAGE_ASPECT_MAX) {
    return refused(
      `it has ${width} x ${height} pixels: one side may be ${IMAGE_ASPECT_MAX} times the other`,
    );
  }
  return { kind: "image", header: { format, ...size } };
}

function refused(reason: string): ReadImage {
  return { kind: "refused", reason };
}

const PNG_SIGNATURE = "\x89PNG\r\n\x1a\n";

function formatOf(bytes: Uint8Array): ImageHeader["format"] | undefined {
  const start = String.fromCharCode(...bytes.subarray(0, 16));
  if (start.startsWith(PNG_SIGNATURE)) return "png";
  if (start.startsWith("\xff\xd8\xff")) return "jpeg";
  if (start.startsWith("GIF87a") || start.startsWith("GIF89a")) return "gif";
  if (start.startsWith("BM")) return "bmp";
  return start.startsWith("RIFF") && start.slice(8, 12) === "WEBP" ? "webp" : undefined;
}

const SIZES: Readonly<Record<ImageHeader["format"], (view: DataView) => Size | undefined>> = {
  png: pngSize,
  jpeg: jpegSize,
  gif: gifSize,
  bmp: bmpSize,
  webp: webpSize,
};

/** Values of a pixel by the type of its colours. */
const PNG_CHANNELS: Readonly<Record<number, number>> = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 };
/** Bytes of a line besides its pixels, over all passes of one that is interlaced: filters and what is rounded up. */
const PNG_LINE_BYTES = 4;

function pngSize(view: DataView): Size | undefined {
  const isHeader = view.byteLength >= 29 && view.getUint32(8) === 13 &&
    view.getUint32(12) === 0x49484452;
  const channels = isHeader ? PNG_CHANNELS[view.getUint8(25)] : undefined;
  if (channels === undefined) return undefined;
  const [width, height, bits] = [view.getUint32(16), view.getUint32(20), view.getUint8(24)];
  const lineBytes = Math.ceil(width * channels * bits / 8) + PNG_LINE_BYTES;
  return { width, height, inflatedBytesMax: lineBytes * height };
}

function gifSize(view: DataView): Size | undefined {
  if (view.byteLength < 13) return undefined;
  return { width: view.getUint16(6, true), height: view.getUint16(8, true) };
}

/** Lengths that a header of a BMP has; decoders take what has another one for another format. */
const BMP_HEADER_BYTES: readonly number[] = [12, 40, 56, 108, 124];

function bmpSize(view: DataView): Size | undefined {
  if (view.byteLength < 26) return undefined;
  const headerBytes = view.getUint32(14, true);
  if (!BMP_HEADER_BYTES.includes(headerBytes)) return undefined;
  if (headerBytes === 12) {
    return { width: view.getUint16(18, true), height: view.getUint16(20, true) };
  }
  // A negative height counts lines from the top.
  return { width: view.getInt32(18, true), height: Math.abs(view.getInt32(22, true)) };
}

/** Where the first chunk of a WebP has its data. */
const WEBP_DATA_AT = 20;
const WEBP_KINDS = { lossy: "VP8 ", lossless: "VP8L", extended: "VP8X" } as const;
/** Of the first byte of an extended one. */
const WEBP_MOVES = 0x02;

/** Of the canvas where there is one: its decoder refuses a picture of another size. */
function webpSize(view: DataView): Size | undefined {
  if (view.byteLength < WEBP_DATA_AT + 10) return undefined;
  const at = WEBP_DATA_AT;
  switch (webpKindOf(view)) {
    case WEBP_KINDS.lossy: {
      if (view.getUint8(at + 3) !== 0x9d || view.getUint16(at + 4) !== 0x012a) return undefined;
      const [width, height] = [view.getUint16(at + 6, true), view.getUint16(at + 8, true)];
      return { width: width & 0x3fff, height: height & 0x3fff };
    }
    case WEBP_KINDS.lossless: {
      if (view.getUint8(at) !== 0x2f) return undefined;
      const bits = view.getUint32(at + 1, true);
      return { width: (bits & 0x3fff) + 1, height: (bits >>> 14 & 0x3fff) + 1 };
    }
    case WEBP_KINDS.extended: {
      const [width, height] = [view.getUint32(at + 3, true), view.getUint32(at + 6, true)];
      return { width: (width >>> 8) + 1, height: (height >>> 8) + 1 };
    }
    default:
      return undefined;
  }
}

function webpKindOf(view: DataView): string {
  return String.fromCharCode(...[12, 13, 14, 15].map((at) => view.getUint8(at)));
}

function isMoving(webp: Uint8Array): boolean {
  const isExtended = String.fromCharCode(...webp.subarray(12, 16)) === WEBP_KINDS.extended;
  return isExtended && ((webp[WEBP_DATA_AT] ?? 0) & WEBP_MOVES) !== 0;
}

/** A few bytes can have a decoder go over all pixels once more. Among those data the bytes of a marker never stand. */
function scansOf(jpeg: Uint8Array): number {
  let count = 0;
  let at = jpeg.indexOf(0xff);
  while (at >= 0 && count <= JPEG_SCANS_MAX) {
    if (jpeg[at + 1] === 0xda) count++;
    at = jpeg.indexOf(0xff, at + 1);
  }
  return count;
}

/** Goes from segment to segment up to the first frame, which a decoder takes, too. */
function jpegSize(view: DataView): Size | undefined {
  let at = 2;
  while (at + 4 <= view.byteLength) {
    if (view.getUint8(at) !== 0xff) return undefined;
    const marker = view.getUint8(at + 1);
    if (marker === 0xff) {
      at++; // Filled up between segments.
      continue;
    }
    const isFrame = marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker);
    if (isFrame) {
      if (at + 9 > view.byteLength) return undefined;
      return { width: view.getUint16(at + 7), height: view.getUint16(at + 5) };
    }
    const isSegment = (marker >= 0xc0 && marker < 0xd0) || (marker >= 0xdb && marker < 0xff);
    if (!isSegment) return undefined;
    at += 2 + view.getUint16(at + 2);
  }
  return undefined;
}
