// Code that runs in the worker before its own: it counts what the worker does with the GPU, crashes the GPU process at exact
// points of the work, and behaves as Safari does where Chromium does not.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { replaceWorker } from "./fake.mjs";
import { DIST } from "./site.mjs";

const CRASH_PATH = "/__crash";
const PLAN_PATH = "/__plan";
/** Asked for by code that does something else than to crash the GPU process. */
const POINT_PATH = "/__point";

/**
 * A point of the work: `{at: "token" | "prefill" | "write", n}` is reached with the nth accepted token of this page, the nth
 * chunk of a prompt behind the last point, the nth write of weights on the newest device.
 *
 * @typedef {{at: string, n: number}} Point
 */

/** Puts the shim in front of the server's worker, and answers it. */
export class Shim {
  #server;
  #browser;
  #plan = [];
  /** What the worker waits for at a point where it does something else than to crash the GPU process. */
  atPoint = undefined;

  /** @param {Server} server @param {Browser} browser @param {string} [extra] more code for the worker */
  static async install(server, browser, extra = "") {
    const shim = new Shim();
    shim.#server = server;
    shim.#browser = browser;
    const own = await readFile(join(DIST, "worker_loader.js"), "utf8");
    replaceWorker(server, `${await readFile(new URL("fake/shim.js", import.meta.url), "utf8")}\n${extra}\n${own}`);
    server.plan((request) => shim.#answer(request));
    return shim;
  }

  /** Plans where the GPU process is crashed, in order. Workers that are started later know what is left. */
  plan(points) {
    this.#plan = [...points];
  }

  /** Points that were not reached yet. */
  get left() {
    return this.#plan.length;
  }

  #answer({ path }) {
    if (path === PLAN_PATH) return { status: 200, headers: { "Content-Type": "application/json" }, body: JSON.stringify(this.#plan) };
    if (path !== CRASH_PATH && path !== POINT_PATH) return undefined;
    this.#plan.shift();
    if (path === POINT_PATH) return { status: 204, until: this.atPoint?.() };
    return { status: 204, until: this.#browser.crashGpuProcess() };
  }

  remove() {
    replaceWorker(this.#server, undefined);
    this.#server.plan(undefined);
  }
}
