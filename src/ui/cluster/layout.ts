/** A place in the picture, in its own pixels. */
export interface Point {
  readonly x: number;
  readonly y: number;
}

/** Where everything stands. */
export interface Layout {
  readonly width: number;
  readonly height: number;
  readonly radius: number;
  readonly hub: Point;
  readonly places: ReadonlyMap<string, Point>;
}

/** A lone node and its clients stand side by side. */
const LONE_HEIGHT = 240;
const LONE_APART = 105;
const HEIGHT_MIN = 340;
const HEIGHT_MAX = 520;
const RADIUS_MAX = 46;
const RADIUS_MIN = 9;
/** Of the way round that the circles may fill. */
const FILLED = 0.62;
/** Of the way between two middles: the radius of each. */
const GAP_FILLED = 0.44;
const HUB_RADIUS = 38;
/** Below a circle stands its role, above it a badge. */
const MARGIN = 34;

/** Nodes on an ellipse around the clients; in the order they are given, from the top on. */
export function layOut(ids: readonly string[], width: number): Layout {
  const [only] = ids;
  if (only !== undefined && ids.length === 1) return loneLayout(only, width);
  const height = Math.round(Math.min(HEIGHT_MAX, Math.max(HEIGHT_MIN, width * 0.5)));
  const hub = { x: width / 2, y: height / 2 };
  const round = Math.PI * (width / 2 + height / 2);
  const fitting = round * FILLED / (2 * Math.max(1, ids.length));
  const between = height / 2 - HUB_RADIUS - MARGIN;
  const radius = Math.max(RADIUS_MIN, Math.min(RADIUS_MAX, fitting, between / 2 + 6));
  const across = {
    x: Math.min(width / 2 - radius - 10, height * 1.15),
    y: hub.y - radius - MARGIN,
  };
  // Two stand side by side, as pictures are wider than high; others begin at the top.
  const start = ids.length === 2 ? Math.PI : -Math.PI / 2;
  const angles = ids.map((_, index) => start + 2 * Math.PI * index / ids.length);
  // The lowest of an odd number stand as far below the middle as the first above it.
  const lowest = Math.max(0.5, ...angles.map((angle) => Math.sin(angle)));
  const places = ids.map((id, index): [string, Point] => {
    const angle = angles[index] ?? 0;
    const down = Math.sin(angle);
    return [id, {
      x: hub.x + across.x * Math.cos(angle),
      y: hub.y + across.y * (down > 0 ? down / lowest : down),
    }];
  });
  const fit = Math.min(radius, GAP_FILLED * nearest(places.map(([, place]) => place)));
  return { width, height, radius: fit, hub, places: new Map(places) };
}

function loneLayout(id: string, width: number): Layout {
  const y = LONE_HEIGHT / 2;
  const apart = Math.min(LONE_APART, width / 2 - RADIUS_MAX - 10);
  return {
    width,
    height: LONE_HEIGHT,
    radius: RADIUS_MAX,
    hub: { x: width / 2 - apart, y },
    places: new Map([[id, { x: width / 2 + apart, y }]]),
  };
}

/** Pixels between the two neighbours that stand closest; they come in the order of the circle. */
function nearest(places: readonly Point[]): number {
  return places.reduce((least, place, index) => {
    const next = places[(index + 1) % places.length] ?? place;
    const apart = Math.hypot(next.x - place.x, next.y - place.y);
    return next === place ? least : Math.min(least, apart);
  }, Infinity);
}

/** Where a line's figure stands: in its middle, or beyond the clients where it leads behind them. */
export function figurePlace({ hub, radius }: Layout, from: Point, to: Point): Point {
  const middle = { x: (from.x + to.x) / 2, y: (from.y + to.y) / 2 };
  const isBehind = Math.hypot(middle.x - hub.x, middle.y - hub.y) < HUB_RADIUS;
  if (!isBehind) return middle;
  const length = Math.hypot(to.x - from.x, to.y - from.y) || 1;
  const part = (length / 2 + HUB_RADIUS + length - radius) / 2 / length;
  return { x: from.x + (to.x - from.x) * part, y: from.y + (to.y - from.y) * part };
}

/** A line from the clients to the node that computes, by the one that took the request in. */
export function answerPath(
  layout: Layout,
  way: { readonly entry: Point | undefined; readonly node: Point; readonly lane: number },
): string {
  const { hub, radius } = layout;
  const { entry, node, lane } = way;
  if (entry === undefined || entry === node) return bow(hub, node, { radius, lane });
  return `${bow(hub, entry, { radius: 0, lane })} ${bow(entry, node, { radius, lane })}`;
}

/** A bow that ends at the rim of a circle; lanes lie beside each other. */
function bow(
  from: Point,
  to: Point,
  { radius, lane }: { readonly radius: number; readonly lane: number },
): string {
  const length = Math.hypot(to.x - from.x, to.y - from.y) || 1;
  const along = { x: (to.x - from.x) / length, y: (to.y - from.y) / length };
  const end = { x: to.x - along.x * (radius + 3), y: to.y - along.y * (radius + 3) };
  const side = lane % 2 === 0 ? 1 : -1;
  const bend = side * (10 + 9 * Math.ceil(lane / 2)) * Math.min(1, length / 260);
  const middle = {
    x: (from.x + end.x) / 2 - along.y * bend,
    y: (from.y + end.y) / 2 + along.x * bend,
  };
  const text = ({ x, y }: Point) => `${x.toFixed(1)} ${y.toFixed(1)}`;
  return `M ${text(from)} Q ${text(middle)} ${text(end)}`;
}
