import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { signal } from "@preact/signals";
import { Act } from "./parts.tsx";

/** A window above the page; Escape closes it. */
export function Dialog(props: {
  readonly title: string;
  readonly isWide?: boolean;
  readonly onClose: () => void;
  readonly children: ComponentChildren;
}) {
  const ref = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    ref.current?.showModal();
  }, []);
  return (
    <dialog
      ref={ref}
      class={props.isWide === true ? "wide" : ""}
      aria-label={props.title}
      onClose={props.onClose}
    >
      <header class="dialog-head">
        <h2>{props.title}</h2>
        <Act icon="close" label="Close" isBare onClick={() => ref.current?.close()} />
      </header>
      {props.children}
    </dialog>
  );
}

interface Question {
  readonly title: string;
  readonly text: string;
  readonly action: string;
  readonly answer: (isMeant: boolean) => void;
}

const question = signal<Question | undefined>(undefined);

/** Asks before something that can't be taken back. */
export function confirmed(
  wanted: { readonly title: string; readonly text: string; readonly action: string },
): Promise<boolean> {
  return new Promise((resolve) => {
    question.value = {
      ...wanted,
      answer: (isMeant) => {
        question.value = undefined;
        resolve(isMeant);
      },
    };
  });
}

/** Shows what {@link confirmed} asks. */
export function Confirmation() {
  const asked = question.value;
  if (asked === undefined) return null;
  return (
    <Dialog title={asked.title} onClose={() => asked.answer(false)}>
      <p>{asked.text}</p>
      <div class="dialog-actions">
        <button type="button" onClick={() => asked.answer(false)}>Cancel</button>
        <button type="button" class="bad" onClick={() => asked.answer(true)}>{asked.action}</button>
      </div>
    </Dialog>
  );
}

const said = signal<{ readonly tone: "good" | "bad"; readonly text: string } | undefined>(
  undefined,
);
const SAID_MS = 6_000;
let timer = 0;

/** Says for a while how something went. */
export function say(tone: "good" | "bad", text: string): void {
  said.value = { tone, text };
  clearTimeout(timer);
  timer = setTimeout(() => said.value = undefined, SAID_MS);
}

/** Does something, and says how it went; what was thrown is said, too. */
export async function tell(done: string, act: () => Promise<unknown>): Promise<boolean> {
  try {
    await act();
    say("good", done);
    return true;
  } catch (error) {
    say("bad", error instanceof Error ? error.message : String(error));
    return false;
  }
}

/** Shows what {@link say} says. */
export function Saying() {
  return (
    <div class="saying" role="status" aria-live="polite">
      {said.value === undefined ? null : <p class={said.value.tone}>{said.value.text}</p>}
    </div>
  );
}
