// Serves folders over HTTP for the specs: files with ranges, as a plain static host would, and faults on demand.
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { createServer } from "node:http";
import { createServer as createSocketServer } from "node:net";
import { extname, join, normalize, sep } from "node:path";

const TYPES = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".wasm": "application/wasm",
  ".json": "application/json",
  ".webmanifest": "application/manifest+json",
  ".svg": "image/svg+xml",
  ".png": "image/png",
};

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
 * @param {(request: {method: string, path: string, count: number}) => Fault | undefined} [fault] asked before each answer;
 *   `count` is how often this path was asked for before. Faults: `{status, body?, headers?}` answers instead,
 *   `{cutAt: n}` closes the connection after n bytes, `{stallAt: n}` sends nothing more after n bytes and keeps the
 *   connection, `{flipAt: n}` changes one byte, `{delay: ms}` waits first, `{until: promise}` waits for that, `{pace: ms}` waits before each piece of at
 *   most 64 KiB, `{ignoreRange: true}` answers 200 with everything.
 * @param {{base?: string}} [options] `base`: a path like `"/some/where/"` below which everything lies, as on project pages
 * @returns {Promise<Server>}
 */
export async function serve(mounts, fault, options = {}) {
  const server = new Server(mounts, fault, options);
  await server.start();
  return server;
}

export class Server {
  #http;
  #down;
  #port = 0;
  #fault;
  #mounts;
  #base;
  #replaced = new Map();

  constructor(mounts, fault = () => undefined, { base = "/" } = {}) {
    this.#mounts = { ...mounts };
    this.#fault = fault;
    this.#base = base;
    /** Everything that was asked for, in order: `{method, path, range?, mode?}`; paths are below the base. */
    this.requests = [];
    /** First lines of what was asked for while the server was stopped. */
    this.missed = [];
  }

  /** Address of the base, without a slash at the end. */
  get url() {
    return `http://127.0.0.1:${this.#port}${this.#base.replace(/\/$/, "")}`;
  }

  get origin() {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** Listens, on the same port as before if there was one. */
  async start() {
    await this.#close(this.#down);
    this.#down = undefined;
    this.#http = createServer((request, response) => {
      this.#answer(request, response).catch((error) => {
        if (!response.headersSent) response.writeHead(500);
        response.end(String(error));
      });
    });
    await listen(this.#http, this.#port);
    this.#port = this.#http.address().port;
  }

  /** Answers nobody any more. The port stays ours: who comes is noted in `missed` and cut off. */
  async stop() {
    await this.#close(this.#http);
    this.#http = undefined;
    this.#down = createSocketServer((socket) => {
      socket.on("error", () => undefined);
      socket.once("data", (bytes) => {
        this.missed.push(bytes.toString("latin1").split("\r\n", 1)[0]);
        socket.destroy();
      });
    });
    await listen(this.#down, this.#port);
  }

  async close() {
    await this.#close(this.#http);
    await this.#close(this.#down);
  }

  async #close(server) {
    if (!server) return;
    await new Promise((resolve) => {
      server.close(resolve);
      server.closeAllConnections?.();
    });
  }

  /** Serves another folder at a prefix from now on. */
  mount(prefix, folder) {
    this.#mounts[prefix] = folder;
  }

  /** Plans other faults from now on. */
  plan(fault) {
    this.#fault = fault ?? (() => undefined);
  }

  /** Answers a path with this text from now on; `undefined` = with its file again. */
  replace(path, text) {
    if (text === undefined) this.#replaced.delete(path);
    else this.#replaced.set(path, text);
  }

  /** How often paths that `matches` accepts were asked for. */
  count(matches) {
    return this.requests.filter(({ path }) => matches(path)).length;
  }

  async #answer(request, response) {
    const full = decodeURIComponent(new URL(request.url, "http://localhost").pathname);
    if (!full.startsWith(this.#base)) {
      response.writeHead(404, { "Content-Type": "text/plain" }).end("not found");
      return;
    }
    const path = `/${full.slice(this.#base.length)}`;
    const count = this.count((earlier) => earlier === path);
    const { range, "sec-fetch-mode": mode } = request.headers;
    this.requests.push({ method: request.method, path, range, mode });
    const planned = this.#fault({ method: request.method, path, count }) ?? {};
    if (planned.delay) await sleep(planned.delay);
    await planned.until;
    if (planned.status) {
      response.writeHead(planned.status, planned.headers ?? { "Content-Type": "text/plain" });
      response.end(planned.body ?? "");
      return;
    }
    if (request.method !== "GET" && request.method !== "HEAD") {
      response.writeHead(405, { Allow: "GET, HEAD" }).end();
      return;
    }
    if (this.#replaced.has(path)) {
      response.writeHead(200, { "Content-Type": TYPES[extname(path)] ?? "text/plain", "Cache-Control": "no-store" });
      response.end(this.#replaced.get(path));
      return;
    }
    const file = await this.#find(path);
    if (!file) {
      response.writeHead(404, { "Content-Type": "text/plain" }).end("not found");
      return;
    }
    send(file, request, response, planned);
  }

  async #find(path) {
    const prefixes = Object.keys(this.#mounts).sort((a, b) => b.length - a.length);
    const prefix = prefixes.find((candidate) => path.startsWith(candidate));
    if (!prefix) return undefined;
    const folder = this.#mounts[prefix];
    const name = path.endsWith("/") ? `${path}index.html` : path;
    const file = normalize(join(folder, name.slice(prefix.length)));
    if (!file.startsWith(normalize(folder + sep))) return undefined;
    const info = await stat(file).catch(() => undefined);
    return info?.isFile() ? { path: file, size: info.size } : undefined;
  }
}

