import { type ComponentType, render } from "preact";
import { signal } from "@preact/signals";
import { ChatView } from "./chat/mod.ts";
import { ClusterView } from "./cluster/mod.ts";
import { KeyDialog, takeLogin } from "./login.tsx";
import { ModelsView } from "./models/mod.ts";
import { OperationsView } from "./operations/mod.ts";
import { Confirmation, Icon, type IconName, Saying, Tag } from "./parts/mod.ts";
import { renewForNewNodes } from "./renewal.ts";
import { RequestsView } from "./requests/mod.ts";
import { connection, follow, followModels, origin, status } from "./state/mod.ts";
import { ThemeButton } from "./theme.tsx";

interface View {
  readonly name: string;
  readonly title: string;
  readonly icon: IconName;
  readonly show: ComponentType;
}

const VIEWS: readonly [View, ...View[]] = [
  { name: "cluster", title: "Cluster", icon: "cluster", show: ClusterView },
  { name: "chat", title: "Chat", icon: "chat", show: ChatView },
  { name: "models", title: "Models", icon: "models", show: ModelsView },
  { name: "requests", title: "Requests", icon: "requests", show: RequestsView },
  { name: "operations", title: "Operations", icon: "operations", show: OperationsView },
];

const shown = signal(viewOf(location.hash));

function viewOf(hash: string): View {
  return VIEWS.find(({ name }) => hash.slice(1).split("/")[0] === name) ?? VIEWS[0];
}

/** Shows the page from now on. */
export function showPage(body: HTMLElement): void {
  addEventListener("hashchange", () => shown.value = viewOf(location.hash));
  followModels();
  void takeLogin().then(follow);
  render(<Page />, body);
  renewForNewNodes();
}

function Page() {
  const { title, show: Shown } = shown.value;
  return (
    <>
      <a class="skip" href="#main">Skip to the content</a>
      <nav class="rail" aria-label="Views">
        <span class="brand" aria-hidden="true">odist</span>
        {VIEWS.map((view) => <RailLink key={view.name} view={view} />)}
        <div class="rail-end">
          <ThemeButton />
        </div>
      </nav>
      <div class="stage">
        <header class="top">
          <h1>{title}</h1>
          <Standing />
        </header>
        <Warnings />
        <main id="main" tabIndex={-1}>
          <Shown />
        </main>
      </div>
      <KeyDialog />
      <Confirmation />
      <Saying />
    </>
  );
}

function RailLink({ view }: { readonly view: View }) {
  const isShown = shown.value === view;
  return (
    <a
      class="rail-link"
      href={`#${view.name}`}
      aria-label={view.title}
      aria-current={isShown ? "page" : undefined}
    >
      <Icon name={view.icon} />
      <span>{view.title}</span>
    </a>
  );
}

const HEALTH_TONES = {
  healthy: "good",
  degraded: "warn",
  no_quorum: "bad",
  fenced: "bad",
} as const;
const HEALTH_TEXTS = {
  healthy: "healthy",
  degraded: "degraded",
  no_quorum: "no quorum",
  fenced: "fenced",
} as const;

/** How the cluster is, and who says so. */
function Standing() {
  const now = status.value;
  const isElsewhere = origin.value !== location.origin;
  return (
    <div class="standing" role="status">
      {now === undefined || connection.value !== "live"
        ? (
          <Tag tone={connection.value === "connecting" ? "plain" : "bad"}>
            {connection.value === "connecting" ? "connecting" : "no node answers"}
          </Tag>
        )
        : <Tag tone={HEALTH_TONES[now.health]}>{HEALTH_TEXTS[now.health]}</Tag>}
      {now === undefined ? null : (
        <span class="muted">
          {isElsewhere ? `this page's node is gone: now via ${now.name}` : `via ${now.name}`}
        </span>
      )}
    </div>
  );
}

/** What somebody has to do something about. */
function Warnings() {
  const warnings = status.value?.warnings ?? [];
  const changes = status.value?.changes;
  const all = changes?.possible === false
    ? [...warnings, `No changes are possible: ${changes.reason ?? "no quorum answers"}`]
    : warnings;
  if (all.length === 0) return null;
  return (
    <div class="warnings" role="alert">
      {all.map((text) => <p key={text}>{text}</p>)}
    </div>
  );
}
