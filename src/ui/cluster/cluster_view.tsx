import { useState } from "preact/hooks";
import { Curve, Empty, Figure, rateText, Section, timeText } from "../parts/mod.ts";
import { events, members, requests, runningHistory, status } from "../state/mod.ts";
import { NodeCard } from "./node_card.tsx";
import { Picture } from "./picture.tsx";
import { PlacementTable } from "./placement.tsx";
import { useRoundTrips } from "./round_trips.ts";

const EVENTS_SHOWN = 5;

/** The machines as one. */
export function ClusterView() {
  const [chosen, setChosen] = useState<string>();
  const trips = useRoundTrips();
  const all = members.value;
  if (status.value === undefined) return <Empty>Looking for the cluster…</Empty>;
  const alive = new Set(all.filter(({ health }) => health === "alive").map(({ name }) => name));
  // What a node took in that is gone, nobody tells any more.
  const running = requests.value.filter(({ state, entry }) =>
    state === "running" && alive.has(entry)
  );
  const choose = (nodeId: string) => {
    setChosen(nodeId);
    document.getElementById(`node-${nodeId}`)?.scrollIntoView({ block: "nearest" });
  };
  return (
    <>
      <Figures />
      <div class="living">
        <Picture
          members={all}
          running={running}
          chosen={chosen}
          onChoose={choose}
          trips={trips}
        />
        <Lately />
      </div>
      {all.length === 1
        ? (
          <Empty>
            One machine so far: make a join token in{" "}
            <a href="#operations/tokens">Operations</a>, and run the line it shows on the next one.
          </Empty>
        )
        : null}
      <Section title="Nodes">
        <div class="cards">
          {all.map((member) => (
            <NodeCard
              key={member.node_id}
              member={member}
              isChosen={member.node_id === chosen}
              tripMs={trips.ms.get(member.node_id)}
            />
          ))}
        </div>
      </Section>
      <PlacementTable />
    </>
  );
}

function Figures() {
  const all = members.value;
  const alive = all.filter(({ health }) => health === "alive");
  const sum = (read: (load: NonNullable<(typeof all)[number]["load"]>) => number) =>
    alive.reduce((total, { load }) => total + (load === undefined ? 0 : read(load)), 0);
  const rate = sum((load) => load.tokens_per_second * load.running_requests);
  return (
    <div class="figures">
      <Figure label="Nodes alive" value={`${alive.length} of ${all.length}`} />
      <Figure label="Answers running" value={sum((load) => load.running_requests)}>
        <Curve values={runningHistory.value} label="Answers running lately" />
      </Figure>
      <Figure label="Waiting" value={sum((load) => load.waiting_requests)} />
      <Figure label="Tokens/s, all answers" value={rate === 0 ? "–" : rateText(rate)} />
      <Figure label="Slots" value={sum((load) => load.slots)} />
    </div>
  );
}

/** What happened while the page looked. */
function Lately() {
  const latest = events.value.slice(0, EVENTS_SHOWN);
  return (
    <aside class="lately" aria-label="Lately">
      <h2>Lately</h2>
      {latest.length === 0
        ? <Empty>Joins, deaths, elections and moves are told here as they happen.</Empty>
        : (
          <ol aria-live="polite">
            {latest.map(({ id, atMs, tone, text }) => (
              <li key={id} class={tone}>
                <time>{timeText(atMs)}</time>
                {text}
              </li>
            ))}
          </ol>
        )}
    </aside>
  );
}
