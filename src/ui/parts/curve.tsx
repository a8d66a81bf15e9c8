const WIDTH = 120;
const HEIGHT = 32;

/** How a figure went lately, oldest first. */
export function Curve(
  { values, label }: { readonly values: readonly number[]; readonly label: string },
) {
  if (values.length < 2) return null;
  const max = Math.max(1, ...values);
  const points = values.map((value, index) => {
    const x = WIDTH * index / (values.length - 1);
    return `${x.toFixed(1)},${(HEIGHT - 2 - (HEIGHT - 4) * value / max).toFixed(1)}`;
  });
  return (
    <svg
      class="curve"
      viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
      preserveAspectRatio="none"
      role="img"
      aria-label={label}
    >
      <polygon points={`0,${HEIGHT} ${points.join(" ")} ${WIDTH},${HEIGHT}`} />
      <polyline points={points.join(" ")} />
    </svg>
  );
}
