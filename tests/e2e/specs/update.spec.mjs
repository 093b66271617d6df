// New versions of the app: they wait, interrupt nothing, and are applied by one press and one reload. Parts of different
// builds heal by one reload.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { launch } from "../browser.mjs";
import { fakeWorker, inFake } from "../fake.mjs";
import { ChatPage } from "../pages/chat.mjs";
import { DIST, serveSite } from "../site.mjs";
import { sleep } from "../steps.mjs";

const TIMEOUT = { timeout: 5 * 60_000 };
const UPDATE = "A new version of Tern is ready";

/** Copies the build, changes some of its files and tells its service worker so, as another build would be. */
async function variant(folder, name, changes) {
  const dist = join(folder, name);
  await cp(DIST, dist, { recursive: true, filter: (path) => !/\/models(\/|$)/.test(path) });
  let worker = await readFile(join(dist, "sw.js"), "utf8");
  const version = /"?version"?:\s*"([^"]*)"/.exec(worker)[1];
  worker = worker.replace(version, `${version}-${name}`);
  for (const [file, text] of Object.entries(changes)) {
    const before = await readFile(join(dist, file));
    const content = text(before.toString("utf8"));
    await writeFile(join(dist, file), content);
    const [old, now] = [before, content].map((bytes) => createHash("sha256").update(bytes).digest("hex"));
    assert.ok(worker.includes(old), `${file} is no part of the shell`);
    worker = worker.replace(old, now);
  }
  await writeFile(join(dist, "sw.js"), worker);
  return dist;
}

describe("versions", () => {
  let folder, server, browser, first, second;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "tern-builds-"));
    const scripted = await fakeWorker({ holdAfter: 2, answer: "One two three four." });
    const build = (name) => (page) => page.replace("<head>", `<head><meta name="build" content="${name}">`);
    first = await variant(folder, "a", { "worker_loader.js": () => scripted, "index.html": build("a") });
    second = await variant(folder, "b", { "worker_loader.js": () => scripted, "index.html": build("b") });
    server = await serveSite(undefined, { dist: first });
    browser = await launch({ gpu: "none" });
  }, TIMEOUT);
  after(async () => {
    await browser?.close();
    await server?.close();
    await rm(folder, { recursive: true, force: true });
  });

  const buildOf = (chat) => chat.page.evaluate(() => document.querySelector('meta[name="build"]')?.content);
  const lookForUpdate = (chat) => chat.page.evaluate(async () => {
    const registration = await navigator.serviceWorker.getRegistration();
    await registration.update();
    const worker = registration.installing;
    if (worker) await new Promise((resolve) => worker.addEventListener("statechange", resolve, { once: true }));
  });

  test("a new version waits for the end of an answer and for a yes, then takes one reload", TIMEOUT, async () => {
    server.mount("/", first);
    const chat = await ChatPage.visit(await browser.newContext(), server.url);
    await chat.waitFor("ready");
    await chat.page.evaluate(() => navigator.serviceWorker.ready);
    await chat.reload();
    assert.equal(await buildOf(chat), "a");
    assert.equal(await chat.page.evaluate(() => navigator.serviceWorker.controller !== null), true);
    await chat.ask("Anything");
    await chat.waitForTokens(2);
    let loads = 0;
    chat.page.on("framenavigated", () => (loads += 1));
    server.mount("/", second);
    await lookForUpdate(chat);
    await sleep(1000);
    assert.equal(await chat.page.getByText(UPDATE).isVisible(), false, "an answer is interrupted by the offer");
    await inFake(chat.page, () => self.fake.release());
    assert.equal((await chat.finished()).text, "One two three four.");
    await chat.page.getByText(UPDATE).waitFor();
    assert.equal(loads, 0);
    assert.equal(await buildOf(chat), "a");

    await chat.page.getByRole("button", { name: "Update", exact: true }).click();
    await chat.page.waitForFunction(() => document.querySelector('meta[name="build"]')?.content === "b");
    await chat.started();
    await chat.waitFor("ready");
    await sleep(1000);
    assert.equal(loads, 1);
    await chat.sidebar.open();
    await chat.sidebar.chat("Anything").waitFor();
    const names = await chat.page.evaluate(() => caches.keys());
    const caches = names.filter((name) => name.startsWith("tern-shell "));
    assert.equal(caches.length, 1, `the old version is kept: ${caches}`);
    await chat.close();
  });

  test("a version that arrives damaged is not taken", TIMEOUT, async () => {
    server.mount("/", first);
    const chat = await ChatPage.visit(await browser.newContext(), server.url);
    await chat.waitFor("ready");
    await chat.page.evaluate(() => navigator.serviceWorker.ready);
    await chat.reload();
    server.mount("/", second);
    server.plan(({ path }) => (path === "/" ? { flipAt: 40 } : undefined));
    await lookForUpdate(chat).catch(() => undefined);
    await sleep(1000);
    server.plan(undefined);
    assert.equal(await chat.page.getByText(UPDATE).isVisible(), false);
    await server.stop();
    chat.watcher.expect(/sw\.js|Failed to load/);
    await chat.reload();
    assert.equal(await buildOf(chat), "a", "the version that works is gone");
    await server.start();
    await chat.close();
  });
});

describe("parts of different builds", () => {
  let server, browser;
  before(async () => {
    server = await serveSite();
    browser = await launch({ gpu: "none" });
  }, TIMEOUT);
  after(async () => {
    await browser?.close();
    await server?.close();
  });

  async function stale(times) {
    const [old, fitting] = [await fakeWorker({ hello: { version: 2, build: "stale" } }), await fakeWorker({})];
    let asked = 0;
    server.plan(({ path }) => {
      const script = (body) => ({ status: 200, headers: { "Content-Type": "text/javascript" }, body });
      if (path === "/sw.js") return script("// Keeps nothing.");
      if (path !== "/worker_loader.js") return undefined;
      asked += 1;
      return script(asked <= times ? old : fitting);
    });
    const from = server.requests.length;
    const chat = await ChatPage.visit(await browser.newContext(), server.url);
    const loads = () => server.requests.slice(from).filter(({ path, mode }) => path === "/" && mode === "navigate").length;
    return { chat, loads };
  }

  test("a stale worker is healed by one reload", TIMEOUT, async () => {
    const { chat, loads } = await stale(1);
    await chat.page.waitForFunction(() => window.__tern?.state === "ready");
    await sleep(1000);
    assert.equal(loads(), 2);
    await chat.close();
  });

  test("a worker that stays stale is said, not reloaded for ever", TIMEOUT, async () => {
    const { chat, loads } = await stale(Infinity);
    await chat.page.waitForFunction(() => document.querySelector('[data-testid="fault"]'));
    await sleep(4000);
    assert.match(await chat.fault.innerText(), /older than the rest/);
    assert.equal(loads(), 2);
    await chat.close();
  });
});
