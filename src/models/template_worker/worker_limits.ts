/** JavaScript heap of one worker, MiB. */
export const WORKER_HEAP_MIB = 64;
/** One rendering, milliseconds; its last part is counted by the processor it uses, where the system tells. */
export const RENDER_MS_MAX = 250;
/**
 * The same by the clock where the system tells what a process has used. A template can't but compute: what uses no processor
 * for so long is held up by a busy machine, and the template is not to blame.
 */
export const RENDER_WALL_MS_MAX = 10_000;
/** UTF-16 units of one question, which is the template and the whole conversation. */
export const QUESTION_CHARS_MAX = 16 * 1024 * 1024;
/** UTF-16 units of one reply, which is the prompt as JSON. */
export const REPLY_CHARS_MAX = 32 * 1024 * 1024;
/** Workers that others may end under one rendering before it is given up. */
export const LOSSES_MAX = 3;
/** Renderings that wait for a worker. */
export const WAITING_MAX = 256;
/** Templates that a worker keeps compiled, and so need not be told again. */
export const COMPILED_MAX = 8;
/** Renderings handed over at once: a busy node wakes a worker once for several. */
export const BATCH_MAX = 8;
/** UTF-16 units of their conversations together, so that the first need not wait long for the last. */
export const BATCH_CHARS_MAX = 64 * 1024;
