// Chromium's own CPU adapter, which is what a person without a GPU gets: another Vulkan driver, no f16, no subgroups.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { GPU } from "../browser.mjs";
import { ChatPage } from "../pages/chat.mjs";
import { serveSite } from "../site.mjs";
import { setUp } from "../steps.mjs";

const TIMEOUT = { timeout: 20 * 60_000 };

describe("SwiftShader", { skip: GPU === "own" && "TERN_CHROMIUM chooses its own adapter" }, () => {
  let server, browser;
  setUp(serveSite, (here) => ({ server, browser } = here), { gpu: "swiftshader" });

  test("the page starts and a small model answers", TIMEOUT, async () => {
    const chat = await ChatPage.open(browser, server.url, { model: "models/g256", greedy: 1, max_tokens: 8 });
    await chat.ask("Hello");
    const answer = await chat.finished();
    assert.notEqual(answer.finish, "Failed");
    assert.ok(answer.ids.length > 0 || answer.finish === "Stop");
    assert.match(JSON.stringify((await chat.report()).adapter), /swiftshader/i);
    chat.assertNoErrors();
    await chat.close();
  });
});
