import { useEffect, useRef, useState } from "preact/hooks";
import { Act, confirmed, Empty } from "../parts/mod.ts";
import { models } from "../state/mod.ts";
import { Composer } from "./composer.tsx";
import { begin, conversations, forget, save, shown, shownId, update } from "./conversations.ts";
import { AnsweredMessage, AskedMessage } from "./message.tsx";
import { answer, takeUp } from "./send.ts";
import type { Asked, Conversation } from "./shapes.ts";

const TITLE_CHARACTERS_MAX = 48;
/** Whoever has scrolled up further than this reads, and is not pulled down. */
const NEAR_END_PIXELS = 120;

let isTakenUp = false;

/** Conversations, the one that is shown, and where the next question is typed. */
export function ChatView() {
  useEffect(() => {
    if (!isTakenUp) takeUp();
    isTakenUp = true;
    addEventListener("pagehide", save);
    return () => removeEventListener("pagehide", save);
  }, []);
  return (
    <div class="chat">
      <Conversations />
      <Talk />
    </div>
  );
}

function titleOf({ messages }: Conversation): string {
  const [first] = messages;
  const text = first?.content.trim().replaceAll(/\s+/g, " ") ?? "";
  if (text === "") return "New conversation";
  return text.length > TITLE_CHARACTERS_MAX ? `${text.slice(0, TITLE_CHARACTERS_MAX)}…` : text;
}

function Conversations() {
  const remove = async (conversation: Conversation) => {
    const isMeant = await confirmed({
      title: "Delete this conversation?",
      text: `"${titleOf(conversation)}" is kept in this browser alone, and gone then.`,
      action: "Delete",
    });
    if (isMeant) forget(conversation.id);
  };
  return (
    <aside class="conversations" aria-label="Conversations">
      <Act
        icon="plus"
        label="New conversation"
        onClick={() => shownId.value = undefined}
      />
      <ul>
        {conversations.value.map((one) => (
          <li key={one.id} class={one.id === shownId.value ? "shown" : ""}>
            <button
              type="button"
              class="conversation"
              aria-current={one.id === shownId.value ? "true" : undefined}
              onClick={() =>
                shownId.value = one.id}
            >
              {titleOf(one)}
            </button>
            <Act
              icon="trash"
              label={`Delete "${titleOf(one)}"`}
              isBare
              onClick={() =>
                void remove(one)}
            />
          </li>
        ))}
      </ul>
    </aside>
  );
}

/** A model that talks: those that only embed are no choice. */
function useModel(): readonly [string, (name: string) => void] {
  const [chosen, setChosen] = useState(conversations.value[0]?.model ?? "");
  const talking = (models.value ?? []).filter(({ capabilities = ["completion"] }) =>
    capabilities.includes("completion")
  );
  const kept = shown.value?.model ?? chosen;
  const model = talking.some(({ name }) => name === kept) ? kept : talking[0]?.name ?? "";
  const choose = (name: string) => {
    setChosen(name);
    if (shown.value !== undefined) update(shown.value.id, { model: name });
  };
  return [model, choose];
}

function Talk() {
  const [model, setModel] = useModel();
  const conversation = shown.value;
  const messages = conversation?.messages ?? [];
  const isRunning = messages.some((message) =>
    message.role === "assistant" && message.state === "running"
  );
  const send = (asked: Asked) => {
    const to = conversation ?? begin(model);
    void answer({ ...to, model, messages: [...to.messages, asked] });
  };
  /** Everything from there on is answered anew. */
  const again = (index: number, asked?: Asked) => {
    if (conversation === undefined) return;
    const kept = conversation.messages.slice(0, index);
    void answer({
      ...conversation,
      model,
      messages: asked === undefined ? kept : [...kept, asked],
    });
  };
  return (
    <section class="talk" aria-label="Conversation">
      <Messages messages={messages} onAgain={again} isRunning={isRunning} />
      <Composer
        model={model}
        onModel={setModel}
        onSend={send}
        running={isRunning ? messages.at(-1) : undefined}
      />
    </section>
  );
}

function Messages({ messages, onAgain, isRunning }: {
  readonly messages: Conversation["messages"];
  readonly onAgain: (index: number, asked?: Asked) => void;
  readonly isRunning: boolean;
}) {
  const frame = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const { current } = frame;
    if (current === null) return;
    const below = current.scrollHeight - current.scrollTop - current.clientHeight;
    if (below < NEAR_END_PIXELS || !isRunning) current.scrollTop = current.scrollHeight;
  }, [messages]);
  if (messages.length === 0) {
    return (
      <div class="messages">
        <Empty>
          Ask something: the cluster chooses the node that answers soonest, and goes on elsewhere
          when that one dies.
        </Empty>
      </div>
    );
  }
  return (
    <div class="messages" ref={frame} tabIndex={0} role="log" aria-label="Messages">
      {messages.map((message, index) =>
        message.role === "user"
          ? (
            <AskedMessage
              key={index}
              message={message}
              isLocked={isRunning}
              onAsk={(asked) => onAgain(index, asked)}
            />
          )
          : (
            <AnsweredMessage
              key={message.requestId}
              message={message}
              isLocked={isRunning}
              onRetry={() => onAgain(index)}
            />
          )
      )}
    </div>
  );
}
