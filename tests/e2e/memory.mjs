// What loading a large package takes: wasm heap and JS heap of the worker, PSS of the renderer and GPU processes.
// `cargo xtask memory` runs this with the package in TERN_PACKAGE; it prints a table and fails above a limit.
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { start } from "./bare.mjs";
import { required } from "./browser.mjs";
import { serve } from "./server.mjs";

const MB = 1e6;
const LIMITS = { wasm: 160 * MB, js: 64 * MB, beyondModel: 350 * MB };
const CONTEXT = 2048;
const EVERY_MS = 250;
const TIMEOUT_MS = 20 * 60_000;

// The worker's loader, with its memory kept where it can be read.
const LOADER = `
import init from "/worker.js";
globalThis.__memory = (await init()).memory;
`;

const probe = await mkdtemp(join(tmpdir(), "tern-memory-"));
await writeFile(join(probe, "index.html"), "<!doctype html><title>memory</title>");
await writeFile(join(probe, "loader.js"), LOADER);
const server = await serve({ "/": required("TERN_DIST"), "/package/": required("TERN_PACKAGE"), "/probe/": probe });
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
    await browser.navigate(`${server.url}/probe/index.html`);
    await browser.evaluate(`(${talk})(${JSON.stringify({ url: `${server.url}/package/`, context: CONTEXT })})`);
    return run(name);
  };
  const first = await visit("first visit: network, store, device");
  const requests = server.requests.length;
  await browser.navigate("about:blank");
  const second = await visit("second visit: store, device");
  const fetched = server.requests.slice(requests).filter(({ path }) => path.startsWith("/package/"));
  console.log(`\nrequests for the package on the second visit: ${fetched.length}`);
  const bare = await bareRead();
  const { read_millis: read, upload_millis: upload } = second.times;
  const rate = (millis) => `${(bare.bytes / 1e3 / millis).toFixed(0)} MB/s`;
  const share = (100 * bare.millis / (read + upload)).toFixed(0);
  console.log(`from the store to the device: ${rate(read + upload)} (${read.toFixed(0)} ms are waited for the store, ${upload.toFixed(0)} ms for the device),`);
  console.log(`which is ${share} % of ${rate(bare.millis)}, what reading the same records and doing nothing with them takes in this run`);
  return first.good && second.good && fetched.length === 0;
}

/** Reads all records of the store, one after the other, and lets go of them. @returns {Promise<{bytes: number, millis: number}>} */
async function bareRead() {
  await browser.navigate("about:blank");
  await browser.navigate(`${server.url}/probe/index.html`);
  await browser.evaluate(`void (${readAll})()`);
  for (;;) {
    const read = await browser.evaluate("globalThis.__read");
    if (read) return read;
    await new Promise((resolve) => setTimeout(resolve, EVERY_MS));
  }
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
  globalThis.__read = { bytes, millis: performance.now() - began };
}

/** The page's part, in the page: greets the worker, asks for the model, keeps what the worker says. */
function talk({ url, context }) {
  const worker = new Worker("/probe/loader.js", { type: "module" });
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

/** Bytes of the worker's heaps; nothing while there is no worker, or none that answers. */
async function heaps() {
  const session = browser.worker();
  if (!session) return undefined;
  const expression = "globalThis.__memory?.buffer.byteLength ?? 0";
  const both = [
    browser.send("Runtime.getHeapUsage", {}, session),
    browser.send("Runtime.evaluate", { expression, returnByValue: true }, session),
  ];
  const late = new Promise((resolve) => setTimeout(resolve, 30_000).unref());
  // A worker that ends meanwhile answers with an error.
  const answers = await Promise.race([Promise.all(both).catch(() => undefined), late]);
  return answers && { ...answers[0], wasm: answers[1].result.value };
}

async function run(name) {
  const peak = { wasm: 0, js: 0, pss: 0, renderer: 0, gpu: 0 };
  const rows = [];
  const start = Date.now();
  let load;
  for (;;) {
    load = await browser.evaluate("globalThis.__load");
    const heap = await heaps();
    const pss = await processMemory();
    if (heap) {
      const js = heap.usedSize + heap.backingStorageSize;
      peak.wasm = Math.max(peak.wasm, heap.wasm);
      if (js > peak.js) [peak.js, peak.jsAt] = [js, `${load.stage}, ${(load.bytes / MB).toFixed(0)} MB done`];
      rows.push({ at: Date.now() - start, ...load, wasm: heap.wasm, js, ...pss });
    }
    peak.renderer = Math.max(peak.renderer, pss.renderer);
    peak.gpu = Math.max(peak.gpu, pss.gpu);
    peak.pss = Math.max(peak.pss, pss.renderer + pss.gpu);
    if (load.done) break;
    if (Date.now() - start > TIMEOUT_MS) throw new Error(`not loaded after ${TIMEOUT_MS} ms: ${JSON.stringify(load)}`);
    await new Promise((resolve) => setTimeout(resolve, EVERY_MS));
  }
  const info = load.done.Loaded;
  if (!info) throw new Error(`the model did not load: ${JSON.stringify(load.done)}`);
  return report(name, rows, peak, info);
}

/** PSS of the renderers and the GPU process, by the kernel's count. */
async function processMemory() {
  const { processInfo } = await browser.send("SystemInfo.getProcessInfo");
  const sum = { renderer: 0, gpu: 0 };
  for (const { type, id } of processInfo) {
    const kind = { renderer: "renderer", GPU: "gpu" }[type];
    if (!kind) continue;
    const rollup = await readFile(`/proc/${id}/smaps_rollup`, "utf8").catch(() => "");
    sum[kind] += 1024 * Number(/^Pss:\s+(\d+) kB/m.exec(rollup)?.[1] ?? 0);
  }
  return sum;
}

function report(name, rows, peak, info) {
  const mb = (bytes) => (bytes / MB).toFixed(0).padStart(6);
  console.log(`\n${name}: ${info.name}, ${(info.load_millis / 1000).toFixed(1)} s, cached: ${info.cached}`);
  console.log("     s  stage     done MB   wasm     js  renderer PSS  GPU PSS");
  for (const row of thin(rows)) {
    const [at, stage] = [(row.at / 1000).toFixed(1).padStart(6), row.stage.padEnd(9)];
    console.log(`${at}  ${stage}  ${mb(row.bytes)} ${mb(row.wasm)} ${mb(row.js)}  ${mb(row.renderer)}        ${mb(row.gpu)}`);
  }
  const model = info.weight_bytes + info.kv_bytes;
  console.log(`weights ${mb(info.weight_bytes)} MB, KV ${mb(info.kv_bytes)} MB, the rest on the GPU ${mb(info.activation_bytes)} MB`);
  const lines = [
    ["wasm heap of the worker", peak.wasm, LIMITS.wasm],
    [`JS heap of the worker, used + backing storage (${peak.jsAt})`, peak.js, LIMITS.js],
    ["PSS of renderer and GPU processes", peak.pss, model + LIMITS.beyondModel],
  ];
  let good = info.cached;
  for (const [what, value, limit] of lines) {
    const fits = value <= limit;
    good &&= fits;
    console.log(`${fits ? "ok  " : "FAIL"} ${what}: largest ${mb(value)} MB, at most ${mb(limit)} MB`);
  }
  return { good, times: info.times };
}

/** Some forty rows: each change of stage, and in between at equal steps. */
function thin(rows) {
  const step = Math.max(1, Math.ceil(rows.length / 36));
  return rows.filter((row, n) => n % step === 0 || n === rows.length - 1 || row.stage !== rows[n - 1]?.stage);
}
