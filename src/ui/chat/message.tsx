import { useState } from "preact/hooks";
import { Act, copyText, rateText, spanText, Tag } from "../parts/mod.ts";
import { Explanation } from "../requests/mod.ts";
import { Markdown } from "./markdown.tsx";
import type { Answered, Asked } from "./shapes.ts";

/** What somebody asked; it may be asked otherwise. */
export function AskedMessage({ message, isLocked, onAsk }: {
  readonly message: Asked;
  readonly isLocked: boolean;
  readonly onAsk: (asked: Asked) => void;
}) {
  const [edited, setEdited] = useState<string>();
  if (edited !== undefined) {
    const submit = (event: Event) => {
      event.preventDefault();
      setEdited(undefined);
      onAsk({ ...message, content: edited });
    };
    return (
      <form class="message asked editing" onSubmit={submit}>
        <textarea
          aria-label="Your question, otherwise"
          rows={4}
          value={edited}
          onInput={(event) => setEdited(event.currentTarget.value)}
        />
        <div class="actions">
          <button type="button" onClick={() => setEdited(undefined)}>Cancel</button>
          <button type="submit" class="main">Ask again</button>
        </div>
      </form>
    );
  }
  return (
    <article class="message asked" aria-label="You">
      <div class="bubble">
        {message.images.map((image, index) => (
          <img key={index} src={`data:image/png;base64,${image}`} alt={`Picture ${index + 1}`} />
        ))}
        {message.content}
      </div>
      <div class="message-foot">
        <Act
          icon="edit"
          label="Edit the question"
          isBare
          isDisabled={isLocked}
          onClick={() => setEdited(message.content)}
        />
      </div>
    </article>
  );
}

/** What came of it, by which node, and why that one. */
export function AnsweredMessage({ message, isLocked, onRetry }: {
  readonly message: Answered;
  readonly isLocked: boolean;
  readonly onRetry: () => void;
}) {
  const [isExplained, setExplained] = useState(false);
  const { content, thinking, toolCalls, state, failure } = message;
  const isSilent = state === "running" && content === "" && thinking === "";
  return (
    <article
      class={`message answered ${state}`}
      aria-label="Answer"
      aria-busy={state === "running"}
    >
      {thinking === ""
        ? null
        : (
          <details class="thinking" open={state === "running" && content === ""}>
            <summary>{state === "running" && content === "" ? "Thinking…" : "Thought"}</summary>
            <Markdown text={thinking} />
          </details>
        )}
      {isSilent
        ? <p class="muted waiting-dots">Waiting for the first token…</p>
        : <Markdown text={content} />}
      {toolCalls.map((call, index) => (
        <details class="thinking" key={index}>
          <summary>Calls a tool</summary>
          <pre tabIndex={0}><code>{call}</code></pre>
        </details>
      ))}
      {failure === "" ? null : <p class="failure" role="alert">{failure}</p>}
      <div class="message-foot">
        <Origin message={message} />
        <Act icon="copy" label="Copy the answer" isBare onClick={() => void copyText(content)} />
        <Act icon="retry" label="Answer again" isBare isDisabled={isLocked} onClick={onRetry} />
        <button
          type="button"
          class="act bare"
          aria-expanded={isExplained}
          onClick={() => setExplained(!isExplained)}
        >
          why there?
        </button>
      </div>
      {isExplained ? <Explanation requestId={message.requestId} /> : null}
    </article>
  );
}

/** Who computed it, how fast, and what happened on the way. */
function Origin({ message }: { readonly message: Answered }) {
  const { node, figures, state, resumed, isRepeated } = message;
  return (
    <span class="origin muted small">
      {node === "" ? null : <Tag tone="accent">{node}</Tag>}
      {resumed > 0 ? <Tag tone="warn">taken up on another node</Tag> : null}
      {isRepeated ? <Tag tone="warn">begun again on another node</Tag> : null}
      {state === "stopped" ? <Tag tone="plain">stopped</Tag> : null}
      {figures === null ? null : (
        <span>
          {rateText(figures.tokensPerSecond)} tokens/s · {figures.tokens} tokens in{" "}
          {spanText(figures.totalMs)} · context {figures.promptTokens + figures.tokens}
        </span>
      )}
    </span>
  );
}
