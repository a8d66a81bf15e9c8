/**
 * A grouped bar chart as SVG, by hand because it is forty lines.
 *
 * @module
 */
import { fixed } from "./stats.ts";

/** One bar. */
export interface Bar {
  /** Shown below the axis; bars of one group stand together. */
  readonly group: string;
  /** Decides the colour; shown in the legend. */
  readonly series: string;
  readonly value: number;
}

/** What to draw. */
export interface BarChart {
  readonly title: string;
  readonly axis: string;
  readonly bars: readonly Bar[];
}

const SIZE = { width: 640, height: 360, left: 60, right: 20, top: 50, bottom: 50 } as const;
const COLOURS = ["#1f6feb", "#bf8700", "#8250df", "#1a7f37"];

/** The whole chart as one SVG text. */
export function barChart(chart: BarChart): string {
  const groups = [...new Set(chart.bars.map((bar) => bar.group))];
  const series = [...new Set(chart.bars.map((bar) => bar.series))];
  const highest = Math.max(...chart.bars.map((bar) => bar.value), 1e-9) * 1.1;
  const groupWidth = (SIZE.width - SIZE.left - SIZE.right) / groups.length;
  const barWidth = groupWidth * 0.8 / series.length;
  const floor = SIZE.height - SIZE.bottom;
  const bars = chart.bars.map((bar) => {
    const colour = COLOURS[series.indexOf(bar.series) % COLOURS.length];
    const x = SIZE.left + (groups.indexOf(bar.group) + 0.1) * groupWidth +
      series.indexOf(bar.series) * barWidth;
    const height = bar.value / highest * (floor - SIZE.top);
    return `<rect class="bar" x="${fixed(x, 1)}" y="${fixed(floor - height, 1)}" ` +
      `width="${fixed(barWidth - 2, 1)}" height="${fixed(height, 1)}" fill="${colour}"/>` +
      text(x + barWidth / 2, floor - height - 4, fixed(bar.value, 1));
  });
  const labels = groups.map((group, index) =>
    text(SIZE.left + (index + 0.5) * groupWidth, floor + 20, group)
  );
  const legend = series.map((name, index) =>
    `<rect x="${SIZE.left + index * 140}" y="30" width="10" height="10" fill="${
      COLOURS[index % COLOURS.length]
    }"/>` +
    text(SIZE.left + index * 140 + 16, 39, name, "start")
  );
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${SIZE.width} ${SIZE.height}" ` +
    `font-family="sans-serif" font-size="11">`,
    `<rect width="100%" height="100%" fill="#ffffff"/>`,
    text(SIZE.left, 18, chart.title, "start"),
    ...legend,
    ...bars,
    ...labels,
    `<line x1="${SIZE.left}" x2="${
      SIZE.width - SIZE.right
    }" y1="${floor}" y2="${floor}" stroke="#000000"/>`,
    text(SIZE.left, SIZE.height - 10, chart.axis, "start"),
    "</svg>",
    "",
  ].join("\n");
}

function text(x: number, y: number, content: string, anchor = "middle"): string {
  const escaped = content.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
  return `<text x="${fixed(x, 1)}" y="${fixed(y, 1)}" text-anchor="${anchor}">${escaped}</text>`;
}
