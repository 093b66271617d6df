// What loading a large package takes: wasm heap and JS heap of the worker, PSS of the renderer and GPU processes.
// `cargo xtask memory` runs this with the package in TERN_PACKAGE; it prints a table and fails above a limit.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { launch, required } from "./browser.mjs";
import { serve } from "./server.mjs";

const MB = 1e6;
const LIMITS = { wasm: 160 * MB, js: 64 * MB, beyondModel: 350 * MB };
const CONTEXT = 2048;
const EVERY_MS = 250;
const TIMEOUT_MS = 20 * 60_000;

// Runs in the worker before its own code: keeps the wasm memory where it can be read.
const HOOK = `
for (const name of ["instantiate", "instantiateStreaming"]) {
  const original = WebAssembly[name];
  WebAssembly[name] = async (...args) => {
    const result = await original.apply(WebAssembly, args);
    globalThis.__memory = (result.instance ?? result).exports.memory;
    return result;
  };
}
`;

const dist = required("TERN_DIST");
const server = await serve({ "/": dist, "/package/": required("TERN_PACKAGE") });
const browser = await launch();
let failed = true;
try {
  failed = await measure();
} finally {
  await browser.close();
  await server.close();
}
process.exit(failed ? 1 : 0);

async function measure() {
  const context = await browser.newContext({ serviceWorkers: "block" });
  const page = await context.newPage();
  const loader = await readFile(join(dist, "worker_loader.js"), "utf8");
  await page.route("**/worker_loader.js*", (route) =>
    route.fulfill({ contentType: "text/javascript", body: loader.replace("await init(", `${HOOK}await init(`) }),
  );
  await page.route("**/blank", (route) => route.fulfill({ contentType: "text/html", body: "<!doctype html>" }));
  await page.goto(`${server.url}/blank`);

  const heaps = await watchWorker(page);
  const processes = await browser.newBrowserCDPSession();
  await page.evaluate(talk, { url: `${server.url}/package/`, context: CONTEXT });
  const first = await run("first visit: network, store, device", page, heaps, processes);
  await page.reload();
  await page.evaluate(talk, { url: `${server.url}/package/`, context: CONTEXT });
  const requests = server.requests.length;
  const second = await run("second visit: store, device", page, heaps, processes);
  const fetched = server.requests.slice(requests).filter(({ path }) => path.startsWith("/package/"));
  console.log(`\nrequests for the package on the second visit: ${fetched.length}`);
  return !(first && second && fetched.length === 0);
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
    if (event.Failed || event.Trap) load.done = { fault: event.Failed?.fault ?? event.Trap };
  };
  worker.onerror = (error) => (globalThis.__load.done = { fault: error.message });
}

/** Talks to the worker's own debugging session: playwright has no call for a worker's heap. */
async function watchWorker(page) {
  const session = await page.context().newCDPSession(page);
  const waiting = new Map();
  let [worker, last] = [undefined, 0];
  session.on("Target.attachedToTarget", ({ sessionId, targetInfo }) => {
    if (targetInfo.type === "worker") worker = sessionId;
  });
  session.on("Target.detachedFromTarget", ({ sessionId }) => {
    if (worker === sessionId) worker = undefined;
  });
  session.on("Target.receivedMessageFromTarget", ({ message }) => {
    const { id, result } = JSON.parse(message);
    waiting.get(id)?.(result);
    waiting.delete(id);
  });
  await session.send("Target.setAutoAttach", { autoAttach: true, waitForDebuggerOnStart: false, flatten: false });
  const ask = (method, params = {}) => {
    const id = ++last;
    const answer = new Promise((resolve) => waiting.set(id, resolve));
    const message = JSON.stringify({ id, method, params });
    const sent = session.send("Target.sendMessageToTarget", { sessionId: worker, message }).catch(() => undefined);
    const late = new Promise((resolve) => setTimeout(resolve, 30_000));
    return sent.then(() => Promise.race([answer, late]));
  };
  return async () => {
    if (!worker) return undefined;
    const heap = await ask("Runtime.getHeapUsage");
    const expression = "globalThis.__memory?.buffer.byteLength ?? 0";
    const wasm = await ask("Runtime.evaluate", { expression });
    if (!heap || wasm?.result?.value === undefined) return undefined;
    return { ...heap, wasm: wasm.result.value };
  };
}

async function run(name, page, heaps, processes) {
  const peak = { wasm: 0, js: 0, pss: 0, renderer: 0, gpu: 0 };
  const rows = [];
  const start = Date.now();
  let load;
  for (;;) {
    load = await page.evaluate(() => globalThis.__load);
    const heap = await heaps();
    const pss = await processMemory(processes);
    if (heap) {
      // The wasm memory is a backing store too, and has its own limit.
      const js = heap.usedSize + heap.backingStorageSize - (heap.backingStorageSize >= heap.wasm ? heap.wasm : 0);
      peak.wasm = Math.max(peak.wasm, heap.wasm);
      peak.js = Math.max(peak.js, js);
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
async function processMemory(session) {
  const { processInfo } = await session.send("SystemInfo.getProcessInfo");
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
    ["JS heap of the worker, used + backing storage", peak.js, LIMITS.js],
    ["PSS of renderer and GPU processes", peak.pss, model + LIMITS.beyondModel],
  ];
  let good = info.cached;
  for (const [what, value, limit] of lines) {
    const fits = value <= limit;
    good &&= fits;
    console.log(`${fits ? "ok  " : "FAIL"} ${what}: largest ${mb(value)} MB, at most ${mb(limit)} MB`);
  }
  return good;
}

/** Some forty rows: each change of stage, and in between at equal steps. */
function thin(rows) {
  const step = Math.max(1, Math.ceil(rows.length / 36));
  return rows.filter((row, n) => n % step === 0 || n === rows.length - 1 || row.stage !== rows[n - 1]?.stage);
}
