import { useEffect, useRef, useState } from "preact/hooks";
import type { Member, RequestRow } from "../state/mod.ts";
import { hueOf, tripText } from "../parts/mod.ts";
import { answerPath, figurePlace, type Layout, layOut, type Point } from "./layout.ts";
import type { RoundTrips } from "./round_trips.ts";

/** Below this radius a circle has no room for more than its name. */
const ROOMY_RADIUS = 30;
const NAMED_RADIUS = 14;
/** Lines at most: more are no picture any more. */
const LINES_MAX = 200;
/** More lines that flow cost the browser whole frames. */
const FLOWING_MAX = 40;
const MODEL_DOTS_MAX = 6;
/** Of so many nodes each line has room for its figure. */
const FIGURED_MEMBERS_MAX = 12;
const START_WIDTH = 900;
const MOON = "M6 2A6 6 0 0 1-2-6a6 6 0 1 0 8 8z";
const ARC_START = -Math.PI / 2;

/** What {@link Picture} shows. */
interface PictureProps {
  readonly members: readonly Member[];
  readonly running: readonly RequestRow[];
  readonly chosen: string | undefined;
  readonly onChoose: (nodeId: string) => void;
  readonly trips: RoundTrips;
}

/** The cluster as it is now: who is there, who computes, and for whom. */
export function Picture({ members, running, chosen, onChoose, trips }: PictureProps) {
  const frame = useRef<HTMLDivElement>(null);
  const width = useWidth(frame);
  const layout = layOut(members.map(({ node_id }) => node_id), width);
  const byName = new Map(members.map(({ name, node_id }) => [name, layout.places.get(node_id)]));
  return (
    <div class="picture" ref={frame}>
      <svg
        width={layout.width}
        height={layout.height}
        viewBox={`0 0 ${layout.width} ${layout.height}`}
        role="group"
        aria-label={`${members.length} nodes, ${running.length} running answers`}
      >
        <Links layout={layout} members={members} trips={trips} />
        <Answers layout={layout} byName={byName} running={running} />
        <TripFigures layout={layout} members={members} trips={trips} />
        <Hub layout={layout} count={running.length} />
        {members.map((member) => (
          <NodeMark
            key={member.node_id}
            member={member}
            layout={layout}
            isChosen={member.node_id === chosen}
            onChoose={() => onChoose(member.node_id)}
          />
        ))}
      </svg>
    </div>
  );
}

function useWidth(frame: { readonly current: HTMLElement | null }): number {
  const [width, setWidth] = useState(START_WIDTH);
  useEffect(() => {
    const { current } = frame;
    if (current === null) return;
    const observer = new ResizeObserver(() => setWidth(Math.max(280, current.clientWidth)));
    observer.observe(current);
    return () => observer.disconnect();
  }, []);
  return width;
}

interface LinksProps {
  readonly layout: Layout;
  readonly members: readonly Member[];
  readonly trips: RoundTrips;
}

/** Everyone is connected with everyone; of many nodes only those of the asked node are drawn. */
function Links({ layout, members, trips }: LinksProps) {
  const alive = members.filter(({ health }) => health === "alive");
  const isFew = alive.length * (alive.length - 1) / 2 <= LINES_MAX;
  const drawn = alive.flatMap((one, index) =>
    alive.slice(index + 1).map((other): [Member, Member] => [one, other])
      .filter((pair) => isFew || pair.some(({ node_id }) => node_id === trips.from))
  );
  return (
    <g class="links" aria-hidden="true">
      {drawn.map(([one, other]) => {
        const from = layout.places.get(one.node_id) ?? layout.hub;
        const to = layout.places.get(other.node_id) ?? layout.hub;
        const key = `${one.node_id} ${other.node_id}`;
        return <line key={key} x1={from.x} y1={from.y} x2={to.x} y2={to.y} />;
      })}
    </g>
  );
}

/** How long words take from the asked node to each other one and back. */
function TripFigures({ layout, members, trips }: LinksProps) {
  const from = layout.places.get(trips.from ?? "");
  if (from === undefined || members.length > FIGURED_MEMBERS_MAX) return null;
  return (
    <g class="trips" aria-hidden="true">
      {members.filter(({ health }) => health === "alive").map(({ node_id: id }) => {
        const to = layout.places.get(id);
        const ms = trips.ms.get(id);
        if (to === undefined || ms === undefined || id === trips.from) return null;
        const { x, y } = figurePlace(layout, from, to);
        return <text key={id} x={x} y={y + 4}>{tripText(ms)}</text>;
      })}
    </g>
  );
}

function Answers({ layout, byName, running }: {
  readonly layout: Layout;
  readonly byName: ReadonlyMap<string, Point | undefined>;
  readonly running: readonly RequestRow[];
}) {
  const lanes = new Map<string, number>();
  return (
    <g class={`answers ${running.length > FLOWING_MAX ? "calm" : ""}`} aria-hidden="true">
      {running.slice(0, LINES_MAX).map((row) => {
        const node = byName.get(row.node ?? row.entry);
        if (node === undefined) return null;
        const lane = lanes.get(row.node ?? "") ?? 0;
        lanes.set(row.node ?? "", lane + 1);
        const path = answerPath(layout, { entry: byName.get(row.entry), node, lane });
        const kind = row.node === undefined ? "waiting" : row.moves > 0 ? "moved" : "";
        return (
          <path
            key={row.id}
            class={`answer ${kind}`}
            d={path}
            style={{ d: `path("${path}")`, "--hue": hueOf(row.model) }}
          />
        );
      })}
    </g>
  );
}

