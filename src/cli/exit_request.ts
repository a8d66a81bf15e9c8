/** Ends a command with an exit code of its own, after it has said everything itself. */
export class ExitRequest extends Error {
  override readonly name = "ExitRequest";
  readonly code: number;
  constructor(code: number) {
    super(`exit ${code}`);
    this.code = code;
  }
}
