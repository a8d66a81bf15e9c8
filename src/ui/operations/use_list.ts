import { useCallback, useEffect, useState } from "preact/hooks";
import { apiKey, askJson, origin } from "../state/mod.ts";

/** What a node was asked for. */
export interface Listed<T> {
  /** Undefined until it was heard. */
  readonly value: T | undefined;
  /** Why it was not; "" while nothing failed. */
  readonly failure: string;
  readonly again: () => void;
}

/** Asks once, and again when the key or the asked node changes. */
export function useList<T>(path: string): Listed<T> {
  const [value, setValue] = useState<T>();
  const [failure, setFailure] = useState("");
  const key = apiKey.value;
  const from = origin.value;
  const again = useCallback(() => {
    askJson<T>(path).then((heard) => {
      setValue(heard);
      setFailure("");
    }).catch((error: Error) => setFailure(error.message));
  }, [path, key, from]);
  useEffect(again, [again]);
  return { value, failure, again };
}
