import type { ComponentType } from "preact";
import { useEffect, useState } from "preact/hooks";
import { Changes, Events } from "./changes.tsx";
import { Incidents } from "./incidents.tsx";
import { Keys } from "./keys.tsx";
import { Logs } from "./logs.tsx";
import { Members } from "./members.tsx";
import { Settings } from "./settings.tsx";
import { Tokens } from "./tokens.tsx";

interface Tab {
  readonly name: string;
  readonly title: string;
  readonly show: ComponentType;
}

const TABS: readonly [Tab, ...Tab[]] = [
  { name: "members", title: "Members", show: Members },
  { name: "tokens", title: "Join tokens", show: Tokens },
  { name: "keys", title: "API keys", show: Keys },
  { name: "settings", title: "Settings", show: Settings },
  { name: "changes", title: "Changes", show: Changes },
  { name: "events", title: "Events", show: Events },
  { name: "incidents", title: "Incidents", show: Incidents },
  { name: "logs", title: "Log", show: Logs },
];

function tabOf(hash: string): Tab {
  return TABS.find(({ name }) => hash === `#operations/${name}`) ?? TABS[0];
}

/** What people who run a cluster do. */
export function OperationsView() {
  const [tab, setTab] = useState(() => tabOf(location.hash));
  useEffect(() => {
    const onHash = () => setTab(tabOf(location.hash));
    addEventListener("hashchange", onHash);
    return () => removeEventListener("hashchange", onHash);
  }, []);
  const { show: Shown } = tab;
  return (
    <>
      <nav class="tabs" aria-label="Operations">
        {TABS.map(({ name, title }) => (
          <a
            key={name}
            href={`#operations/${name}`}
            aria-current={name === tab.name ? "page" : undefined}
          >
            {title}
          </a>
        ))}
      </nav>
      <Shown />
    </>
  );
}
