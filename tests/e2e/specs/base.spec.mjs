// A base model, which has no chat template: the page says that it continues texts, and it does.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { GPU, launch } from "../browser.mjs";
import { ChatPage } from "../pages/chat.mjs";
import { BASE, TOY, serveSite } from "../site.mjs";

const TIMEOUT = { timeout: 10 * 60_000 };
const LABEL = "This is a base model: it continues your text and does not answer questions.";

describe(`base model on ${GPU}`, () => {
  let server, browser;
  before(async () => {
    server = await serveSite();
    browser = await launch();
  }, TIMEOUT);
  after(async () => {
    await browser?.close();
    await server?.close();
  });

  const ask = async (model, text) => {
    const chat = await ChatPage.open(browser, server.url, { model: `models/${model.name}`, greedy: 1, max_tokens: 8 });
    await chat.ask(text);
    return { chat, first: await chat.finished() };
  };

  test("the field says what the model does, and the text goes on from what was written", TIMEOUT, async () => {
    const { chat, first } = await ask(BASE, "Hello");
    assert.equal(await chat.page.getByTestId("mode").innerText(), LABEL);
    assert.equal(await chat.message.getAttribute("placeholder"), "Begin a text");
    assert.ok(first.ids.length > 0);
    // The same beginning in one piece, without what a template would put around it.
    const again = await ask(BASE, "Hello");
    assert.deepEqual(again.first.ids, first.ids);
    await chat.ask("world");
    assert.ok((await chat.finished()).ids.length > 0);
    chat.assertNoErrors();
    await chat.close();
    await again.chat.close();
  });

  test("a chat model is asked as ever, with its template", TIMEOUT, async () => {
    const { chat, first } = await ask(TOY, "Hello");
    assert.equal(await chat.page.getByTestId("mode").isVisible(), false);
    assert.equal(await chat.message.getAttribute("placeholder"), "Ask anything");
    const base = await ask(BASE, "Hello");
    assert.notDeepEqual(first.ids, base.first.ids);
    await chat.close();
    await base.chat.close();
  });
});
