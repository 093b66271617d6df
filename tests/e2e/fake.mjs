// The scripted worker (fake/worker.js) in place of the real one: for what a model says that no model says on demand, and for
// states that are hard to reach.
import { readFile } from "node:fs/promises";
import { launch } from "./browser.mjs";
import { serveSite } from "./site.mjs";

const URL_OF_MODEL = "http://127.0.0.1/models/tern-135m/";
const MEGABYTE = 1_000_000;

/** What a device was granted, in the order of browsers. */
function limits(others = {}) {
  const granted = {
    maxBindGroups: 4,
    maxBindingsPerBindGroup: 1000,
    maxStorageBuffersPerShaderStage: 10,
    maxStorageBufferBindingSize: 2_147_483_644,
    maxBufferSize: 2_147_483_648,
    maxComputeWorkgroupStorageSize: 32_768,
    maxComputeInvocationsPerWorkgroup: 1024,
    maxComputeWorkgroupsPerDimension: 65_535,
  };
  return Object.entries({ ...granted, ...others }).map(([name, value]) => ({ name, value }));
}

/** What the scripted worker says unless a spec says otherwise. The names are those of crates/protocol. */
export const DEFAULTS = {
  /** Milliseconds between two pieces of an answer, and between two events of a download. */
  paceMillis: 0,
  loadMillis: 0,
  /** Answers by question, and to every other question. */
  answers: {},
  answer: "The capital of France is Paris.",
  /** Number of the piece before which an answer waits for `fake.release()` or a cancel; likewise the end of a load. */
  holdAfter: undefined,
  holdLoad: false,
  /** Holds the end of a benchmark likewise. */
  holdBenchmark: false,
  /** Holds the end of a download for later, or of a check, likewise. */
  holdWork: false,
  /** Faults: of Inspect, of Load, of DescribeDevice, and of an answer before the piece `failAfter`. */
  inspectFault: undefined,
  loadFault: undefined,
  /** Faults of the first loads of a worker, `null` for one that goes well. */
  loadFaults: undefined,
  deviceFault: undefined,
  failAfter: undefined,
  answerFault: undefined,
  /** How many messages are left out of each prompt. */
  trimmed: 0,
  /** A worker that gives no sign of life. */
  silent: false,
  offer: {
    model_url: URL_OF_MODEL,
    name: "tern-135m",
    license: "Apache-2.0",
    download_bytes: 47 * MEGABYTE,
    stored_bytes: 47 * MEGABYTE,
    complete: true,
    max_context: 8192,
    weight_bytes: 50 * MEGABYTE,
    context: 4096,
    kv_bytes: 94 * MEGABYTE,
    kv_at: [{ context: 2048, bytes: 47 * MEGABYTE }, { context: 4096, bytes: 94 * MEGABYTE }, { context: 8192, bytes: 188 * MEGABYTE }],
    other_bytes: 20 * MEGABYTE,
    fit: "Fits",
    missing_bytes: 0,
    precisions: [],
    storage: "Durable",
  },
  model: {
    name: "tern-135m",
    license: "Apache-2.0",
    continues_text: false,
    context: 4096,
    sampling: null,
    weight_bytes: 50 * MEGABYTE,
    kv_bytes: 94 * MEGABYTE,
    activation_bytes: 20 * MEGABYTE,
    load_millis: 900,
    self_test: { variant: "packed-shared", kv: "F16", millis: 28.1, dropped: [], inexact: null },
    cached: true,
  },
  device: {
    adapter: { vendor: "apple", architecture: "metal-3", device: "", description: "Apple M4 GPU", is_fallback: false },
    adapter_features: ["depth-clip-control", "float32-filterable", "shader-f16", "subgroups", "timestamp-query"],
    device_features: ["shader-f16", "subgroups", "timestamp-query"],
    language_features: ["packed_4x8_integer_dot_product", "pointer_composite_access", "readonly_and_readwrite_storage_textures"],
    adapter_limits: limits({ maxBufferSize: 4_294_967_296 }),
    limits: limits(),
    engine: "Apple M4 GPU (BrowserWebGpu, Other), kernels packed-shared",
    variant: "packed-shared",
    is_tuned: false,
    generation: 1,
  },
  selfTest: { variant: "packed-shared", kv: "F16", millis: 31.4, dropped: [], inexact: null },
  benchmark: {
    model: "tern-135m",
    is_made_up: false,
    weight_bytes: 50 * MEGABYTE,
    prefill_tokens: 500,
    prefill_millis: 2000,
    decode_tokens: 60,
    decode_millis: 3000,
  },
  details: {
    model_url: URL_OF_MODEL,
    name: "tern-135m",
    license: "Apache-2.0",
    kind: "huggingface-packed",
    revision: "0123456789abcdef0123456789abcdef01234567",
    sources: [
      { name: "config.json", bytes: 743, sha256: "be2f846e66edf581fefb4dd0c776d48829c7cb4b91aeb2de17b6b644b8ad3322", origin: "Computed" },
      { name: "model.safetensors", bytes: 83_421_980, sha256: "b46001b40fc3af10eb44a0a4dd8229f5bc3e0a37a0136b39f4549d395e335de4", origin: "Published" },
    ],
    shape: { family: "bitnet", layers: 30, hidden: 576, ffn: 1536, heads: 9, kv_heads: 3, head_dim: 64, vocab: 49_152, context: 8192, tied: true },
    parts: { codes: 27 * MEGABYTE, tables: 15 * MEGABYTE, norms: 300_000, tokenizer: 3_522_656 },
    memory: [2048, 4096, 8192].map((context) => ({ context, weight_bytes: 50 * MEGABYTE, kv_bytes: 23_040 * context })),
    files: ["manifest.json", "00000.bin", "00001.bin", "00002.bin", "tokenizer.json"].map((name) => ({
      name, bytes: 8 * MEGABYTE, sha256: "7d27c493c729a66ecefc837280b05d948b1ed50d130eebdbf911b1b36cf38ed7", is_stored: true,
    })),
    complete: true,
  },
  verified: { files: 7, bytes: 47 * MEGABYTE, repaired: ["00001.bin"], broken: [], fault: null },
  storage: {
    models: [{ model_url: URL_OF_MODEL, name: "tern-135m", stored_bytes: 47 * MEGABYTE, total_bytes: 47 * MEGABYTE, shards: 6, complete: true }],
    usage_bytes: 52 * MEGABYTE,
    quota_bytes: 64_000 * MEGABYTE,
    state: "Durable",
  },
};

