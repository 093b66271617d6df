// `cargo xtask full-size`: a repository of the size and shape of BitNet 2B-4T, served as the Hugging Face hub does. The app streams
// it, packs it anew, loads it and answers; what is stored is what `tern convert` makes of the same files, and memory stays within
// the limits of `cargo xtask memory`.
import assert from "node:assert/strict";
import { stat } from "node:fs/promises";
import { basename, join } from "node:path";
import { start } from "../bare.mjs";
import { required } from "../browser.mjs";
import { writingHosts } from "../hosts.mjs";
import { MB, WORKER_LOADER, processMemory, sample, withinLimits } from "../sampling.mjs";
import { serve } from "../server.mjs";
import { packageHashes } from "../site.mjs";
import { stored } from "../stored.mjs";

const PARAMETERS = { start: 1, greedy: 1, max_tokens: 4, context: 2048 };
const QUESTION = "The sea is";

const [repository, converted] = [required("TERN_REPOSITORY"), required("TERN_PACKAGE")];
const NAME = `terns/${basename(repository)}`;
const site = await serve({ "/": required("TERN_DIST") }, ({ path }) => {
  // The worker is replaced by one that is looked into, which the service worker would not serve.
  return path === "/sw.js" ? { status: 404 } : undefined;
});
site.replace("/worker_loader.js", WORKER_LOADER);
const hub = await serve({}, undefined, { repositories: { [NAME]: { folder: repository, license: "mit" } } });
const browser = await start();
let good = false;
try {
  good = await measure();
} finally {
  await browser.close();
  await site.close();
  await hub.close();
}
process.exit(good ? 0 : 1);

async function measure() {
  const { size } = await stat(join(repository, "model.safetensors"));
  console.log(`${NAME}: model.safetensors of ${(size / 1e9).toFixed(2)} GB`);
  const empty = await processMemory(browser);
  console.log(`Chromium with an empty page: PSS of its renderers ${(empty.renderer / MB).toFixed(0)} MB, of its GPU process ${(empty.gpu / MB).toFixed(0)} MB`);
  await browser.navigate(new URL("/icon.svg", site.url).href);
  await browser.evaluate(writingHosts([hub.origin, hub.storeOrigin]));
  const query = new URLSearchParams({ ...PARAMETERS, model: `${hub.origin}/${NAME}/tree/main` });
  await browser.navigate(new URL(`/?${query}`, site.url).href);
  const load = await sample(browser, `(${loading})()`);
  assert.equal(load.done.state, "ready", load.done.words);
  console.log(`\nfetched, packed and loaded in ${load.seconds.toFixed(0)} s (${(size / 1e6 / load.seconds).toFixed(1)} MB/s of the source)`);
  const isLoadGood = withinLimits(load, load.done.model);

  await browser.evaluate(`(${ask})(${JSON.stringify(QUESTION)})`);
  const answering = await sample(browser, `(${answered})()`);
  const { ids, finish } = answering.done;
  console.log(`\nan answer of ${ids.length} tokens (${ids.join(", ")}), ${finish}, in ${answering.seconds.toFixed(0)} s`);
  assert.notEqual(ids.length, 0, `no token: ${answering.done.words}`);
  const isAnswerGood = withinLimits(answering, load.done.model, { isAnswering: true });

  const { files, parts, strays } = await stored(browser);
  assert.deepEqual(files.filter(({ isWhole }) => !isWhole), [], "records have other hashes than the journal says");
  assert.deepEqual(Object.fromEntries(files.map(({ file, sha256 }) => [file, sha256])), await packageHashes(converted));
  assert.deepEqual({ parts, strays }, { parts: [], strays: [] }, "something is left");
  console.log(`\nthe ${files.length} files that are stored are those of \`tern convert\`, hash by hash`);
  const sent = new Map();
  for (const { path, bytes = 0 } of hub.requests) {
    const file = path.split("/").at(-1);
    const { requests, total } = sent.get(file) ?? { requests: 0, total: 0 };
    sent.set(file, { requests: requests + 1, total: total + bytes });
  }
  for (const [file, { requests, total }] of sent) console.log(`  ${file}: ${requests} requests, ${(total / MB).toFixed(1)} MB`);
  return isLoadGood && isAnswerGood;
}

/** In the page: how far loading is. */
function loading() {
  const tern = window.__tern;
  if (!tern) return { stage: "start", bytes: 0 };
  const words = document.querySelector("[data-testid=fault]")?.innerText ?? "";
  const isOver = ["ready", "failed"].includes(tern.state);
  const done = isOver ? { state: tern.state, words, model: tern.model } : undefined;
  return { stage: tern.state, bytes: document.querySelector("progress")?.value ?? 0, done };
}

/** In the page: asks. */
function ask(question) {
  const field = document.querySelector("[data-testid=message]");
  field.focus();
  document.execCommand("insertText", false, question);
  // The button is enabled when the text has come through.
  setTimeout(() => document.querySelector("[data-testid=send]").click(), 200);
}

/** In the page: how far the answer is. */
function answered() {
  const { state, lastAnswer } = window.__tern;
  const words = document.querySelector("[data-testid=fault]")?.innerText ?? "";
  const isOver = lastAnswer?.done || state === "failed";
  return { stage: state, bytes: 0, done: isOver ? { ids: lastAnswer?.ids ?? [], finish: lastAnswer?.finish, words } : undefined };
}
