// `cargo xtask throughput`: how much of a slow link a download of a package uses, and how fast it is on an unlimited one, as a share
// of the bare loop: fetch, SHA-256, one put into IndexedDB, as many at a time as the app has, in a worker of the same browser.
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { start } from "../bare.mjs";
import { required } from "../browser.mjs";
import { serve } from "../server.mjs";

const LINK = 50e6;
/** Least share of the link, and the share of the bare loop that is aimed at. */
const [LEAST, AIM] = [0.95, 0.8];
const RUNS = Number(process.env.TERN_RUNS ?? 3);
const CONNECTIONS = 2;

/** The bare loop, in a worker: `{url, files, connections}` in, milliseconds out. */
const BARE = `
const result = (request) => new Promise((resolve, reject) => {
  request.onsuccess = () => resolve(request.result);
  request.onerror = () => reject(request.error);
});
onmessage = async ({ data: { url, files, connections } }) => {
  const opening = indexedDB.open("bare");
  opening.onupgradeneeded = () => opening.result.createObjectStore("records");
  const database = await result(opening);
  const began = performance.now();
  const left = [...files];
  const lane = async () => {
    for (let file = left.shift(); file; file = left.shift()) {
      const bytes = await (await fetch(url + file)).arrayBuffer();
      await crypto.subtle.digest("SHA-256", bytes);
      const writing = database.transaction("records", "readwrite");
      writing.objectStore("records").put(bytes, file);
      await new Promise((resolve, reject) => {
        writing.oncomplete = resolve;
        writing.onabort = () => reject(writing.error);
      });
    }
  };
  await Promise.all(Array.from({ length: connections }, lane));
  const millis = performance.now() - began;
  database.close();
  postMessage(millis);
};
`;

const folder = required("TERN_PACKAGE");
const { shards } = JSON.parse(await readFile(join(folder, "manifest.json"), "utf8"));
const files = shards.map(({ file }) => file);
const bytes = shards.reduce((sum, shard) => sum + shard.bytes, 0);
const probe = await mkdtemp(join(tmpdir(), "tern-throughput-"));
await writeFile(join(probe, "index.html"), "<!doctype html><title>throughput</title>");
await writeFile(join(probe, "bare.js"), BARE);
const server = await serve({ "/": required("TERN_DIST"), "/package/": folder, "/probe/": probe });
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
  console.log(`${files.length} shards, ${(bytes / 1e6).toFixed(0)} MB, ${CONNECTIONS} at a time`);
  const rate = (millis) => bytes / 1e3 / millis;
  const say = (what, rates) => console.log(`${what}: ${rates.map((one) => one.toFixed(1)).join(", ")} MB/s`);
  // The first run of a browser also starts its storage.
  await once(bare);
  const rates = { bare: [], app: [] };
  for (let run = 0; run < RUNS; run += 1) {
    rates.bare.push(rate(await once(bare)));
    rates.app.push(rate(await once(app)));
  }
  say("bare loop, no limit", rates.bare);
  say("app, no limit      ", rates.app);
  const share = median(rates.app) / median(rates.bare);
  console.log(`${share >= AIM ? "ok  " : "    "} the app downloads at ${(100 * share).toFixed(0)} % of the bare loop (medians), ${100 * AIM} % are aimed at`);
  const limit = () => server.throttle(LINK);
  const percent = (share) => (100 * share).toFixed(1);
  const used = { bare: [], app: [] };
  for (let run = 0; run < RUNS; run += 1) {
    // What the bare loop leaves unused is the fault of the server, or of a machine that is busy with other things.
    used.bare.push((1e6 * rate(await once(bare, limit))) / LINK);
    used.app.push((1e6 * rate(await once(app, limit))) / LINK);
  }
  console.log(`of ${LINK / 1e6} MB/s the bare loop uses ${used.bare.map(percent).join(", ")} %, the app ${used.app.map(percent).join(", ")} %`);
  const fits = median(used.app) >= LEAST;
  console.log(`${fits ? "ok  " : "FAIL"} a download uses ${percent(median(used.app))} % of the link (median), at least ${100 * LEAST} %`);
  return fits;
}

/** One run in a fresh page, with nothing stored. @returns {Promise<number>} its milliseconds */
async function once(run, before = () => undefined) {
  await browser.navigate(`${server.url}/probe/index.html`);
  await browser.evaluate(`(${forget})()`);
  before();
  const { millis, fault } = await browser.evaluate(`(${run})(${JSON.stringify({ url: `${server.url}/package/`, files, connections: CONNECTIONS })})`);
  server.throttle(undefined);
  // Ends the worker.
  await browser.navigate("about:blank");
  if (fault) throw new Error(fault);
  return millis;
}

function median(values) {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
}

/** In the page: deletes what is stored. */
async function forget() {
  for (const { name } of await indexedDB.databases()) {
    await new Promise((resolve, reject) => {
      const asked = indexedDB.deleteDatabase(name);
      asked.onsuccess = resolve;
      asked.onerror = () => reject(asked.error);
    });
  }
}

/** In the page: the bare loop. */
function bare(task) {
  const worker = new Worker("/probe/bare.js");
  return new Promise((resolve) => {
    worker.onmessage = ({ data }) => resolve({ millis: data });
    worker.onerror = ({ message }) => resolve({ fault: message });
    worker.postMessage(task);
  });
}

/** In the page: the app's worker, from the first request for weights until the last of them is stored. */
function app({ url }) {
  const worker = new Worker("/worker_loader.js", { type: "module" });
  return new Promise((resolve) => {
    let began;
    worker.onmessage = ({ data: [event] }) => {
      if (event.Hello) {
        worker.postMessage([{ Hello: event.Hello }, []]);
        const settings = { version: 1, context: 512, kv: "F16", prefill_chunk: 0, subgroups: true };
        worker.postMessage([{ Load: { id: 1, model_url: url, settings } }, []]);
      }
      const progress = event.Loading?.progress;
      if (progress?.stage === "Download" && progress.shards_total > 0) {
        began ??= performance.now();
        if (progress.shards_done === progress.shards_total) resolve({ millis: performance.now() - began });
      }
      const fault = event.Failed?.fault ?? event.Trap;
      if (fault) resolve({ fault: JSON.stringify(fault) });
    };
    worker.onerror = ({ message }) => resolve({ fault: message });
  });
}
