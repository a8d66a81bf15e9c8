import { effect, signal } from "@preact/signals";
import { askJson } from "./api.ts";
import { status } from "./feed.ts";
import type { Model } from "./shapes.ts";

/** All models of the cluster, newest first; undefined until they were heard. */
export const models = signal<readonly Model[] | undefined>(undefined);

/** Asks for them anew. */
export async function lookAtModels(): Promise<void> {
  try {
    const { models: listed } = await askJson<{ models: readonly Model[] }>(
      "/api/tags?consistency=stale",
    );
    models.value = listed;
  } catch {
    // The feed says that nobody answers.
  }
}

/** Whenever the cluster has agreed on something. */
export function followModels(): void {
  let lookedAt = -1;
  effect(() => {
    const index = status.value?.applied_index;
    if (index === undefined || index === lookedAt) return;
    lookedAt = index;
    void lookAtModels();
  });
}
