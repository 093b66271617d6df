// Servers beside the app's own and the hub: nothing is asked of one before the person has allowed it. The service worker then serves
// the app's worker with that server in its policy, behind one load of the page that goes on where it was.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { GPU, Profile, launch } from "../browser.mjs";
import { workerSources, writeHosts } from "../hosts.mjs";
import { ChatPage } from "../pages/chat.mjs";
import { serveHub, serveSite } from "../site.mjs";
import { until } from "../steps.mjs";

const TIMEOUT = { timeout: 10 * 60_000 };
const REPOSITORY = "terns/packed";
const PARAMETERS = { model: "models/toy", start: 1, greedy: 1, max_tokens: 4, context: 512 };
const QUESTION = "Hello";
const DRAFT = "Not sent yet";
/** What a policy always has. */
const USUAL = ["'self'", "https://huggingface.co", "https://*.huggingface.co", "https://*.hf.co"];

describe(`servers that are allowed one by one on ${GPU}`, () => {
  let site, hub;
  before(async () => {
    site = await serveSite();
    hub = await serveHub([REPOSITORY]);
  }, TIMEOUT);
  after(async () => {
    await site?.close();
    await hub?.close();
  });

  const address = () => `${hub.origin}/${REPOSITORY}/tree/main`;
  const name = (origin) => origin.replace("https://", "");

  function expectRefusals(chat) {
    chat.watcher.expect(/violates the following Content Security Policy|Refused to connect|Fetch API cannot load|Failed to load resource/);
    chat.watcher.expect(new RegExp(`a request to (${hub.origin}|${hub.storeOrigin})/`));
  }

  /** Waits until the page that is there has been replaced by another load of it. */
  async function reloaded(chat, press) {
    await chat.page.evaluate(() => (window.isBefore = true));
    await press();
    await chat.page.waitForFunction(() => window.isBefore === undefined && window.__tern !== undefined, undefined, { timeout: 60_000 });
  }

  async function isServed(chat) {
    await chat.page.waitForFunction(() => navigator.serviceWorker.controller !== null, undefined, { timeout: 60_000 });
  }

  test("a server is asked about, allowed behind one load, and removed again", TIMEOUT, async () => {
    const profile = await Profile.create();
    try {
      const chat = await ChatPage.visit(await profile.open(), site.url, PARAMETERS);
      expectRefusals(chat);
      await chat.ask(QUESTION);
      const { shown } = await chat.finished();
      await isServed(chat);
      assert.deepEqual((await workerSources(chat.page)).sources, USUAL);
      await chat.message.fill(DRAFT);
      const { settings } = chat;
      await settings.open();
      await settings.address.fill(address());
      await settings.lookUp.click();
      await settings.allowHost.getByText(`Tern has not talked to ${hub.origin} before. Allow it?`).waitFor();
      assert.equal(hub.requests.length, 0, "it was asked before it was allowed");

      // The address, the settings, the chat and the draft are there again, and the look goes on by itself. This server sends to
      // another one, which the browser does not name.
      await reloaded(chat, () => settings.allow.click());
      await settings.heading.waitFor();
      assert.equal(await settings.address.inputValue(), address());
      await settings.lookFailed.getByText(/sends Tern on to another server that is not allowed/).waitFor({ timeout: 60_000 });
      assert.ok(hub.count((path) => path.startsWith("/api/")) > 0, "it was not looked up again");
      assert.equal(hub.count((path) => path.startsWith("/store/")), 0, "the redirect was followed");
      assert.deepEqual((await workerSources(chat.page)).sources, [...USUAL, hub.origin]);

      // Somebody knows which one it is.
      await settings.address.fill(`${hub.storeOrigin}/store/x.gguf`);
      await settings.lookUp.click();
      await settings.allowHost.getByText(hub.storeOrigin).first().waitFor();
      await reloaded(chat, () => settings.allow.click());
      await settings.lookFailed.getByText(/does not give this model|not on the server/).waitFor({ timeout: 60_000 });
      await settings.address.fill(address());
      await settings.lookUp.click();
      await settings.found.waitFor();
      await settings.done.click();
      assert.deepEqual(await chat.dialogue(), [QUESTION, shown]);
      assert.equal(await chat.message.inputValue(), DRAFT);

      // What was allowed is listed, and taken away behind one load as well.
      await settings.open();
      assert.deepEqual(await settings.hosts.locator(".line p").allInnerTexts(), [hub.origin, hub.storeOrigin].sort().map(name));
      const before = hub.requests.length;
      await reloaded(chat, () => settings.removeHost(hub.origin).click());
      await settings.heading.waitFor();
      await settings.removeHost(hub.storeOrigin).waitFor();
      assert.deepEqual((await workerSources(chat.page)).sources, [...USUAL, hub.storeOrigin]);
      await chat.waitFor("ready");
      await settings.address.fill(address());
      await settings.lookUp.click();
      await settings.allowHost.waitFor();
      assert.equal(hub.requests.length, before, "it was asked after it was removed");
      chat.assertNoErrors();
    } finally {
      await profile.remove();
    }
  });

  test("nothing but a plain origin gets into the policy, whatever the list holds", TIMEOUT, async () => {
    const profile = await Profile.create();
    try {
      const chat = await ChatPage.visit(await profile.open(), site.url, { model: "models/toy" });
      await isServed(chat);
      const { policy } = await workerSources(chat.page);
      const good = ["https://a.example", "https://xn--bcher-kva.example", "https://b.example:8443", "http://localhost:81"];
      const bad = [
        "https://a.example; script-src *",
        "https://a.example 'unsafe-eval'",
        "https://a.example, default-src *",
        "https://a.example\nx: y",
        "https://*.example",
        "https://A.example",
        "https://a.example.",
        "https://a.example/",
        "https://a.example:443",
        "https://a.example:99999",
        "https://bücher.example",
        "https://[::1]",
        "http://a.example",
        "data:",
        "*",
        "'none'",
        "",
        7,
        null,
        {},
        ["https://c.example"],
      ];
      await writeHosts(chat.page, [...bad, ...good, ...bad]);
      const widened = await workerSources(chat.page);
      assert.deepEqual(widened.sources, [...USUAL, ...good]);
      assert.equal(widened.policy, policy.replace(USUAL.at(-1), [USUAL.at(-1), ...good].join(" ")));
      // A list without an end, and what is no list.
      await writeHosts(chat.page, Array.from({ length: 100 }, (_, index) => `https://h${index}.example`));
      assert.equal((await workerSources(chat.page)).sources.length, USUAL.length + 32);
      for (const nonsense of ["https://a.example", { 0: "https://a.example", length: 1 }, null, 7]) {
        await writeHosts(chat.page, nonsense);
        assert.equal((await workerSources(chat.page)).policy, policy);
      }
      chat.assertNoErrors();
    } finally {
      await profile.remove();
    }
  });

  test("a window without a service worker says that it can't allow servers, and is not loaded again", TIMEOUT, async () => {
    const browser = await launch();
    try {
      const context = await browser.newContext({ serviceWorkers: "block" });
      const chat = await ChatPage.visit(context, site.url, { model: "models/toy" });
      chat.watcher.expect(/Service Worker registration blocked|could not be registered/);
      await chat.waitFor("offer");
      await chat.page.evaluate(() => (window.isBefore = true));
      const before = hub.requests.length;
      await chat.firstRun.another.click();
      await chat.settings.address.fill(address());
      await chat.settings.lookUp.click();
      await chat.settings.allow.click();
      await chat.settings.hostProblem.getByText(/service worker, does not run here/).waitFor({ timeout: 30_000 });
      await until(() => chat.settings.allow.isEnabled());
      assert.equal(await chat.page.evaluate(() => window.isBefore), true, "it was loaded again");
      assert.equal(hub.requests.length, before);
      await chat.close();
    } finally {
      await browser.close();
    }
  });
});
