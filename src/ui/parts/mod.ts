/**
 * What views are put together from. Nothing here asks a node.
 *
 * @module
 */
export { Curve } from "./curve.tsx";
export { Confirmation, confirmed, Dialog, say, Saying, tell } from "./dialog.tsx";
export { agoText, bytesText, hueOf, rateText, spanText, timeText, tripText } from "./format.ts";
export { Icon, type IconName } from "./icon.tsx";
export {
  Act,
  Copyable,
  copyText,
  Empty,
  Figure,
  Meter,
  ModelName,
  Section,
  Tag,
} from "./parts.tsx";