function Hub({ layout, count }: { readonly layout: Layout; readonly count: number }) {
  const { x, y } = layout.hub;
  return (
    <g class="hub" aria-hidden="true">
      <circle cx={x} cy={y} r={34} />
      <text x={x} y={y - 1} class="hub-count">{count}</text>
      <text x={x} y={y + 15} class="hub-word">{count === 1 ? "answer" : "answers"}</text>
    </g>
  );
}

/** What a member does, in a word or two. */
export function stateText({ health, drained, yields, load }: Member): string {
  if (health !== "alive") return health;
  if (drained) return "drained";
  if (yields) return "yields";
  const running = load?.running_requests ?? 0;
  return running > 0 ? `${running} running` : "idle";
}

interface NodeMarkProps {
  readonly member: Member;
  readonly layout: Layout;
  readonly isChosen: boolean;
  readonly onChoose: () => void;
}

function NodeMark({ member, layout, isChosen, onChoose }: NodeMarkProps) {
  const place = layout.places.get(member.node_id) ?? layout.hub;
  const { radius } = layout;
  const { name, health, role, load, drained, yields } = member;
  const isIdle = drained || yields;
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault();
    onChoose();
  };
  return (
    <g
      class={`node ${health} ${isIdle ? "resting" : ""} ${isChosen ? "chosen" : ""}`}
      style={{ transform: `translate(${place.x}px, ${place.y}px)` }}
    >
      <g aria-hidden="true">
        {(load?.running_requests ?? 0) > 0 && health === "alive"
          ? <circle class="pulse" r={radius} />
          : null}
        <circle class="body" r={radius} />
        <SlotArc member={member} radius={radius} />
        {radius < NAMED_RADIUS
          ? <title>{name}</title>
          : (
            <text class="node-name" y={radius < ROOMY_RADIUS ? 4 : -2}>
              {shortened(name, radius)}
            </text>
          )}
        {radius < ROOMY_RADIUS ? null : <text class="node-state" y={14}>{stateText(member)}</text>}
        {radius < NAMED_RADIUS ? null : <Marks member={member} radius={radius} />}
      </g>
      <circle
        class="hit"
        r={radius}
        role="button"
        tabindex={0}
        aria-pressed={isChosen}
        aria-label={`${name}: ${role === "none" ? "" : `${role}, `}${stateText(member)}`}
        onClick={onChoose}
        onKeyDown={onKeyDown}
      />
    </g>
  );
}

function shortened(name: string, radius: number): string {
  const characters = Math.max(2, Math.floor(radius / 3.9));
  return name.length <= characters ? name : `${name.slice(0, characters - 1)}…`;
}

/** The part of the slots that is taken. */
function SlotArc({ member, radius }: { readonly member: Member; readonly radius: number }) {
  const { load, health } = member;
  if (load === undefined || load.slots === 0 || health !== "alive") return null;
  const part = Math.min(1, load.running_requests / load.slots);
  if (part === 0) return null;
  const length = 2 * Math.PI * radius;
  return (
    <circle
      class="slots"
      r={radius}
      stroke-dasharray={`${(length * part).toFixed(1)} ${length.toFixed(1)}`}
      transform="rotate(-90)"
    />
  );
}

/** Who leads and votes, what waits, and what is loaded. */
function Marks({ member, radius }: { readonly member: Member; readonly radius: number }) {
  const { role, load, health } = member;
  if (health === "asleep") {
    return <path class="asleep-mark" d={MOON} transform={`translate(0 ${-radius * 0.52})`} />;
  }
  const loaded = (load?.loaded_models ?? []).slice(0, MODEL_DOTS_MAX);
  const waiting = load?.waiting_requests ?? 0;
  return (
    <>
      {role === "leader"
        ? (
          <path
            class="crown"
            d="M-9 4 -9 -5 -4 -1 0 -7 4 -1 9 -5 9 4z"
            transform={`translate(0 ${-radius - 8})`}
          />
        )
        : role === "voter"
        ? <circle class="vote" cy={-radius - 7} r={3} />
        : null}
      {waiting > 0
        ? (
          <g class="waiting" transform={`translate(${radius * 0.75} ${-radius * 0.75})`}>
            <rect x={-13} y={-9} width={26} height={18} rx={9} />
            <text y={4}>+{waiting}</text>
          </g>
        )
        : null}
      {loaded.map((name, index) => {
        const angle = ARC_START + Math.PI + (index - (loaded.length - 1) / 2) * 0.3;
        return (
          <circle
            key={name}
            class="loaded"
            style={{ "--hue": hueOf(name) }}
            cx={radius * Math.cos(angle)}
            cy={radius * Math.sin(angle)}
            r={5}
          />
        );
      })}
    </>
  );
}
