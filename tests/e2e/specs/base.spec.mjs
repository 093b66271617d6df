// A base model, which has no chat template: the page says that it continues texts, and it does.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, test } from "node:test";
import { promisify } from "node:util";
import { GPU, required } from "../browser.mjs";
import { ChatPage } from "../pages/chat.mjs";
import { BASE, TOY, serveSite } from "../site.mjs";
import { setUp } from "../steps.mjs";

const TIMEOUT = { timeout: 10 * 60_000 };
const MAX_TOKENS = 8;
const LABEL = "This is a base model: it continues your text and does not answer questions.";

describe(`base model on ${GPU}`, () => {
  let server, browser;
  setUp(serveSite, (here) => ({ server, browser } = here));

  const ask = async (model, text) => {
    const chat = await ChatPage.open(browser, server.url, { model: `models/${model.name}`, greedy: 1, max_tokens: MAX_TOKENS });
    await chat.ask(text);
    return { chat, first: await chat.finished() };
  };

  test("the field says what the model does, and the text goes on from what was written", TIMEOUT, async () => {
    const { chat, first } = await ask(BASE, "Hello");
    assert.equal(await chat.page.getByTestId("mode").innerText(), LABEL);
    assert.equal(await chat.message.getAttribute("placeholder"), "Begin a text");
    assert.ok(first.ids.length > 0);
    assert.deepEqual(first.ids, await continuation("Hello"), "not what follows the bare text");
    await chat.ask("world");
    assert.ok((await chat.finished()).ids.length > 0);
    await chat.close();
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

/** What the native program makes of a text with the same weights, told to leave their template out. */
async function continuation(text) {
  const file = join(required("TERN_WORK"), "native-continuation.json");
  const options = ["--model", TOY.folder, "--raw", "--greedy", "--prompt", text, "--max-tokens", String(MAX_TOKENS), `--ids=${file}`];
  await promisify(execFile)(required("TERN_CLI"), ["run", ...options], TIMEOUT);
  return JSON.parse(await readFile(file, "utf8")).ids;
}
