// What loading a large package takes: wasm heap and JS heap of the worker, PSS of the renderer and GPU processes.
// `cargo xtask memory` runs this with the package in TERN_PACKAGE; it prints a table and fails above a limit.
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { start } from "./bare.mjs";
import { required } from "./browser.mjs";
import { WORKER_LOADER, sample, withinLimits } from "./sampling.mjs";
import { serve } from "./server.mjs";

const CONTEXT = 2048;
/** How often the rates are measured: loads and bare reads in turn, so that what else the machine does meets both. */
const ROUNDS = 5;
const LOAD_TIMEOUT_MS = 5 * 60_000;

const probe = await mkdtemp(join(tmpdir(), "tern-memory-"));
await writeFile(join(probe, "index.html"), "<!doctype html><title>memory</title>");
const server = await serve({ "/": required("TERN_DIST"), "/package/": required("TERN_PACKAGE"), "/probe/": probe });
// Where the app has it: the worker looks for its own worker beside it.
server.replace("/worker_loader.js", WORKER_LOADER);
const browser = await start();
let good = false;
try {
  good = await measure();
} finally {
  await browser.close();
  await server.close();
  await rm(probe, { recursive: true });
}
process.exit(good ? 0 : 1);

async function measure() {
  const visit = async (name) => {
    await ask();
    return run(name);
  };
  const first = await visit("first visit: network, store, device");
  const requests = server.requests.length;
  await browser.navigate("about:blank");
  const second = await visit("second visit: store, device");
  await compareRates();
  const fetched = server.requests.slice(requests).filter(({ path }) => path.startsWith("/package/"));
  console.log(`requests for the package since the first visit: ${fetched.length}`);
  return first.good && second.good && fetched.length === 0;
}

async function ask() {
  await browser.navigate(`${server.url}/probe/index.html`);
  await browser.evaluate(`(${talk})(${JSON.stringify({ url: `${server.url}/package/`, context: CONTEXT })})`);
}

/** Loads without looking at memory, which takes time of the processes that load, and compares with reading alone. */
async function compareRates() {
  const rounds = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    await browser.navigate("about:blank");
    await ask();
    const { read_millis: read, upload_millis: upload } = (await loaded()).times;
    const bare = await bareRead();
    const rate = (millis) => bare.bytes / 1e3 / millis;
    rounds.push({ read, upload, load: rate(read + upload), bare: rate(bare.millis), share: bare.millis / (read + upload) });
  }
  console.log("\nfrom the store to the device, and what reading the same records and doing nothing with them takes in between:");
  console.log("  MB/s  bare MB/s  share  ms waited for the store  ms waited for the device");
  for (const { load, bare, share, read, upload } of rounds) {
    const cells = [load.toFixed(0).padStart(6), bare.toFixed(0).padStart(9), `${(100 * share).toFixed(0)} %`.padStart(6)];
    console.log(`${cells.join("  ")}  ${read.toFixed(0).padStart(23)}  ${upload.toFixed(0).padStart(24)}`);
  }
  const median = (name) => rounds.map((round) => round[name]).sort((a, b) => a - b)[(ROUNDS - 1) / 2];
  console.log(`medians: ${median("load").toFixed(0)} of ${median("bare").toFixed(0)} MB/s, ${(100 * median("share")).toFixed(0)} %`);
}

/** @returns {Promise<object>} what the worker says of the model once it is loaded */
async function loaded() {
  const latest = Date.now() + LOAD_TIMEOUT_MS;
  while (Date.now() < latest) {
    const { done } = await browser.evaluate("globalThis.__load");
    if (done) return information(done);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`the model did not load within ${LOAD_TIMEOUT_MS / 1000} s`);
}

function information(done) {
  if (!done.Loaded) throw new Error(`the model did not load: ${JSON.stringify(done)}`);
  return done.Loaded;
}

/** Reads all records of the store, one after the other, and lets go of them. @returns {Promise<{bytes: number, millis: number}>} */
async function bareRead() {
  await browser.navigate("about:blank");
  await browser.navigate(`${server.url}/probe/index.html`);
  return browser.evaluate(`(${readAll})()`);
}

/** The page's part of {@link bareRead}. */
async function readAll() {
  const result = (request) =>
    new Promise((resolve, reject) => {
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => reject(request.error);
    });
  const database = await result(indexedDB.open("tern-models"));
  const records = () => database.transaction("records").objectStore("records");
  const keys = await result(records().getAllKeys());
  const began = performance.now();
  let bytes = 0;
  for (const key of keys) bytes += (await result(records().get(key))).byteLength;
  return { bytes, millis: performance.now() - began };
}

/** The page's part, in the page: greets the worker, asks for the model, keeps what the worker says. */
function talk({ url, context }) {
  const worker = new Worker("/worker_loader.js", { type: "module" });
  globalThis.__load = { done: undefined, stage: "start", bytes: 0 };
  worker.onmessage = ({ data: [event] }) => {
    const load = globalThis.__load;
    if (event.Hello) {
      worker.postMessage([{ Hello: event.Hello }, []]);
      const settings = { version: 1, context, kv: "F16", prefill_chunk: 0, subgroups: true };
      worker.postMessage([{ Load: { id: 1, model_url: url, settings } }, []]);
    }
    if (event.Loading) [load.stage, load.bytes] = [event.Loading.progress.stage, event.Loading.progress.bytes_done];
    if (event.Finished) load.done = event.Finished.outcome;
    if (event.Failed || event.Trap) load.done ??= { fault: event.Failed?.fault ?? event.Trap };
  };
  worker.onerror = (error) => (globalThis.__load.done ??= { fault: error.message });
}

async function run(name) {
  const sampled = await sample(browser, "globalThis.__load");
  const info = information(sampled.done);
  console.log(`\n${name}: ${info.name}, ${(info.load_millis / 1000).toFixed(1)} s, cached: ${info.cached}`);
  return { good: withinLimits(sampled, info) && info.cached };
}
