// Chromium for the specs, as `cargo xtask e2e` found or prepared it.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";

const QUIET = [
  "--no-sandbox",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--disable-default-apps",
  "--disable-dev-shm-usage",
];
// The specs crash the GPU process on purpose; Chromium must not answer by taking the GPU away for good.
const CRASHES = ["--disable-domain-blocking-for-3d-apis", "--disable-gpu-process-crash-limit"];
const ADAPTERS = {
  lavapipe: ["--use-webgpu-adapter=swiftshader", "--enable-unsafe-webgpu"],
  swiftshader: ["--use-webgpu-adapter=swiftshader", "--enable-unsafe-webgpu"],
  own: ["--enable-unsafe-webgpu"],
  // Without the flags Chromium offers no CPU adapter: the API is there and gives null.
  none: [],
};

/** What computes WebGPU in this run: `lavapipe`, `swiftshader` or `own`. */
export const GPU = required("TERN_BROWSER_GPU");

/**
 * Starts Chromium.
 *
 * @param {{gpu?: "lavapipe" | "swiftshader" | "own" | "none"}} [options] the adapter to offer, by default this run's
 * @returns {Promise<Browser>} playwright's browser with two more functions: `crashGpuProcess()`, and `close()` also
 *   removes the profile
 */
export async function launch({ gpu = GPU } = {}) {
  const lavapipe = gpu === "lavapipe";
  const profile = await mkdtemp(join(tmpdir(), "tern-chromium-"));
  const env = { ...process.env, HOME: profile, ...(lavapipe ? JSON.parse(required("TERN_BROWSER_ENV")) : {}) };
  const browser = await chromium.launch({
    executablePath: required(lavapipe || gpu === "own" ? "TERN_BROWSER" : "TERN_BROWSER_PLAIN"),
    args: [...QUIET, ...CRASHES, ...ADAPTERS[gpu]],
    env,
    headless: true,
    timeout: 120_000,
  });
  const close = browser.close.bind(browser);
  browser.close = async () => {
    await close();
    await rm(profile, { recursive: true, force: true });
  };
  browser.crashGpuProcess = async () => {
    const session = await browser.newBrowserCDPSession();
    // The process dies before it can answer, so the answer may be an error.
    await session.send("Browser.crashGpuProcess").catch(() => undefined);
    await session.detach().catch(() => undefined);
  };
  return browser;
}

/** A variable that `cargo xtask e2e` sets. */
export function required(name) {
  const value = process.env[name];
  if (value === undefined) throw new Error(`${name} is not set: run the specs with \`cargo xtask e2e\``);
  return value;
}
