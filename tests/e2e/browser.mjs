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
// Nothing but this machine can be reached. What a page tries all the same is seen by its watcher (watch.mjs).
const ALONE = ["--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost"];
const ADAPTERS = {
  lavapipe: ["--use-webgpu-adapter=swiftshader", "--enable-unsafe-webgpu"],
  swiftshader: ["--use-webgpu-adapter=swiftshader", "--enable-unsafe-webgpu"],
  own: ["--enable-unsafe-webgpu"],
  // Without the flags Chromium offers no CPU adapter: the API is there and gives null.
  none: [],
};

/** What computes WebGPU in this run: `lavapipe`, `swiftshader` or `own`. */
export const GPU = required("TERN_BROWSER_GPU");

/** Program, arguments and environment of Chromium with the adapter `gpu` and its files below `home`. */
export function startOptions(gpu, home, limitCrashes = false) {
  const lavapipe = gpu === "lavapipe";
  return {
    executablePath: required(lavapipe || gpu === "own" ? "TERN_BROWSER" : "TERN_BROWSER_PLAIN"),
    args: [...QUIET, ...(limitCrashes ? [] : CRASHES), ...ALONE, ...ADAPTERS[gpu]],
    env: { ...process.env, HOME: home, ...(lavapipe ? JSON.parse(required("TERN_BROWSER_ENV")) : {}) },
    headless: true,
    timeout: 120_000,
  };
}

/**
 * Starts Chromium without a profile: each context begins empty.
 *
 * @param {{gpu?: "lavapipe" | "swiftshader" | "own" | "none", limitCrashes?: boolean}} [options] the adapter to offer, by
 *   default this run's; `limitCrashes`: with Chromium's own limit on crashes of its GPU process
 * @returns {Promise<Browser>} playwright's browser with two more functions: `crashGpuProcess()`, and `close()` also
 *   removes its files
 */
export async function launch({ gpu = GPU, limitCrashes = false } = {}) {
  const home = await mkdtemp(join(tmpdir(), "tern-chromium-"));
  const browser = await chromium.launch(startOptions(gpu, home, limitCrashes));
  const close = browser.close.bind(browser);
  browser.close = async () => {
    await close();
    await rm(home, { recursive: true, force: true });
  };
  browser.crashGpuProcess = async () => {
    const session = await browser.newBrowserCDPSession();
    // The process dies before it can answer, so the answer may be an error.
    await session.send("Browser.crashGpuProcess").catch(() => undefined);
    await session.detach().catch(() => undefined);
  };
  return browser;
}

/** A person's browser: what is stored stays when it is closed and opened again. */
export class Profile {
  #home;
  #context;

  static async create() {
    const profile = new Profile();
    profile.#home = await mkdtemp(join(tmpdir(), "tern-profile-"));
    return profile;
  }

  /**
   * Opens the browser.
   *
   * @param {object} [options] `gpu` as for {@link launch}; everything else goes to playwright's persistent context
   * @returns {Promise<BrowserContext>}
   */
  async open({ gpu = GPU, ...options } = {}) {
    const start = { ...startOptions(gpu, this.#home), acceptDownloads: true, ...options };
    this.#context = await chromium.launchPersistentContext(join(this.#home, "profile"), start);
    return this.#context;
  }

  /** Closes the browser; the profile stays. */
  async quit() {
    await this.#context?.close();
    this.#context = undefined;
  }

  /** Ends the browser without a word, as a system does that is short of memory; the profile stays. */
  async kill() {
    const [page] = this.#context.pages();
    const session = await this.#context.newCDPSession(page);
    const closed = this.#context.waitForEvent("close");
    // It dies before it can answer.
    session.send("Browser.crash").catch(() => undefined);
    await closed;
    this.#context = undefined;
  }

  /** Closes the browser and removes the profile. */
  async remove() {
    await this.quit();
    // Chromium's last processes may still be writing when its window is gone.
    await rm(this.#home, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  }
}

/** A variable that `cargo xtask e2e` sets. */
export function required(name) {
  const value = process.env[name];
  if (value === undefined) throw new Error(`${name} is not set: run the specs with \`cargo xtask e2e\``);
  return value;
}
