// Tern's service worker: keeps the app's shell, so that the app opens without a network.
//
// The shell is every file the build made, except the model packages. Those never pass through here: the app's own worker
// keeps them in IndexedDB, and a weight file answered from here would be held in memory twice.
//
// One version of the shell is one cache. It is filled completely, each file checked against the SHA-256 that the build
// wrote down, or not at all, and the version before it stays in use until the new one takes over: when a page asks for it
// (SKIP_WAITING), or when no page is open any more.

// The build (`cargo xtask dist`) replaces this line. `files`: path to SHA-256; `policies`: path to Content-Security-Policy.
const SHELL = { version: "unbuilt", files: {}, policies: {} };

/** The file whose policy the person can widen: the app's worker, which alone fetches models. */
const WORKER = "worker_loader.js";
/** Most hosts that can be allowed: their names travel in a header. */
const MAX_HOSTS = 32;
/**
 * An origin that can be allowed: https and a plain host name, or this device itself. Nothing else may ever get into a policy:
 * no other scheme, no wildcard, no space, quote, semicolon or comma. `Origin` in crates/protocol/src/host.rs says the same.
 */
const ORIGIN =
  /^(?:https:\/\/[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?)*|http:\/\/(?:localhost|127\.0\.0\.1))(?::[1-9][0-9]{0,4})?$/;

/** This file lies beside index.html, so its folder is the app's scope, at the root of a host or below it. */
const SCOPE = new URL("./", self.location);
/** Caches belong to the whole origin, which several apps may share (project pages do): the scope is part of the name. */
const CACHES_OF_THIS_APP = `tern-shell ${SCOPE.pathname} `;
const CACHE = CACHES_OF_THIS_APP + SHELL.version;
/** Where the page keeps the hosts that the person has allowed, whatever the version: a JSON list of origins in this cache. */
const HOSTS_CACHE = `tern-hosts ${SCOPE.pathname}`;
const HOSTS_LIST = new URL("allowed-hosts", SCOPE).href;
/** The name of index.html. Some hosts redirect the long name to this one, and a redirect can't answer a navigation. */
const PAGE = "./";

self.addEventListener("install", (event) => event.waitUntil(Promise.all([install(), askNobodyElse(event)])));
self.addEventListener("activate", (event) => event.waitUntil(activate()));
self.addEventListener("message", (event) => {
  if (event.data === "SKIP_WAITING") event.waitUntil(self.skipWaiting());
});
self.addEventListener("fetch", (event) => {
  const path = pathInScope(event.request);
  if (path === undefined || path.startsWith("models/")) return;
  const name = path === "" || path === "index.html" ? PAGE : path;
  if (Object.hasOwn(SHELL.files, name)) event.respondWith(fromShell(name, event.request));
  else if (event.request.mode === "navigate") event.respondWith(fromNetworkOrToPage(event.request));
});

/** Fetches and checks everything first, then stores it: a shell with a hole is worse than none. */
async function install() {
  try {
    const checked = await Promise.all(Object.keys(SHELL.files).map(async (name) => [name, await obtain(name)]));
    const cache = await caches.open(CACHE);
    await Promise.all(checked.map(([name, response]) => cache.put(name, response)));
  } catch (error) {
    await caches.delete(CACHE);
    throw error;
  }
}

/**
 * Chromium asks the server for a page while it also starts this worker, and takes what comes first. The shell is here, so
 * that would be a request for nothing with every start: this says to wait for the worker.
 */
async function askNobodyElse(event) {
  await event.addRoutes?.({ condition: { requestMode: "navigate" }, source: "fetch-event" });
}

/** Removes the versions before this one, and serves the pages that are open already. */
async function activate() {
  const names = await caches.keys();
  const old = names.filter((name) => name.startsWith(CACHES_OF_THIS_APP) && name !== CACHE);
  await Promise.all(old.map((name) => caches.delete(name)));
  // A first visit would otherwise have to be repeated before its worker could be replaced offline.
  await self.clients.claim();
}

/**
 * A file of the shell with exactly the bytes that the build made. An older version's copy will do if the file has not
 * changed; then the browser's own cache, which the server is asked about; last the server past every cache.
 */
async function obtain(name) {
  const sources = [
    () => caches.match(name),
    () => fetch(name, { cache: "no-cache", credentials: "same-origin" }),
    () => fetch(name, { cache: "reload", credentials: "same-origin" }),
  ];
  for (const source of sources) {
    const response = await source();
    if (!response?.ok) continue;
    const body = await response.arrayBuffer();
    if ((await sha256(body)) === SHELL.files[name]) return new Response(body, { headers: headers(name, response) });
  }
  throw new Error(`${name} is not the file that version ${SHELL.version} was built with`);
}

/** The headers to keep: the body is no longer compressed and no longer a redirect's, and hosts without `_headers` send no policy. */
function headers(name, response) {
  const headers = new Headers({
    "Content-Type": response.headers.get("Content-Type") ?? "application/octet-stream",
    "X-Content-Type-Options": "nosniff",
  });
  if (Object.hasOwn(SHELL.policies, name)) headers.set("Content-Security-Policy", SHELL.policies[name]);
  return headers;
}

async function sha256(bytes) {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** The request's path below the scope; undefined if it is none of ours. */
function pathInScope(request) {
  const { origin, pathname } = new URL(request.url);
  const ours = request.method === "GET" && origin === SCOPE.origin && pathname.startsWith(SCOPE.pathname);
  return ours ? pathname.slice(SCOPE.pathname.length) : undefined;
}

/** A file of this version. The network is asked only if the browser has thrown the cache away. */
async function fromShell(name, request) {
  const response = (await caches.match(name, { cacheName: CACHE })) ?? (await fetch(request));
  return name === WORKER && response.ok ? withAllowedHosts(name, response) : response;
}

/** The worker with a policy that has the allowed hosts too. Where the list can't be read it stays as strict as it was built. */
async function withAllowedHosts(name, response) {
  const hosts = await allowedHosts().catch(() => []);
  const changed = new Response(response.body, { headers: headers(name, response) });
  const policy = changed.headers.get("Content-Security-Policy");
  if (policy !== null && hosts.length > 0) {
    const widened = policy.replace(/connect-src [^;]*/, (sources) => [sources.trim(), ...hosts].join(" "));
    changed.headers.set("Content-Security-Policy", widened);
  }
  return changed;
}

async function allowedHosts() {
  const kept = await caches.match(HOSTS_LIST, { cacheName: HOSTS_CACHE });
  const list = kept === undefined ? [] : await kept.json();
  return Array.isArray(list) ? list.filter(isOrigin).slice(0, MAX_HOSTS) : [];
}

/** Whether this is an origin in exactly the form in which a policy can have it. */
function isOrigin(text) {
  if (typeof text !== "string" || text.length > 270 || !ORIGIN.test(text)) return false;
  return URL.canParse(text) && new URL(text).origin === text;
}

/** Any other address below the scope: the server knows it, or else the app opens at its own address. */
async function fromNetworkOrToPage(request) {
  try {
    return await fetch(request);
  } catch {
    return Response.redirect(SCOPE);
  }
}
