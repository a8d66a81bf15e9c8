import { effect, signal } from "@preact/signals";
import { Icon } from "./parts/mod.ts";

const THEME_ITEM = "odist-theme";
const THEMES = ["auto", "light", "dark"] as const;
const ICONS = { auto: "auto", light: "sun", dark: "moon" } as const;

const theme = signal(THEMES.find((one) => one === localStorage.getItem(THEME_ITEM)) ?? "auto");

effect(() => {
  localStorage.setItem(THEME_ITEM, theme.value);
  document.documentElement.dataset["theme"] = theme.value;
});

/** Goes through the themes; `auto` is what the system wants. */
export function ThemeButton() {
  const next = THEMES[(THEMES.indexOf(theme.value) + 1) % THEMES.length] ?? "auto";
  return (
    <button
      type="button"
      class="rail-link"
      aria-label={`Theme: ${theme.value}. Change to ${next}`}
      onClick={() => theme.value = next}
    >
      <Icon name={ICONS[theme.value]} />
      <span>{theme.value}</span>
    </button>
  );
}
