/** Paths on a grid of 24, drawn with a line of 2. */
const PATHS = {
  cluster:
    "M12 4.5a2 2 0 1 0 0 .01M5 17.5a2 2 0 1 0 0 .01M19 17.5a2 2 0 1 0 0 .01M11 7 6 15M13 7l5 8M8 17.5h8",
  chat: "M4 5h16v11H9l-5 4z",
  models: "M12 3 4 7v10l8 4 8-4V7zM4 7l8 4 8-4M12 11v10",
  requests: "M4 6h10M4 12h16M4 18h7M18 4v4M16 6h4",
  operations: "M4 7h9M17 7h3M15 5v4M4 17h3M11 17h9M9 15v4M4 12h3M11 12h9M9 10v4",
  send: "M5 12 20 4l-5 16-3-7z",
  stop: "M7 7h10v10H7z",
  pause: "M9 6v12M15 6v12",
  copy: "M9 9h11v11H9zM5 15H4V4h11v1",
  edit: "M4 20h4L19 9l-4-4L4 16zM13 7l4 4",
  retry: "M20 11a8 8 0 1 0-2 6M20 5v6h-6",
  trash: "M5 7h14M10 7V4h4v3M7 7l1 13h8l1-13",
  plus: "M12 5v14M5 12h14",
  close: "M6 6l12 12M18 6 6 18",
  key: "M14.5 9.5a3.5 3.5 0 1 0 0 .01M11.5 12.5 4 20M7 17l2 2",
  sun:
    "M12 8.5a3.5 3.5 0 1 0 .01 0M12 2v2M12 20v2M4.9 4.9l1.4 1.4M17.7 17.7l1.4 1.4M2 12h2M20 12h2M4.9 19.1l1.4-1.4M17.7 6.3l1.4-1.4",
  moon: "M20 14.5A8 8 0 0 1 9.5 4a8 8 0 1 0 10.5 10.5z",
  auto: "M12 3a9 9 0 1 0 .01 0M12 3v18M12 7h5M12 11h8M12 15h7",
  info: "M12 3a9 9 0 1 0 .01 0M12 11v5M12 8v.01",
  pin: "M9 4h6M10 4v7l-3 4h10l-3-4V4M12 15v6",
  download: "M12 4v11M7 11l5 5 5-5M5 20h14",
  image: "M4 5h16v14H4zM4 16l5-5 4 4 2-2 5 5M15 9v.01",
} as const;

/** A drawing beside a text, or in a button that has a label. */
export function Icon({ name }: { readonly name: keyof typeof PATHS }) {
  return (
    <svg class="icon" viewBox="0 0 24 24" aria-hidden="true">
      <path d={PATHS[name]} />
    </svg>
  );
}

/** What {@link Icon} can draw. */
export type IconName = keyof typeof PATHS;
