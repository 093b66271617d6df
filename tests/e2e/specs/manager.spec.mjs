// Models beside the one that runs: known ones, a queue of downloads with a question in between, a check that finds what has gone bad
// in the store, and what is known of a stored model.
//
// The hub is another server of this machine, as in hub.spec.mjs.
import assert from "node:assert/strict";
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { after, afterEach, before, describe, test } from "node:test";
import { GPU, launch } from "../browser.mjs";
import { allowHosts } from "../hosts.mjs";
import { ChatPage } from "../pages/chat.mjs";
import { REPOSITORIES, TOY, isShard, packageHashes, serveHub, serveSite } from "../site.mjs";
import { until } from "../steps.mjs";
import { flipBits, stored } from "../stored.mjs";

const TIMEOUT = { timeout: 10 * 60_000 };
const OF_TOY = { model: "models/toy", greedy: 1, max_tokens: 8, context: 1024 };
const FIRST = "terns/three-shards";
const SECOND = "terns/llama-divide";
const KNOWN = "microsoft/bitnet-b1.58-2B-4T";

describe(`other models on ${GPU}`, () => {
  let site, hub, browser;
  before(async () => {
    site = await serveSite();
    hub = await serveHub([FIRST, SECOND]);
    browser = await launch();
  }, TIMEOUT);
  afterEach(() => {
    hub.plan(undefined);
    hub.throttle(undefined);
  });
  after(async () => {
    await browser?.close();
    await site?.close();
    await hub?.close();
  });

  /** Somebody who has the small model, and looks at the settings. */
  async function owner() {
    const context = await browser.newContext({ serviceWorkers: "block" });
    await allowHosts(context, site.url, [hub.origin, hub.storeOrigin]);
    const chat = await ChatPage.visit(context, site.url, { ...OF_TOY, start: 1 });
    chat.watcher.expect(/Failed to load resource|net::ERR_|Service Worker registration blocked|could not be registered/);
    chat.watcher.expect(new RegExp(`a request to (${hub.origin}|${hub.storeOrigin}|https://huggingface.co)/`));
    await chat.waitFor("ready");
    await chat.settings.open();
    return chat;
  }

  /** Looks a repository up and has it downloaded for later. */
  async function queue(chat, name) {
    await chat.settings.address.fill(`${hub.origin}/${name}/tree/main`);
    await chat.settings.lookUp.click();
    await chat.settings.found.getByText(name.split("/")[1], { exact: true }).waitFor();
    await chat.settings.queueFound.click();
    await chat.settings.downloads.getByText(name.split("/")[1], { exact: true }).waitFor();
  }

  /** Bytes of weights that the hub has sent since. */
  const sentSince = (from) => hub.requests.slice(from).filter(({ path }) => path.startsWith("/store/")).reduce((sum, { bytes }) => sum + (bytes ?? 0), 0);

  /** Bytes of the weights of a repository. */
  async function weightsOf(name) {
    const folder = join(REPOSITORIES, name);
    const files = (await readdir(folder)).filter((file) => file.endsWith(".safetensors"));
    const sizes = await Promise.all(files.map(async (file) => (await stat(join(folder, file))).size));
    return sizes.reduce((sum, size) => sum + size, 0);
  }

  test("two models are downloaded one after the other, a question goes first, and a closed page goes on", TIMEOUT, async () => {
    const chat = await owner();
    const from = hub.requests.length;
    hub.plan(({ path }) => (path.startsWith("/store/") ? { sendBufferBytes: 65_536 } : undefined));
    hub.throttle(2_000_000);
    await queue(chat, FIRST);
    await queue(chat, SECOND);
    const shards = async () => (await stored(chat.page)).files.filter(({ package: of, file }) => of.includes("three-shards") && file.endsWith(".bin"));
    await until(async () => (await shards()).length >= 1);
    await chat.settings.done.click();
    // It is answered at once, by the model that is loaded.
    await chat.ask("Are you still there?");
    const { ids } = await chat.finished();
    assert.ok(ids.length > 0);
    const kept = await shards();
    await chat.settings.open();
    await chat.settings.downloads.getByText("llama-divide", { exact: true }).waitFor();
    assert.equal((await stored(chat.page)).files.some(({ package: of }) => of.includes("llama-divide")), false, "out of turn");
    // And when the app is opened again.
    await chat.reload();
    await chat.waitFor("ready");
    await chat.settings.open();
    assert.deepEqual(await chat.settings.queueNames(), ["three-shards", "llama-divide"]);
    hub.throttle(undefined);
    await chat.settings.downloads.waitFor({ state: "detached" });
    const { files, parts, strays } = await stored(chat.page);
    assert.deepEqual({ broken: files.filter(({ isWhole }) => !isWhole), parts, strays }, { broken: [], parts: [], strays: [] });
    assert.ok(kept.every(({ sha256 }) => files.some((file) => file.sha256 === sha256)));
    // Five times it was put off: for a look, a question, the settings, a new page. What that costs is a part of a shard each.
    const sizes = await Promise.all([FIRST, SECOND].map(weightsOf));
    const sent = sentSince(from);
    const all = sizes.reduce((sum, size) => sum + size, 0);
    assert.ok(sent >= all && sent < 1.5 * all, `${sent} bytes were sent of ${all}`);
    const packages = new Set(files.map((file) => file.package));
    assert.deepEqual([...packages].sort(), [`${hub.origin}/${FIRST}/tree/main`, `${hub.origin}/${SECOND}/tree/main`, `${site.url}/models/toy/`].sort());
    // What was downloaded for later is loaded without the hub.
    const before = hub.requests.length;
    await chat.settings.model.getByRole("button", { name: "Use llama-divide", exact: true }).click();
    await chat.waitFor("ready");
    assert.equal((await chat.model()).name, "llama-divide");
    assert.equal(hub.requests.length, before);
    await chat.close();
  });

  test("a download can rest, and be taken out of the queue", TIMEOUT, async () => {
    const chat = await owner();
    hub.plan(({ path }) => (path.startsWith("/store/") ? { sendBufferBytes: 65_536 } : undefined));
    hub.throttle(2_000_000);
    await queue(chat, FIRST);
    await chat.settings.downloads.getByText(/Downloading · /).waitFor();
    await chat.settings.queueButton("Pause", "three-shards").click();
    await chat.settings.downloads.getByText(/Paused/).waitFor();
    await until(async () => hub.requests.every(({ bytes }) => bytes !== undefined));
    const asked = hub.requests.length;
    await chat.page.waitForTimeout(1500);
    assert.equal(hub.requests.length, asked, "it does not rest");
    hub.throttle(undefined);
    await chat.settings.queueButton("Resume", "three-shards").click();
    await chat.settings.downloads.waitFor({ state: "detached" });
    hub.throttle(100_000);
    await queue(chat, SECOND);
    await chat.settings.queueButton("Remove", "llama-divide").click();
    await chat.settings.downloads.waitFor({ state: "detached" });
    await chat.reload();
    await chat.waitFor("ready");
    await chat.settings.open();
    assert.equal(await chat.settings.downloads.count(), 0);
    await chat.close();
  });

  test("a check finds the record that has gone bad, and gets that one alone", TIMEOUT, async () => {
    const chat = await owner();
    await chat.settings.details("toy").click();
    await chat.settings.checkFiles.click();
    await chat.settings.checkResult.getByText(/^All \d+ files are whole\.$/).waitFor();
    const { files } = await stored(chat.page);
    const shard = files.filter(({ file }) => file.endsWith(".bin")).at(1);
    await flipBits(chat.page, [shard.sha256]);
    const from = site.requests.length;
    await chat.settings.checkFiles.click();
    await chat.settings.checkResult.getByText("1 file had gone bad and was replaced", { exact: false }).waitFor();
    const fetched = site.requests.slice(from).map(({ path }) => path).filter((path) => path.startsWith("/models/"));
    assert.deepEqual(fetched, [`/models/toy/${shard.file}`]);
    assert.deepEqual((await stored(chat.page)).files.filter(({ isWhole }) => !isWhole), []);
    // Without its server it says so, and the model stays as it was.
    await flipBits(chat.page, [shard.sha256]);
    site.plan(({ path }) => (isShard(path) ? { status: 404 } : undefined));
    await chat.settings.checkFiles.click();
    await chat.settings.checkResult.getByText("1 file went bad and could not be replaced.").waitFor();
    site.plan(undefined);
    assert.equal((await stored(chat.page)).files.length, files.length);
    await chat.close();
  });

  test("what is known of a model names its files with their hashes", TIMEOUT, async () => {
    const chat = await owner();
    await chat.settings.details("toy").click();
    const sheet = chat.settings.sheet;
    await sheet.getByText("Hashes of the stored files").click();
    const lines = (await sheet.locator("pre").filter({ visible: true }).last().innerText()).trim().split("\n");
    const told = Object.fromEntries(lines.map((line) => line.split("  ").reverse()));
    assert.deepEqual(told, await packageHashes(TOY.folder));
    await chat.page.keyboard.press("Escape");
    // Of a converted one the commit is known, and who stated the hashes.
    hub.throttle(400_000);
    await queue(chat, SECOND);
    await chat.settings.downloads.waitFor({ state: "detached" });
    await chat.settings.details("llama-divide").click();
    await sheet.getByText(/^[0-9a-f]{40}$/).waitFor();
    await sheet.getByText("Hashes of the source files").click();
    await sheet.getByText(/The publisher states/).waitFor();
    await chat.close();
  });

  test("a known model is looked up on the hub, and offered", TIMEOUT, async () => {
    const context = await browser.newContext({ serviceWorkers: "block" });
    const asked = [];
    // What the hub would say of that model is what the local one says of another.
    await context.route("https://huggingface.co/**", async (route) => {
      const url = new URL(route.request().url());
      asked.push(url.pathname);
      const path = url.pathname.replace(KNOWN, SECOND);
      const response = await route.fetch({ url: `${hub.origin}${path}${url.search}` });
      await route.fulfill({ response });
    });
    const chat = await ChatPage.visit(context, site.url, OF_TOY);
    chat.watcher.expect(/Failed to load resource|net::ERR_|Service Worker registration blocked|could not be registered|a request to https:\/\/huggingface.co\//);
    await chat.waitFor("offer");
    await chat.page.getByText("Other models", { exact: true }).click();
    await chat.page.getByRole("button", { name: "Look up: BitNet b1.58 2B-4T", exact: true }).click();
    await chat.settings.found.waitFor();
    assert.ok(asked.includes(`/api/models/${KNOWN}/revision/main`), `${asked}`);
    assert.equal((await chat.settings.found.locator("dd").first().innerText()).trim(), KNOWN.split("/")[1]);
    // It is kept for later without being looked up, too.
    await chat.page.getByRole("button", { name: "Download for later: Falcon-E 1B Instruct", exact: true }).click();
    await chat.page.getByText("In the queue", { exact: true }).waitFor();
    await chat.close();
  });
});
