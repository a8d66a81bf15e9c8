/**
 * Pictures of the page that are compared with stored ones.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import type { Browser, Page } from "playwright-core";

/** A pixel is another one when a channel differs by more: less is no eye's to see. */
const CHANNEL_MAX = 24;

/** What pictures depend on besides the page: where it differs, they can't be compared. */
export async function painterOf(browser: Browser): Promise<string> {
  const page = await browser.newPage();
  const widths = await page.evaluate<number[]>(
    `["400 15px system-ui", "650 15px system-ui", "13px monospace"]
    .map((font) => {
      const pen = new OffscreenCanvas(1, 1).getContext("2d");
      pen.font = font;
      return pen.measureText("Hamburgefonstiv 0123456789 ●◉◐▲").width;
    })`,
  );
  await page.close();
  return `Chromium ${browser.version()}, fonts ${
    widths.map((width) => width.toFixed(2)).join(" ")
  }`;
}

/** How many pixels of two PNGs differ; all of them where they are not of one size. */
export async function differingPixels(
  page: Page,
  one: Uint8Array,
  other: Uint8Array,
): Promise<number> {
  const urls = [one, other].map((bytes) =>
    `data:image/png;base64,${Buffer.from(bytes).toString("base64")}`
  );
  return await page.evaluate<number>(`(async ([one, other]) => {
    const pixelsOf = async (url) => {
      const picture = new Image();
      picture.src = url;
      await picture.decode();
      const { width, height } = picture;
      const pen = new OffscreenCanvas(width, height).getContext("2d");
      pen.drawImage(picture, 0, 0);
      return { width, height, data: pen.getImageData(0, 0, width, height).data };
    };
    const [first, second] = await Promise.all([pixelsOf(one), pixelsOf(other)]);
    if (first.width !== second.width || first.height !== second.height) {
      return Math.max(first.width * first.height, second.width * second.height);
    }
    let count = 0;
    for (let at = 0; at < first.data.length; at += 4) {
      const differs = [0, 1, 2].some((channel) =>
        Math.abs(first.data[at + channel] - second.data[at + channel]) > ${CHANNEL_MAX}
      );
      if (differs) count++;
    }
    return count;
  })(${JSON.stringify(urls)})`);
}
