// Serves folders over HTTP for the specs: files with ranges, as a plain static host would, and faults on demand.
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { createServer } from "node:http";
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

/**
 * Starts a server on a free port of this machine.
 *
 * @param {Record<string, string>} mounts path prefix (`"/"`, `"/models/g256/"`) to folder; the longest prefix wins
 * @param {(request: {method: string, path: string, count: number}) => Fault | undefined} [fault] asked before each answer;
 *   `count` is how often this path was asked for before. Faults: `{status, body?, headers?}` answers instead,
 *   `{cutAt: n}` closes the connection after n bytes, `{flipAt: n}` changes one byte, `{delay: ms}` waits first,
 *   `{ignoreRange: true}` answers 200 with everything.
 * @returns {Promise<{url: string, requests: {method: string, path: string, range?: string}[], close: () => Promise<void>}>}
 */
export async function serve(mounts, fault = () => undefined) {
  const prefixes = Object.keys(mounts).sort((a, b) => b.length - a.length);
  const requests = [];
  const server = createServer((request, response) => {
    answer(request, response).catch((error) => {
      if (!response.headersSent) response.writeHead(500);
      response.end(String(error));
    });
  });

  async function answer(request, response) {
    const path = decodeURIComponent(new URL(request.url, "http://localhost").pathname);
    const count = requests.filter((earlier) => earlier.path === path).length;
    requests.push({ method: request.method, path, range: request.headers.range });
    const planned = fault({ method: request.method, path, count }) ?? {};
    if (planned.delay) await new Promise((resolve) => setTimeout(resolve, planned.delay));
    if (planned.status) {
      response.writeHead(planned.status, planned.headers ?? { "Content-Type": "text/plain" });
      response.end(planned.body ?? "");
      return;
    }
    if (request.method !== "GET" && request.method !== "HEAD") {
      response.writeHead(405, { Allow: "GET, HEAD" }).end();
      return;
    }
    const file = await find(path);
    if (!file) {
      response.writeHead(404, { "Content-Type": "text/plain" }).end("not found");
      return;
    }
    send(file, request, response, planned);
  }

  async function find(path) {
    const prefix = prefixes.find((candidate) => path.startsWith(candidate));
    if (!prefix) return undefined;
    const folder = mounts[prefix];
    const name = path.endsWith("/") ? `${path}index.html` : path;
    const file = normalize(join(folder, name.slice(prefix.length)));
    if (!file.startsWith(normalize(folder + sep))) return undefined;
    const info = await stat(file).catch(() => undefined);
    return info?.isFile() ? { path: file, size: info.size } : undefined;
  }

  await new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", resolve);
  });
  const close = () =>
    new Promise((resolve) => {
      server.close(resolve);
      server.closeAllConnections();
    });
  return { url: `http://127.0.0.1:${server.address().port}`, requests, close };
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
  if (planned.cutAt === undefined && planned.flipAt === undefined) {
    stream.pipe(response);
    return;
  }
  let sent = 0;
  stream.on("data", (chunk) => {
    if (planned.flipAt !== undefined && planned.flipAt >= sent && planned.flipAt < sent + chunk.length) {
      chunk[planned.flipAt - sent] ^= 0x10;
    }
    if (planned.cutAt !== undefined && sent + chunk.length >= planned.cutAt) {
      stream.destroy();
      response.write(chunk.subarray(0, planned.cutAt - sent), () => response.destroy());
      return;
    }
    sent += chunk.length;
    response.write(chunk);
  });
  stream.on("end", () => response.end());
}
