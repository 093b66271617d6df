// The site under test: dist/ with the models, and the same models for the native program.
import { execFile } from "node:child_process";
import { cp, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { required } from "./browser.mjs";
import { serve } from "./server.mjs";

/** The small random model that `cargo xtask e2e` converted, and the default one, as native paths. */
export const SMALL_MODEL = join(required("TERN_WORK"), "models", "g256");
export const DEFAULT_MODEL = required("TERN_DEFAULT_MODEL");

/** The same model with room for more tokens than it was made for: only for checks of its arithmetic. */
const LONG_MODEL = `${SMALL_MODEL}-long`;
const LONG_CONTEXT = 320;

/** Serves the built site with the small model as `models/g256` and `models/g256-long`. */
export async function serveSite(fault) {
  await makeLongModel();
  return serve({ "/": required("TERN_DIST"), "/models/g256/": SMALL_MODEL, "/models/g256-long/": LONG_MODEL }, fault);
}

async function makeLongModel() {
  await rm(LONG_MODEL, { recursive: true, force: true });
  await cp(SMALL_MODEL, LONG_MODEL, { recursive: true });
  const manifest = JSON.parse(await readFile(join(SMALL_MODEL, "manifest.json"), "utf8"));
  manifest.architecture.context = LONG_CONTEXT;
  await writeFile(join(LONG_MODEL, "manifest.json"), JSON.stringify(manifest));
}

/** The token ids of the native program's greedy answer to a question, the stop token left out, as the page does. */
export async function nativeIds(model, question) {
  const file = join(required("TERN_WORK"), "native-answer.json");
  const options = ["run", "--model", model, "--greedy", "--prompt", question, `--ids=${file}`];
  await promisify(execFile)(required("TERN_CLI"), options, { timeout: 8 * 60_000 });
  const { ids, stop } = JSON.parse(await readFile(file, "utf8"));
  return /^stop.?token$/i.test(stop) ? ids.slice(0, -1) : ids;
}
