import { useRef, useState } from "preact/hooks";
import { Act, Icon, say } from "../parts/mod.ts";
import { models } from "../state/mod.ts";
import { stop } from "./send.ts";
import type { Answered, Asked } from "./shapes.ts";

/** Bytes of one picture: what is sent is kept in the browser, too. */
const IMAGE_BYTES_MAX = 4 * 1024 * 1024;
const ROWS_MAX = 8;

/** Where questions are typed. */
export function Composer({ model, onModel, onSend, running }: {
  readonly model: string;
  readonly onModel: (name: string) => void;
  readonly onSend: (asked: Asked) => void;
  readonly running: Asked | Answered | undefined;
}) {
  const [text, setText] = useState("");
  const [images, setImages] = useState<readonly string[]>([]);
  const submit = (event: Event) => {
    event.preventDefault();
    if (running !== undefined || model === "" || text.trim() === "") return;
    onSend({ role: "user", content: text, images });
    setText("");
    setImages([]);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    // An Enter that ends a composition of characters is none of ours.
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) submit(event);
  };
  return (
    <form class="composer" onSubmit={submit}>
      {images.length === 0 ? null : (
        <div class="pictures">
          {images.map((image, index) => (
            <button
              type="button"
              key={index}
              aria-label={`Take picture ${index + 1} away`}
              onClick={() => setImages(images.filter((_, at) => at !== index))}
            >
              <img src={`data:image/png;base64,${image}`} alt="" />
            </button>
          ))}
        </div>
      )}
      <textarea
        aria-label="Your question"
        placeholder={model === "" ? "No model yet: pull one in Models" : "Ask the cluster…"}
        rows={Math.min(ROWS_MAX, text.split("\n").length)}
        value={text}
        onInput={(event) => setText(event.currentTarget.value)}
        onKeyDown={onKeyDown}
      />
      <div class="composer-foot">
        <ModelChoice model={model} onModel={onModel} />
        <PictureChoice model={model} onImage={(image) => setImages([...images, image])} />
        {running?.role === "assistant"
          ? <Act icon="stop" label="Stop" onClick={() => stop(running.requestId)} />
          : (
            <button type="submit" class="act main" disabled={text.trim() === "" || model === ""}>
              <Icon name="send" />
              <span>Send</span>
            </button>
          )}
      </div>
    </form>
  );
}

function ModelChoice({ model, onModel }: {
  readonly model: string;
  readonly onModel: (name: string) => void;
}) {
  const all = (models.value ?? []).filter(({ capabilities = ["completion"] }) =>
    capabilities.includes("completion")
  );
  return (
    <select
      aria-label="Model"
      value={model}
      onChange={(event) => onModel(event.currentTarget.value)}
    >
      {all.map(({ name }) => <option key={name}>{name}</option>)}
    </select>
  );
}

/** Only for models that see. */
function PictureChoice({ model, onImage }: {
  readonly model: string;
  readonly onImage: (base64: string) => void;
}) {
  const input = useRef<HTMLInputElement>(null);
  const sees = models.value?.find(({ name }) => name === model)?.capabilities?.includes("vision");
  if (sees !== true) return <span class="space" />;
  const read = async (file: File | undefined) => {
    if (file === undefined) return;
    if (file.size > IMAGE_BYTES_MAX) {
      return say("bad", `A picture may have 4 MiB: this one has ${Math.ceil(file.size / 2 ** 20)}`);
    }
    onImage(base64Of(new Uint8Array(await file.arrayBuffer())));
  };
  return (
    <>
      <Act icon="image" label="Add a picture" isBare onClick={() => input.current?.click()} />
      <input
        ref={input}
        class="read-only"
        type="file"
        accept="image/png,image/jpeg"
        aria-label="A picture"
        tabIndex={-1}
        onChange={(event) => void read(event.currentTarget.files?.[0])}
      />
      <span class="space" />
    </>
  );
}

function base64Of(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return btoa(text);
}
