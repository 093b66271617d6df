// Whether a model fits, before its first byte is downloaded: with the usual context, with a shorter one, or not at all; what could
// go to make room for it; and the precision in which it is converted.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { promisify } from "node:util";
import { GPU, launch, required } from "../browser.mjs";
import { FIRST_VISIT, inFake, serveFake } from "../fake.mjs";
import { allowHosts } from "../hosts.mjs";
import { ChatPage } from "../pages/chat.mjs";
import { REPOSITORIES, isShard, packageHashes, serveHub, serveSite } from "../site.mjs";
import { until } from "../steps.mjs";
import { stored } from "../stored.mjs";

const TIMEOUT = { timeout: 10 * 60_000 };
const TOY = { model: "models/toy", greedy: 1, max_tokens: 4 };
const REPOSITORY = "terns/packed";

describe(`what fits on ${GPU}`, () => {
  let site, hub, browser;
  before(async () => {
    site = await serveSite();
    hub = await serveHub([REPOSITORY]);
    browser = await launch();
  }, TIMEOUT);
  after(async () => {
    await browser?.close();
    await site?.close();
    await hub?.close();
  });

  const offerOf = (chat) => chat.page.evaluate(() => JSON.parse(JSON.stringify(window.__tern.offer)));

  async function visit(parameters, prepare = async () => undefined) {
    const context = await browser.newContext({ serviceWorkers: "block" });
    await prepare(context);
    const chat = await ChatPage.visit(context, site.url, parameters);
    chat.watcher.expect(/Failed to load resource|Service Worker registration blocked|could not be registered/);
    chat.watcher.expect(new RegExp(`a request to (${hub.origin}|${hub.storeOrigin})/`));
    await chat.waitFor("offer");
    return chat;
  }

  test("it fits, with a shorter context, or not at all, and is opened as it was said", TIMEOUT, async () => {
    const chat = await visit(TOY);
    const full = await offerOf(chat);
    const { fit } = chat.firstRun;
    assert.equal(full.fit, "Fits");
    assert.equal(full.context, 2048);
    await fit.getByText("Fits this device with a context of 2,048 tokens", { exact: true }).waitFor();
    const all = full.weight_bytes + full.kv_bytes + full.other_bytes;
    assert.ok(full.other_bytes > 0, "activations are not counted");
    // At 2048 tokens, which is its longest context.
    await chat.firstRun.memoryDetails.click();
    await chat.page.getByText("Conversation of 2,048 tokens", { exact: true }).waitFor();
    await chat.close();

    const megabytes = Math.floor((all - full.kv_bytes / 2) / 1e6);
    const short = await visit({ ...TOY, memory: megabytes });
    const { fit: shorter, context } = await offerOf(short);
    assert.deepEqual(shorter, { FitsWithContext: context });
    assert.ok(context >= 512 && context < 2048, `${context}`);
    await short.firstRun.fit.getByText(`with a context of ${context.toLocaleString("en")} tokens: with a longer one`).waitFor();
    await short.firstRun.download.click();
    await short.waitFor("ready");
    assert.equal((await short.model()).context, context);
    // The next start opens it likewise.
    await short.reload();
    await short.waitFor("ready");
    assert.equal((await short.model()).context, context);
    await short.close();

    const small = await visit({ ...TOY, memory: 1 });
    const { fit: none } = await offerOf(small);
    assert.match(none.TooLarge.detail, /it needs \d+ MB of memory with a context of 512 tokens, a page is assumed to get 1 MB/);
    await small.firstRun.fit.getByText(/Too large for this device/).waitFor();
    const asked = site.count(isShard);
    assert.equal(await small.firstRun.download.innerText(), "Download anyway");
    assert.equal(site.count(isShard), asked, "something was downloaded");
    await small.close();
  });

  test("a cache of bytes is counted as what it takes", TIMEOUT, async () => {
    const floats = await visit({ ...TOY, kv: "f16" });
    const bytes = await visit({ ...TOY, kv: "i8" });
    const [more, less] = [await offerOf(floats), await offerOf(bytes)];
    assert.ok(less.kv_bytes < 0.75 * more.kv_bytes, `${less.kv_bytes} of ${more.kv_bytes}`);
    await floats.close();
    await bytes.close();
  });

  // Chromium tells of the same room whatever its quota is, so a scripted worker says that there is none.
  test("missing room is said in megabytes, with what could go", TIMEOUT, async () => {
    const model = { model_url: "https://a.example/other/", name: "other", stored_bytes: 300e6, total_bytes: 300e6, shards: 4, complete: true };
    const storage = { models: [model], usage_bytes: 310e6, quota_bytes: 320e6, state: "Durable" };
    const server = await serveFake({ offer: { ...FIRST_VISIT, missing_bytes: 123_456_789 }, storage });
    try {
      const chat = await ChatPage.visit(await browser.newContext(), server.url);
      await chat.waitFor("offer");
      const { room } = chat.settings;
      await room.getByText("124 MB more room is needed for the download.", { exact: true }).waitFor();
      await room.getByText("300 MB", { exact: true }).waitFor();
      await room.getByRole("button", { name: "Delete other", exact: true }).click();
      await inFake(chat.page, () => (self.fake.script.offer.missing_bytes = 0));
      await chat.settings.answer("Delete model").click();
      // It is looked at again by itself.
      await until(async () => (await room.count()) === 0);
      const asked = await inFake(chat.page, () => self.fake.requests.filter((request) => request.DeleteModel));
      assert.equal(asked[0].DeleteModel.model_url, model.model_url);
      await chat.close();
    } finally {
      await server.close();
    }
  });

  test("fewer bits for the vocabulary: less memory, and what the native program makes", TIMEOUT, async () => {
    const folder = join(required("TERN_WORK"), "converted", "packed-q6");
    const input = join(REPOSITORIES, REPOSITORY);
    const options = ["convert", input, folder, "--name", "packed", "--license", "mit", "--embed", "q6", "--replace"];
    await promisify(execFile)(required("TERN_CLI"), options);
    const chat = await visit(TOY, (context) => allowHosts(context, site.url, [hub.origin, hub.storeOrigin]));
    await chat.firstRun.another.click();
    await chat.settings.address.fill(`${hub.origin}/${REPOSITORY}/tree/main`);
    await chat.settings.lookUp.click();
    await chat.settings.precision.waitFor();
    await chat.settings.precision.getByRole("radio", { name: /^6 bits, .* less$/ }).click();
    await chat.settings.precision.getByRole("radio", { name: /^6 bits/, checked: true }).waitFor();
    await chat.settings.useFound.click();
    await chat.waitFor("ready");
    const { files } = await stored(chat.page);
    assert.deepEqual(Object.fromEntries(files.map(({ file, sha256 }) => [file, sha256])), await packageHashes(folder));
    await chat.settings.open();
    await chat.settings.model.getByText("packed (6 bits)", { exact: true }).waitFor();
    await chat.close();
  });
});
