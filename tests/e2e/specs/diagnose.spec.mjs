// The diagnostics: without a model and with one, from every screen that may need them; what they try, and what they tell.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { GPU } from "../browser.mjs";
import { FIRST_VISIT, fakeWorker, inFake, replaceWorker, serveFake } from "../fake.mjs";
import { ChatPage, PATIENCE } from "../pages/chat.mjs";
import { HASH } from "../pages/diagnostics.mjs";
import { isShard, serveSite } from "../site.mjs";
import { hasFocus, setUp, tabTo, until } from "../steps.mjs";

const NO_ADAPTER = { code: "NoAdapter", retry: "Again", detail: "requestAdapter gave null" };
const TIMEOUT = { timeout: 10 * 60_000 };
const QUESTION = "Tell me everything about the sea, the wind and the birds that cross both.";
const TOY = { model: "models/toy", greedy: 1, max_tokens: 300, context: 1024 };
/** What wgpu logs by itself about a device that is destroyed. */
const LOSS = /on_submitted_work_done promise failed|mapAsync|external Instance reference|destroyed|Destroyed|Failed to load resource/;

describe(`diagnostics on ${GPU}`, () => {
  let server, browser;
  setUp(serveSite, (here) => ({ server, browser } = here));

  test("a link shows them without a model, and what they try needs none", TIMEOUT, async () => {
    const chat = await ChatPage.visit(await browser.newContext(), server.url, { model: "models/toy" }, HASH);
    const { diagnostics } = chat;
    await diagnostics.heading.waitFor();
    await chat.waitFor("offer");
    await until(async () => (await diagnostics.facts(diagnostics.graphics))["Kernels in use"] !== undefined);
    const facts = await diagnostics.facts(diagnostics.graphics);
    assert.equal(facts.WebGPU, "Yes");
    assert.notEqual(facts["Features granted"], undefined);
    assert.match((await diagnostics.facts(diagnostics.limits)).maxStorageBufferBindingSize, /MiB|GiB/);

    await diagnostics.runSelfTest.click();
    await diagnostics.selfTest.getByText(/^Passed by [a-z]+-[a-z]+ in \d+ ms$/).waitFor({ timeout: PATIENCE });
    await diagnostics.runBenchmark.click();
    await diagnostics.benchmark.getByText(/^Reads [\d.]+ tokens\/s, writes [\d.]+ tokens\/s \(a small made-up model/).waitFor({ timeout: PATIENCE });
    assert.ok(await diagnostics.loseDevice.isDisabled(), "there is no device to lose");
    assert.equal(server.count(isShard), 0, "weights were fetched");

    await diagnostics.done.click();
    await chat.firstRun.download.waitFor();
    assert.ok(!chat.page.url().includes("#"), chat.page.url());
    await chat.close();
  });

  test("window.__ternBench measures a made-up model of a published shape, and says what it can't", TIMEOUT, async () => {
    const chat = await ChatPage.visit(await browser.newContext(), server.url, { model: "models/toy" });
    await chat.waitFor("offer");
    const options = { shape: "tiny", prompts: [64], contexts: [16, 128], tokens: 8, repetitions: 2 };
    const report = await chat.page.evaluate((value) => window.__ternBench(value), options);
    assert.equal(report.shape, "tiny");
    assert.ok(report.weight_bytes > 500_000, JSON.stringify(report));
    const lengths = (times) => times.map(({ context, tokens, millis }) => [context, tokens, millis.length]);
    assert.deepEqual(lengths(report.prefill), [[0, 64, 2]]);
    assert.deepEqual(lengths(report.decode), [[16, 8, 2], [128, 8, 2]]);
    for (const { millis } of [...report.prefill, ...report.decode]) assert.ok(millis.every((value) => value > 0), JSON.stringify(report));
    for (const wrong of [{ shape: "none" }, { shape: "tiny", tokens: 0 }, { shape: "tiny", contexts: [5000] }, { sheep: "tiny" }]) {
      await assert.rejects(chat.page.evaluate((value) => window.__ternBench(value), wrong), /expected|needed/, JSON.stringify(wrong));
    }
    assert.equal(server.count(isShard), 0, "weights were fetched");
    await chat.close();
  });

  test("with a model: self-test, benchmark, a benchmark that is called off, a report", TIMEOUT, async () => {
    const chat = await ChatPage.open(browser, server.url, TOY);
    const { diagnostics } = chat;
    await chat.waitFor("ready");
    await chat.settings.open();
    await diagnostics.open.click();
    await diagnostics.heading.waitFor();
    assert.ok(chat.page.url().endsWith(HASH), chat.page.url());

    await diagnostics.runSelfTest.click();
    await diagnostics.selfTest.getByText(/^Passed by/).waitFor({ timeout: PATIENCE });
    await diagnostics.runBenchmark.click();
    await diagnostics.cancel.click();
    await diagnostics.benchmark.getByText("Not run yet").waitFor({ timeout: PATIENCE });
    await diagnostics.runBenchmark.click();
    await diagnostics.benchmark.getByText(/^Reads [\d.]+ tokens\/s, writes [\d.]+ tokens\/s \(toy\)$/).waitFor({ timeout: PATIENCE });
    await until(async () => /\d+ files of weights/.test(await diagnostics.storage.innerText()));

    const { name, text } = await diagnostics.report();
    assert.match(name, /^tern-diagnostics-\d{4}-\d\d-\d\d\.txt$/);
    for (const part of ["Passed by", "tokens/s (toy)", "Kernels in use", "maxBufferSize", "files of weights", "Tern flight recorder", "model loaded in", "benchmark of toy"]) {
      assert.ok(text.includes(part), `${part} is missing in\n${text}`);
    }
    // Done leads back to where they were opened, and the model still answers.
    await diagnostics.done.click();
    await chat.settings.heading.waitFor();
    await chat.settings.done.click();
    await chat.ask(QUESTION);
    assert.equal((await chat.finished()).recoveries, 0);
    await chat.close();
  });

  test("the GPU is lost on request in the middle of an answer, which ends as if nothing had happened", TIMEOUT, async () => {
    const chat = await ChatPage.open(browser, server.url, TOY);
    chat.watcher.expect(LOSS);
    const { diagnostics } = chat;
    await chat.ask(QUESTION);
    const undisturbed = await chat.finished();
    await chat.newChat.click();
    await chat.ask(QUESTION);
    await chat.waitForTokens(5);
    const shards = server.count(isShard);
    await chat.page.evaluate((hash) => (location.hash = hash), HASH);
    await diagnostics.loseDevice.click();
    await diagnostics.flight.getByText(/the answer goes on, \d+ ms behind the loss/).waitFor({ timeout: PATIENCE });
    const atLoss = await diagnostics.flight.innerText();
    assert.match(atLoss, /destroyed on request/);
    assert.match(atLoss, /lost behind token \d+ of an answer/);
    await chat.page.waitForFunction(() => window.__tern.lastAnswer?.done === true, undefined, { timeout: PATIENCE });
    const { text } = await diagnostics.report();
    assert.match(text, /destroyed on request[\s\S]*lost behind token[\s\S]*another device in the same worker[\s\S]*the answer goes on/);

    await chat.page.goBack();
    const answer = await chat.finished();
    assert.equal(answer.recoveries, 1);
    assert.deepEqual(answer.ids, undisturbed.ids);
    assert.deepEqual([answer.text, answer.shown, answer.finish], [undisturbed.text, undisturbed.shown, undisturbed.finish]);
    assert.equal(server.count(isShard), shards, "weights came over the network");
    await chat.close();
  });
});

describe("ways to the diagnostics", () => {
  let server, browser;
  setUp(() => serveFake({ offer: FIRST_VISIT }), (here) => ({ server, browser } = here), { gpu: "none" });

  test("by keyboard from the first visit, through all of them, and back", TIMEOUT, async () => {
    const chat = await ChatPage.visit(await browser.newContext({ viewport: { width: 1366, height: 1024 } }), server.url);
    const { diagnostics } = chat;
    const { keyboard } = chat.page;
    await tabTo(chat, diagnostics.open);
    await keyboard.press("Enter");
    await diagnostics.heading.waitFor();
    await until(() => hasFocus(diagnostics.heading));
    await tabTo(chat, diagnostics.save);
    await tabTo(chat, diagnostics.copy);
    await tabTo(chat, diagnostics.runSelfTest);
    await keyboard.press("Enter");
    await diagnostics.selfTest.getByText("Passed by packed-shared").waitFor();
    await tabTo(chat, diagnostics.runBenchmark);
    await keyboard.press("Enter");
    await diagnostics.benchmark.getByText("Reads 250.0 tokens/s, writes 20.0 tokens/s").waitFor();
    await tabTo(chat, diagnostics.flight);
    await keyboard.press("Escape");
    await chat.firstRun.download.waitFor();
    await chat.page.goBack();
    await chat.firstRun.download.waitFor();
    await chat.close();
  });

  test("from what went wrong", TIMEOUT, async () => {
    replaceWorker(server, await fakeWorker({ loadFault: NO_ADAPTER }));
    const chat = await ChatPage.open(browser, server.url);
    await chat.fault.waitFor();
    await chat.fault.getByRole("button", { name: "Diagnostics", exact: true }).click();
    await chat.diagnostics.heading.waitFor();
    const { text } = await chat.diagnostics.report();
    assert.match(text, /NoAdapter: requestAdapter gave null/);
    assert.match(text, /failed: NoAdapter/);
    await chat.diagnostics.done.click();
    await chat.fault.waitFor();
    await chat.close();
  });

  test("below a path, behind parameters, and nothing is left of the page's address when they are closed", TIMEOUT, async () => {
    const below = await serveSite(undefined, { base: "/tern" });
    const chat = await ChatPage.visit(await browser.newContext(), below.url, { model: "models/toy" }, HASH);
    await chat.diagnostics.heading.waitFor();
    const address = new URL(chat.page.url());
    await chat.diagnostics.done.click();
    await chat.diagnostics.heading.waitFor({ state: "detached" });
    const after = new URL(chat.page.url());
    assert.deepEqual([after.pathname, after.search, after.hash], [address.pathname, address.search, ""]);
    await chat.context.close();
    await below.close();
  });

  test("a countdown has a button that ends it", TIMEOUT, async () => {
    replaceWorker(server, await fakeWorker({ loadFaults: [null, NO_ADAPTER] }));
    const chat = await ChatPage.open(browser, server.url);
    await chat.waitFor("ready");
    // The next worker gets no adapter either: now it is waited for.
    replaceWorker(server, await fakeWorker({ loadFault: NO_ADAPTER }));
    await inFake(chat.page, () => self.fake.post({ Status: { DeviceLost: { detail: "the GPU process crashed" } } }));
    const tryNow = chat.page.getByTestId("try-now");
    await tryNow.waitFor();
    assert.match(await chat.status.innerText(), /Trying again in [12]:\d\d/);
    replaceWorker(server, await fakeWorker({}));
    await tryNow.click();
    await chat.waitFor("ready");
    assert.equal(await tryNow.count(), 0);
    await chat.close();
  });
});
