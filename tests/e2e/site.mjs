// The site under test: dist/ with the models, and the same models for the native program.
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { required } from "./browser.mjs";
import { serve } from "./server.mjs";
import { makePackage } from "./toy.mjs";

const MODELS = join(required("TERN_WORK"), "models");
/** The small random model that `cargo xtask e2e` converted, and the default one, as native paths. */
export const SMALL_MODEL = join(MODELS, "g256");
export const DEFAULT_MODEL = required("TERN_DEFAULT_MODEL");
/** The built site. */
export const DIST = required("TERN_DIST");
/** The small model cut into shards, with room for a conversation: see toy.mjs. */
export const TOY = await makePackage(SMALL_MODEL, join(MODELS, "toy"), { name: "toy", context: 2048 });
/** The same without its chat template: a base model. */
export const BASE = await makePackage(SMALL_MODEL, join(MODELS, "base"), { name: "base", context: 2048, isBase: true });
/** The small model with room for prompts of 300 tokens, for checks of its arithmetic. */
const LONG = await makePackage(SMALL_MODEL, join(MODELS, "g256-long"), { name: "g256-long", context: 320 });

/**
 * Serves the built site with the small models as `models/g256`, `models/g256-long`, `models/toy` and `models/base`.
 *
 * @param {Function} [fault] see {@link serve}
 * @param {{base?: string, dist?: string}} [options] where the site lies on the server, and another build of it
 */
export function serveSite(fault, { dist = DIST, ...options } = {}) {
  const mounts = {
    "/": dist,
    "/models/g256/": SMALL_MODEL,
    "/models/g256-long/": LONG.folder,
    "/models/toy/": TOY.folder,
    "/models/base/": BASE.folder,
  };
  return serve(mounts, fault, options);
}

/** Folder of the repositories that `cargo xtask e2e` wrote, each `owner/name` below it. */
export const REPOSITORIES = join(required("TERN_WORK"), "repositories");

/**
 * Serves these repositories as the Hugging Face hub does, on an origin of their own, and their large files on a third one.
 *
 * @param {string[]} names `owner/name`, by crates/fixtures/src/repositories.rs
 * @param {Function} [fault] see {@link serve}; requests to the store of large files have paths below `/store/`
 */
export function serveHub(names, fault) {
  const repositories = names.map((name) => [name, { folder: join(REPOSITORIES, name), license: "mit" }]);
  return serve({}, fault, { repositories: Object.fromEntries(repositories) });
}

/** Whether a path is a weight file of a package. */
export function isShard(path) {
  return /^\/models\/.*\.bin$/.test(path);
}

/** The files of a package, with their hashes as they are, whatever its manifest says. @returns {Promise<Record<string, string>>} */
export async function packageHashes(folder) {
  const manifest = JSON.parse(await readFile(join(folder, "manifest.json"), "utf8"));
  const names = ["manifest.json", ...(manifest.text ? [manifest.text.tokenizer.file] : []), ...manifest.shards.map(({ file }) => file)];
  const hashes = {};
  for (const name of names) hashes[name] = createHash("sha256").update(await readFile(join(folder, name))).digest("hex");
  return hashes;
}

const answers = new Map();

/**
 * What the native program answers greedily: the token ids, the stop token left out as the page does, and the text. A random
 * model stops only where it is told to.
 */
export async function nativeAnswer(model, question, limit) {
  const key = `${model}\n${question}\n${limit}`;
  if (!answers.has(key)) answers.set(key, runNative(model, question, limit));
  return answers.get(key);
}

async function runNative(model, question, limit) {
  const file = join(required("TERN_WORK"), `native-answer-${answers.size}.json`);
  const options = ["run", "--model", model, "--greedy", "--prompt", question, `--ids=${file}`];
  if (limit !== undefined) options.push("--max-tokens", String(limit));
  const { stdout } = await promisify(execFile)(required("TERN_CLI"), options, { timeout: 8 * 60_000 });
  const { ids, stop } = JSON.parse(await readFile(file, "utf8"));
  return { ids: /^stop.?token$/i.test(stop) ? ids.slice(0, -1) : ids, text: stdout.trim() };
}

/** Only the ids of {@link nativeAnswer}. */
export async function nativeIds(model, question) {
  return (await nativeAnswer(model, question)).ids;
}
