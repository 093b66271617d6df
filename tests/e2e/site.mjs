// The site under test: dist/ with the models, and the same models for the native program.
import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { required } from "./browser.mjs";
import { serve } from "./server.mjs";

/** The small random model that `cargo xtask e2e` converted, and the default one, as native paths. */
export const SMALL_MODEL = join(required("TERN_WORK"), "models", "g256");
export const DEFAULT_MODEL = required("TERN_DEFAULT_MODEL");

/** Serves the built site with the small model as `models/g256`. */
export function serveSite(fault) {
  return serve({ "/": required("TERN_DIST"), "/models/g256/": SMALL_MODEL }, fault);
}

/** Runs the native program and returns what it printed. */
export async function tern(...args) {
  const run = promisify(execFile);
  const { stdout } = await run(required("TERN_CLI"), args, { timeout: 8 * 60_000, maxBuffer: 1 << 24 });
  return stdout;
}
