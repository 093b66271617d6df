// The test server (crates/faults) as the specs use it: started here, told over its standard input what to do wrong, asked
// over its output about every request.
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { required } from "./browser.mjs";

/** Headers of scripts that are served in place of files. */
const SCRIPT = { "Content-Type": "text/javascript; charset=utf-8", "Cache-Control": "no-store" };

/** What a network that wants a person to log in first answers, whatever was asked for. */
export const PORTAL = {
  status: 200,
  headers: { "Content-Type": "text/html; charset=utf-8" },
  body: "<!doctype html><title>Welcome</title><p>Please accept the terms to use this network.</p>",
};

/**
 * Starts a server on a free port of this machine.
 *
 * @param {Record<string, string>} mounts path prefix (`"/"`, `"/models/g256/"`) to folder; the longest prefix wins
 * @param {(request: {method: string, path: string, query?: string, headers: object, count: number}) => Fault | undefined}
 *   [fault] asked before each answer; `count` is how often this path was asked for before. A fault has the fields of `Fault`
 *   in crates/faults/src/plan.rs, in camel case (`{cutAt: n}`, `{status, body, headers}`, `{ignoreRange: true}`), and
 *   `{until: promise}`, which waits for that first.
 * @param {{base?: string, repositories?: Record<string, {folder: string, license?: string, gated?: boolean}>}} [options]
 *   `base`: a path like `"/some/where/"` below which everything lies, as on project pages; `repositories`: what is served as
 *   the Hugging Face hub serves it, by `owner/name`
 * @returns {Promise<Server>}
 */
export async function serve(mounts, fault, { base = "/", repositories = {} } = {}) {
  const server = new Server(fault, base.endsWith("/") ? base : `${base}/`);
  await server.open(mounts, repositories);
  return server;
}

class Server {
  #program;
  #ended;
  #base;
  #port;
  #storePort;
  #fault;
  #isClosed = false;
  #replaced = new Map();
  #byId = new Map();
  /** Resolvers of the commands that are not done yet, in order. */
  #commands = [];

  constructor(fault, base) {
    this.#base = base;
    this.plan(fault);
    /**
     * Everything that was asked for, in order; paths are below the base, `at` is in milliseconds. `bytes` (of the body that
     * the system took for sending) and `whole` (the answer went out as planned) are there when it is over.
     *
     * @type {{at: number, method: string, path: string, query?: string, range?: string, mode?: string, bytes?: number, whole?: boolean}[]}
     */
    this.requests = [];
    /** First lines of what was asked for while the server was stopped. */
    this.missed = [];
  }

  /** Address of the base, without a slash at the end. */
  get url() {
    return this.origin + this.#base.replace(/\/$/, "");
  }

  get origin() {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** Where the large files of repositories come from, below `/store/`. */
  get storeOrigin() {
    return `http://127.0.0.1:${this.#storePort}`;
  }

  /** Starts the program. */
  async open(mounts, repositories) {
    this.#program = spawn(required("TERN_FAULTS"), { stdio: ["pipe", "pipe", "inherit"] });
    // Its end says more than the pipe that it leaves.
    this.#program.stdin.on("error", () => undefined);
    this.#ended = new Promise((resolve, reject) => {
      this.#program.once("error", reject);
      this.#program.once("exit", (code, signal) => {
        if (this.#isClosed) resolve();
        else reject(new Error(`the test server ended by itself (${signal ?? code})`));
      });
    });
    const listening = new Promise((resolve) => {
      const lines = createInterface({ input: this.#program.stdout });
      lines.on("line", (line) => this.#hear(JSON.parse(line), resolve));
    });
    this.#tell({ base: this.#base, mounts, repositories });
    const { port, storePort } = await Promise.race([listening, this.#ended]);
    [this.#port, this.#storePort] = [port, storePort];
  }

  /** Answers again, on the same port as before. */
  async start() {
    await this.#command({ down: false });
  }

  /** Answers nobody any more. The port stays ours: who comes is noted in `missed` and cut off. */
  async stop() {
    await this.#command({ down: true });
  }

  async close() {
    this.#isClosed = true;
    this.#program.stdin.end();
    await this.#ended;
  }

  /** Serves another folder at a prefix from now on. */
  mount(prefix, folder) {
    // Replies go the same way, so no request that is decided from now on can overtake this.
    this.#command({ mount: { prefix, folder } });
  }

  /** Another version of a repository from now on; the ones before it stay, by their commits. */
  publish(name, repository) {
    this.#command({ publish: { name, repository } });
  }

  /** Limits all connections together to so many bytes a second; `undefined` = not at all. */
  throttle(bytesPerSecond) {
    this.#command({ throttle: { bytesPerSecond: bytesPerSecond ?? null } });
  }

  /** Plans other faults from now on. */
  plan(fault) {
    this.#fault = fault ?? (() => undefined);
  }

  /** Answers a path with this script from now on; `undefined` = with its file again. Planned faults befall it too. */
  replace(path, script) {
    if (script === undefined) this.#replaced.delete(path);
    else this.#replaced.set(path, { status: 200, headers: SCRIPT, body: script });
  }

  /** How often paths that `matches` accepts were asked for. */
  count(matches) {
    return this.requests.filter(({ path }) => matches(path)).length;
  }

  #tell(message) {
    this.#program.stdin.write(`${JSON.stringify(message)}\n`);
  }

  /** Resolves when it is done. */
  #command(message) {
    const done = new Promise((resolve) => this.#commands.push(resolve));
    this.#tell(message);
    return Promise.race([done, this.#ended]);
  }

  #hear({ listening, asked, sent, missed, done }, opened) {
    if (listening) opened(listening);
    // A fault that can't be planned or told is a mistake of the spec, which fails by this rejection.
    if (asked) this.#decide(asked);
    if (sent) Object.assign(this.#byId.get(sent.id), { bytes: sent.bytes, whole: sent.whole });
    if (missed !== undefined) this.missed.push(missed);
    if (done) this.#commands.shift()();
  }

  async #decide({ id, method, path, query, headers }) {
    const count = this.count((earlier) => earlier === path);
    const request = { at: performance.now(), method, path, query, range: headers.range, mode: headers["sec-fetch-mode"] };
    this.requests.push(request);
    this.#byId.set(id, request);
    const { until, ...fault } = { ...this.#replaced.get(path), ...this.#fault({ method, path, query, headers, count }) };
    await until;
    this.#tell({ reply: { id, fault } });
  }
}
