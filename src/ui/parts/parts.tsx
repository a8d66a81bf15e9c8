import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { Icon, type IconName } from "./icon.tsx";
import { hueOf } from "./format.ts";

/** A heading with what it is about below, and what one may do beside it. */
export function Section(props: {
  readonly title: string;
  readonly note?: string;
  readonly actions?: ComponentChildren;
  readonly children: ComponentChildren;
}) {
  return (
    <section class="section" aria-label={props.title}>
      <header class="section-head">
        <h2>{props.title}</h2>
        {props.note === undefined ? null : <span class="muted">{props.note}</span>}
        <div class="actions">{props.actions}</div>
      </header>
      {props.children}
    </section>
  );
}

/** Says in one line what the next step is where there is nothing yet. */
export function Empty({ children }: { readonly children: ComponentChildren }) {
  return <p class="empty">{children}</p>;
}

/** A button with a drawing; its label is read aloud, and shown where there is room. */
export function Act(props: {
  readonly icon: IconName;
  readonly label: string;
  readonly onClick: () => void;
  readonly isBare?: boolean;
  readonly isDisabled?: boolean;
  readonly tone?: "bad" | "main";
}) {
  return (
    <button
      type="button"
      class={`act ${props.tone ?? ""} ${props.isBare === true ? "bare" : ""}`}
      aria-label={props.label}
      title={props.isBare === true ? props.label : undefined}
      disabled={props.isDisabled ?? false}
      onClick={props.onClick}
    >
      <Icon name={props.icon} />
      {props.isBare === true ? null : <span>{props.label}</span>}
    </button>
  );
}

/** A word in a colour that says how good it is. */
export function Tag(props: {
  readonly tone: "good" | "warn" | "bad" | "plain" | "accent";
  readonly children: ComponentChildren;
}) {
  return <span class={`tag ${props.tone}`}>{props.children}</span>;
}

/** A model's name in the colour that it has everywhere. */
export function ModelName({ name }: { readonly name: string }) {
  return (
    <span class="model-name">
      <i class="dot" style={{ "--hue": hueOf(name) }} aria-hidden="true" />
      {name}
    </span>
  );
}

/** How much of something is taken. `value` 0..1. */
export function Meter(
  props: { readonly label: string; readonly value: number; readonly text: string },
) {
  const percent = Math.round(100 * Math.min(1, Math.max(0, props.value)));
  return (
    <div class="meter">
      <div class="meter-text">
        <span class="muted">{props.label}</span>
        <span>{props.text}</span>
      </div>
      <div
        class="meter-bar"
        role="meter"
        aria-label={props.label}
        aria-valuemin={0}
        aria-valuemax={100}
        aria-valuenow={percent}
        aria-valuetext={props.text}
      >
        <i style={{ width: `${percent}%` }} />
      </div>
    </div>
  );
}

/** A figure with its name. */
export function Figure(props: {
  readonly label: string;
  readonly value: ComponentChildren;
  readonly children?: ComponentChildren;
}) {
  return (
    <div class="figure">
      <span class="muted">{props.label}</span>
      <strong>{props.value}</strong>
      {props.children}
    </div>
  );
}

/** A text that is to be copied, with a button that does. */
export function Copyable({ text, label }: { readonly text: string; readonly label: string }) {
  const [isCopied, setCopied] = useState(false);
  const copy = async () => {
    await copyText(text);
    setCopied(true);
  };
  return (
    <div class="copyable">
      <code>{text}</code>
      <Act icon="copy" label={isCopied ? "Copied" : label} onClick={() => void copy()} />
    </div>
  );
}

/** Browsers give the clipboard to pages of this machine and of HTTPS; elsewhere a selection will do. */
export async function copyText(text: string): Promise<void> {
  if (navigator.clipboard !== undefined) return await navigator.clipboard.writeText(text);
  const area = document.createElement("textarea");
  area.value = text;
  document.body.append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
}