function listen(server, port) {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, "127.0.0.1", resolve);
  });
}

function sleep(millis) {
  return new Promise((resolve) => setTimeout(resolve, millis));
}

function send(file, request, response, planned) {
  const headers = {
    "Content-Type": TYPES[extname(file.path)] ?? "application/octet-stream",
    "Cache-Control": "no-store",
    "Accept-Ranges": "bytes",
  };
  let [start, end] = [0, file.size];
  const range = /^bytes=(\d+)-(\d*)$/.exec(planned.ignoreRange ? "" : (request.headers.range ?? ""));
  if (range) {
    start = Number(range[1]);
    end = Math.min(range[2] === "" ? file.size : Number(range[2]) + 1, file.size);
    if (start >= file.size) {
      response.writeHead(416, { "Content-Range": `bytes */${file.size}` }).end();
      return;
    }
    headers["Content-Range"] = `bytes ${start}-${end - 1}/${file.size}`;
  }
  headers["Content-Length"] = end - start;
  response.writeHead(range ? 206 : 200, headers);
  if (request.method === "HEAD" || end === start) {
    response.end();
    return;
  }
  const stream = createReadStream(file.path, { start, end: end - 1 });
  stream.on("error", () => response.destroy());
  response.on("close", () => stream.destroy());
  if (["cutAt", "stallAt", "flipAt", "pace"].every((name) => planned[name] === undefined)) {
    stream.pipe(response);
    return;
  }
  sendWithFault(stream, response, planned).catch(() => response.destroy());
}

async function sendWithFault(stream, response, { cutAt, stallAt, flipAt, pace }) {
  let sent = 0;
  for await (const chunk of stream) {
    if (pace !== undefined) await sleep(pace);
    if (flipAt !== undefined && flipAt >= sent && flipAt < sent + chunk.length) chunk[flipAt - sent] ^= 0x10;
    const limit = cutAt ?? stallAt;
    if (limit !== undefined && sent + chunk.length >= limit) {
      const last = chunk.subarray(0, limit - sent);
      if (cutAt === undefined) response.write(last);
      else response.write(last, () => response.destroy());
      return;
    }
    sent += chunk.length;
    response.write(chunk);
  }
  response.end();
}
