import type { ComponentChildren } from "preact";
import { Empty, Section } from "../parts/mod.ts";
import type { Listed } from "./use_list.ts";

/** A section with a table of what was listed, or why there is none. */
export function ListedSection<T>(props: {
  readonly title: string;
  readonly note?: string;
  readonly actions?: ComponentChildren;
  readonly listed: Listed<unknown>;
  readonly rows: readonly T[];
  readonly heads: readonly string[];
  readonly empty: ComponentChildren;
  readonly row: (row: T) => ComponentChildren;
  readonly children?: ComponentChildren;
}) {
  const { title, note, actions, listed, rows, heads, empty, row, children } = props;
  return (
    <Section title={title} {...(note === undefined ? {} : { note })} actions={actions}>
      {children}
      {listed.failure !== ""
        ? <Empty>{listed.failure}</Empty>
        : listed.value === undefined
        ? <Empty>Asking…</Empty>
        : rows.length === 0
        ? <Empty>{empty}</Empty>
        : (
          <div class="scroll" tabIndex={0} role="region" aria-label={title}>
            <table>
              <thead>
                <tr>
                  {heads.map((head) => (
                    <th scope="col" key={head}>
                      {head === "" ? <span class="read-only">Actions</span> : head}
                    </th>
                  ))}
                </tr>
              </thead>
              <tbody>{rows.map(row)}</tbody>
            </table>
          </div>
        )}
    </Section>
  );
}
