import { RequestError } from "../../base/mod.ts";

/** A template that can't be parsed: RequestError `invalid_template`, worded as Go's text/template does. */
export function parseError(line: number, message: string): RequestError {
  return new RequestError("invalid_template", `template: :${line}: ${message}`);
}

/** A template that fails while it is executed. `column` counts from 0, as Go prints it. */
export function executeError(
  at: { readonly line: number; readonly column: number; readonly source: string },
  message: string,
): RequestError {
  const place = `${at.line}:${at.column}`;
  return new RequestError(
    "invalid_template",
    `template: :${place}: executing "" at <${at.source}>: ${message}`,
  );
}
