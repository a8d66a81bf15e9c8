/**
 * The page at `/ui`, for browsers: the one part of the program that doesn't run in Deno. It imports nothing of the others and
 * asks nothing but the public API. Start with `page.tsx`, then one view such as `cluster/`; `state/` is what they all look at.
 *
 * @module
 */
import { showPage } from "./page.tsx";

showPage(document.body);
