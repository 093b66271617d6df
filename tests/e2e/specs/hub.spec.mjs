// Models of others: looked up by a person who knows no more than an address, fetched from a hub, converted on their way. What is
// stored is what the native program makes of the same files, and so is what the model says.
//
// The hub is another server of this machine, and so is its store of large files: both count as allowed by the person here.
// hosts.spec.mjs is about how that is done.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { after, afterEach, before, describe, test } from "node:test";
import { promisify } from "node:util";
import { GPU, launch, required } from "../browser.mjs";
import { allowHosts } from "../hosts.mjs";
import { ChatPage } from "../pages/chat.mjs";
import { REPOSITORIES, nativeAnswer, packageHashes, serveHub, serveSite } from "../site.mjs";
import { until } from "../steps.mjs";
import { stored } from "../stored.mjs";

const TIMEOUT = { timeout: 10 * 60_000 };
const PARAMETERS = { greedy: 1, max_tokens: 8 };
const QUESTION = "Hello";
/** Repositories, and the file that is meant where there are several models in one. */
const MODELS = [
  ["terns/packed"],
  ["terns/packed-sharded"],
  ["terns/llama-divide"],
  ["terns/masters-sharded"],
  ["terns/1bitllm-names"],
  ["terns/gguf", "g256-i2_s.gguf"],
  ["terns/gguf", "g256-tq2_0.gguf"],
  ["terns/three-shards"],
];
const LONG = "terns/three-shards";

/** What `tern convert` makes of a repository: the package's folder, and its files with their hashes. */
async function converted(name, file) {
  const model = file ? file.replace(/\.gguf$/, "") : name.split("/")[1];
  const folder = join(required("TERN_WORK"), "converted", model);
  const input = join(REPOSITORIES, name, file ?? "");
  const options = ["convert", input, folder, "--name", model, "--license", "mit", "--replace"];
  await promisify(execFile)(required("TERN_CLI"), options);
  return { model, folder, hashes: await packageHashes(folder) };
}

describe(`models of others on ${GPU}`, () => {
  let site, hub, browser;
  before(async () => {
    site = await serveSite();
    hub = await serveHub([...new Set(MODELS.map(([name]) => name))]);
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

  const address = (name, file) => `${hub.origin}/${name}/${file ? `resolve/main/${file}` : "tree/main"}`;

  /** Somebody visits for the first time. */
  async function visit() {
    const context = await browser.newContext({ serviceWorkers: "block" });
    await allowHosts(context, site.url, [hub.origin, hub.storeOrigin]);
    const chat = await ChatPage.visit(context, site.url, PARAMETERS);
    chat.watcher.expect(/Failed to load resource|net::ERR_|Service Worker registration blocked|could not be registered/);
    chat.watcher.expect(new RegExp(`a request to (${hub.origin}|${hub.storeOrigin})/`));
    await chat.waitFor("offer");
    return chat;
  }

  /** Looks up an address, and returns the card of what was found. */
  async function lookUp(chat, text) {
    await chat.firstRun.another.click();
    await chat.settings.address.fill(text);
    await chat.settings.lookUp.click();
    await chat.settings.found.waitFor();
  }

  /** Asserts that the page has stored what the native program makes of the same files, and nothing else. */
  async function assertConverted(chat, { hashes }) {
    const { files, parts, strays } = await stored(chat.page);
    assert.deepEqual(files.filter(({ isWhole }) => !isWhole), []);
    assert.deepEqual(Object.fromEntries(files.map(({ file, sha256 }) => [file, sha256])), hashes);
    assert.deepEqual({ parts, strays }, { parts: [], strays: [] }, "something is left");
  }

  for (const [name, file] of MODELS) {
    test(`${name} ${file ?? ""} is fetched, converted and answers`, TIMEOUT, async () => {
      const expected = await converted(name, file);
      const chat = await visit();
      await lookUp(chat, address(name, file));
      const facts = await chat.firstRun.facts();
      assert.deepEqual([facts.Model, facts.Licence], [expected.model, "mit"]);
      await chat.settings.useFound.click();
      await chat.waitFor("ready");
      await assertConverted(chat, expected);
      await chat.ask(QUESTION);
      const { ids } = await chat.finished();
      const native = await nativeAnswer(expected.folder, QUESTION, PARAMETERS.max_tokens);
      assert.deepEqual(ids, native.ids);
      // It is a model like any other from now on, and is there without a network.
      await chat.settings.open();
      await chat.settings.model.getByText(expected.model, { exact: true }).waitFor();
      const before = hub.requests.length;
      await chat.reload();
      await chat.waitFor("ready");
      assert.equal(hub.requests.length, before, "the hub was asked again");
      await chat.close();
    });
  }

  test("a page that is closed in the middle goes on where it was", TIMEOUT, async () => {
    const expected = await converted(LONG);
    const chat = await visit();
    await lookUp(chat, address(LONG));
    hub.plan(({ path }) => (path.startsWith("/store/") ? { sendBufferBytes: 65_536 } : undefined));
    hub.throttle(4_000_000);
    await chat.settings.useFound.click();
    const shards = async () => (await stored(chat.page)).files.filter(({ file }) => file.endsWith(".bin"));
    await until(async () => (await shards()).length >= 1);
    await chat.reload();
    const kept = await shards();
    assert.ok(kept.length < Object.keys(expected.hashes).length - 2, "it was too fast");
    const from = hub.requests.length;
    hub.throttle(undefined);
    await chat.waitFor("offer");
    await chat.firstRun.download.click();
    await chat.waitFor("ready");
    await assertConverted(chat, expected);
    const again = hub.requests.slice(from).reduce((sum, { bytes }) => sum + (bytes ?? 0), 0);
    const all = (await readFile(join(REPOSITORIES, LONG, "model.safetensors"))).length;
    assert.ok(again < all, `${again} bytes of ${all} were fetched again`);
    await chat.close();
  });

  test("a cut connection goes on at the byte, and wrong bytes leave nothing", TIMEOUT, async () => {
    const expected = await converted("terns/packed");
    const chat = await visit();
    await lookUp(chat, address("terns/packed"));
    const isWeights = ({ path, headers }) => /^\/store\/.*safetensors$/.test(path) && /-\d{6,}$/.test(headers.range ?? "");
    let left = 1;
    hub.plan((request) => (isWeights(request) && left-- > 0 ? { flipAt: 90_000 } : undefined));
    await chat.settings.useFound.click();
    await chat.waitForState("failed");
    assert.match(await chat.fault.innerText(), /damaged/i);
    assert.deepEqual((await stored(chat.page)).files, []);
    left = 1;
    hub.plan((request) => (isWeights(request) && left-- > 0 ? { cutAt: 90_000, pieceBytes: 8192, paceMillis: 20 } : undefined));
    await chat.retry.click();
    await chat.waitFor("ready");
    await assertConverted(chat, expected);
    await chat.close();
  });

  test("what can't be used is said in words", TIMEOUT, async () => {
    const chat = await visit();
    await chat.firstRun.another.click();
    const refused = async (text, words) => {
      await chat.settings.address.fill(text);
      await chat.settings.lookUp.click();
      await chat.settings.lookFailed.getByText(words).waitFor();
    };
    await refused("nonsense", /not the address of a model/);
    await refused("http://a.example/model.gguf", /not the address of a model/);
    await refused(address("terns/none"), /does not give this model to everybody/);
    await refused(`${hub.origin}/terns/packed/tree/v2`, /not on the server/);
    // What runs, or is offered, stays as it was.
    assert.equal(await chat.state(), "offer");
    await chat.close();
  });
});