/** The offer of a first visit. */
export const FIRST_VISIT = { ...DEFAULTS.offer, stored_bytes: 0, complete: false };

let hello;

/** How the real worker of this build greets: page and worker compare their builds. */
async function realHello() {
  if (hello) return hello;
  const server = await serveSite();
  const browser = await launch({ gpu: "none" });
  try {
    const page = await browser.newPage();
    await page.goto(`${server.url}/manifest.webmanifest`);
    const message = await page.evaluate(
      (url) =>
        new Promise((resolve, reject) => {
          const worker = new Worker(url, { type: "module" });
          worker.onmessage = ({ data }) => resolve(data[0]);
          worker.onerror = () => reject(new Error("the worker did not start"));
        }),
      `${server.url}/worker_loader.js`,
    );
    hello = message.Hello;
  } finally {
    await browser.close();
    await server.close();
  }
  return hello;
}

/** The scripted worker's source. */
export async function fakeWorker(script = {}) {
  const source = await readFile(new URL("fake/worker.js", import.meta.url), "utf8");
  const whole = { ...DEFAULTS, hello: await realHello(), ...script };
  return source.replace('"__SCRIPT__"', () => JSON.stringify(whole));
}

/** Serves the built site with the scripted worker. */
export async function serveFake(script) {
  const server = await serveSite();
  replaceWorker(server, await fakeWorker(script));
  return server;
}

/**
 * Has the server give this text for the worker, and a service worker that keeps nothing: the real one takes only files that
 * the build made.
 */
export function replaceWorker(server, text) {
  server.replace("/worker_loader.js", text);
  server.replace("/sw.js", text === undefined ? undefined : "// Keeps nothing.\n");
}

/** Runs code in the page's scripted worker. */
export async function inFake(page, code, argument) {
  const worker = page.workers().find((candidate) => candidate.url().endsWith("worker_loader.js"));
  if (!worker) throw new Error("the page has no worker");
  return worker.evaluate(code, argument);
}
