// What a page takes while it works: wasm heap and JS heap of its worker, PSS of the renderer and GPU processes. For pages of bare.mjs.
import { readFile } from "node:fs/promises";

export const MB = 1e6;
/** Most that loading a model may take; `beyondModel`: of PSS, beyond weights and cache. */
const LIMITS = { wasm: 160 * MB, js: 64 * MB, beyondModel: 350 * MB };
const EVERY_MS = 250;
const TIMEOUT_MS = 20 * 60_000;

/** The worker's loader, with its memory kept where it can be read. */
export const WORKER_LOADER = `
import init from "/worker.js";
globalThis.__memory = (await init()).memory;
`;

/** Bytes of the worker's heaps, with the JavaScript heap of the worker beside it; nothing while there is no worker, or none that answers. */
async function heaps(browser) {
  const session = browser.worker();
  if (!session) return undefined;
  const expression = "globalThis.__memory?.buffer.byteLength ?? 0";
  const none = { usedSize: 0, backingStorageSize: 0 };
  const all = [
    browser.send("Runtime.evaluate", { expression, returnByValue: true }, session),
    browser.send("Runtime.getHeapUsage", {}, session),
    ...browser.inner().map((inner) => browser.send("Runtime.getHeapUsage", {}, inner).catch(() => none)),
  ];
  const late = new Promise((resolve) => setTimeout(resolve, 30_000).unref());
  // A worker that ends meanwhile answers with an error.
  const answers = await Promise.race([Promise.all(all).catch(() => undefined), late]);
  if (!answers) return undefined;
  const [wasm, ...usages] = answers;
  return { js: usages.reduce((sum, { usedSize, backingStorageSize }) => sum + usedSize + backingStorageSize, 0), wasm: wasm.result.value };
}

/** PSS of the renderers and the GPU process, by the kernel's count. */
export async function processMemory(browser) {
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

/**
 * Looks at memory until the page says that it is done.
 *
 * @param {object} browser of bare.mjs
 * @param {string} expression of the page: `{stage, bytes, done}`, where `done` is there when it is over
 * @returns {Promise<{rows: object[], peak: object, done: object, seconds: number}>}
 */
export async function sample(browser, expression) {
  const peak = { wasm: 0, js: 0, pss: 0, renderer: 0, gpu: 0 };
  const rows = [];
  const start = Date.now();
  for (;;) {
    const { stage, bytes, done } = await browser.evaluate(expression);
    const heap = await heaps(browser);
    const pss = await processMemory(browser);
    if (heap) {
      const { js } = heap;
      peak.wasm = Math.max(peak.wasm, heap.wasm);
      if (js > peak.js) [peak.js, peak.jsAt] = [js, `${stage}, ${(bytes / MB).toFixed(0)} MB done`];
      rows.push({ at: Date.now() - start, stage, bytes, wasm: heap.wasm, js, ...pss });
    }
    peak.renderer = Math.max(peak.renderer, pss.renderer);
    peak.gpu = Math.max(peak.gpu, pss.gpu);
    peak.pss = Math.max(peak.pss, pss.renderer + pss.gpu);
    if (done && rows.length === 0) throw new Error("the worker's memory was never seen");
    if (done) return { rows, peak, done, seconds: (Date.now() - start) / 1000 };
    if (Date.now() - start > TIMEOUT_MS) throw new Error(`not done after ${TIMEOUT_MS} ms: ${stage}, ${bytes} bytes`);
    await new Promise((resolve) => setTimeout(resolve, EVERY_MS));
  }
}

/**
 * Prints what was sampled, and how it compares with the limits.
 *
 * @param {{weight_bytes: number, kv_bytes: number, activation_bytes: number}} model
 * @param {{isAnswering?: boolean}} [options] whether it was sampled while the model answers: then PSS is only told, since the limit is
 *   that of loading
 * @returns {boolean} whether it is within them
 */
export function withinLimits({ rows, peak }, model, { isAnswering = false } = {}) {
  const mb = (bytes) => (bytes / MB).toFixed(0).padStart(6);
  console.log("     s  stage     done MB   wasm     js  renderer PSS  GPU PSS");
  for (const row of thin(rows)) {
    const [at, stage] = [(row.at / 1000).toFixed(1).padStart(6), row.stage.padEnd(9)];
    console.log(`${at}  ${stage}  ${mb(row.bytes)} ${mb(row.wasm)} ${mb(row.js)}  ${mb(row.renderer)}        ${mb(row.gpu)}`);
  }
  console.log(`weights ${mb(model.weight_bytes)} MB, KV ${mb(model.kv_bytes)} MB, the rest on the GPU ${mb(model.activation_bytes)} MB`);
  const lines = [
    ["wasm heap of the worker", peak.wasm, LIMITS.wasm],
    [`JS heaps of the worker and of its own, used + backing storage (${peak.jsAt})`, peak.js, LIMITS.js],
  ];
  const modelBytes = model.weight_bytes + model.kv_bytes;
  if (isAnswering) console.log(`     PSS of renderer and GPU processes: largest ${mb(peak.pss)} MB, beyond weights and cache ${mb(peak.pss - modelBytes)} MB`);
  else lines.push(["PSS of renderer and GPU processes", peak.pss, modelBytes + LIMITS.beyondModel]);
  // A largest value of nothing means that nothing was measured.
  const isWithin = ([, value, limit]) => value > 0 && value <= limit;
  for (const line of lines) {
    const [what, value, limit] = line;
    console.log(`${isWithin(line) ? "ok  " : "FAIL"} ${what}: largest ${mb(value)} MB, at most ${mb(limit)} MB`);
  }
  return lines.every(isWithin);
}

/** Some forty rows: each change of stage, and in between at equal steps. */
function thin(rows) {
  const step = Math.max(1, Math.ceil(rows.length / 36));
  return rows.filter((row, n) => n % step === 0 || n === rows.length - 1 || row.stage !== rows[n - 1]?.stage);
}
