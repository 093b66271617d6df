// What the page says when it cannot work: one plain sentence, no blank page, no endless spinner.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { launch } from "../browser.mjs";
import { ChatPage } from "../pages/chat.mjs";
import { serveSite } from "../site.mjs";

const TIMEOUT = { timeout: 10 * 60_000 };

/** Opens the page, waits for its refusal and returns the words. */
async function refusal(browser, url, parameters) {
  const chat = await ChatPage.open(browser, url, parameters);
  await chat.fault.waitFor({ state: "visible", timeout: 120_000 });
  const words = (await chat.fault.innerText()).trim();
  assert.equal(await chat.page.evaluate(() => window.__tern.state), "failed");
  await chat.close();
  return words;
}

describe("refusals", () => {
  let browser;
  before(async () => {
    browser = await launch({ gpu: "none" });
  }, TIMEOUT);
  after(() => browser?.close());

  test("a browser without a WebGPU adapter", TIMEOUT, async () => {
    const server = await serveSite();
    try {
      assert.match(await refusal(browser, server.url, { model: "models/g256" }), /does not give access to a graphics processor/);
    } finally {
      await server.close();
    }
  });
});

describe("packages that cannot be used", () => {
  let browser;
  before(async () => {
    browser = await launch();
  }, TIMEOUT);
  after(() => browser?.close());

  test("a model that is not there is named", TIMEOUT, async () => {
    const server = await serveSite();
    try {
      assert.match(await refusal(browser, server.url, { model: "models/nowhere" }), /not on the server/);
    } finally {
      await server.close();
    }
  });

  test("a shard with one wrong bit is refused", TIMEOUT, async () => {
    const shard = (path) => path.startsWith("/models/g256/") && !path.endsWith(".json");
    const server = await serveSite(({ path }) => (shard(path) ? { flipAt: 100 } : undefined));
    try {
      assert.match(await refusal(browser, server.url, { model: "models/g256" }), /damaged/);
      assert.ok(server.requests.some(({ path }) => shard(path)), "no shard was asked for");
    } finally {
      await server.close();
    }
  });
});
