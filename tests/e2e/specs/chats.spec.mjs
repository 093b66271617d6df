// Chats are the person's: listed, renamed, deleted and brought back, changed, taken along as files, and gone when erased.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, describe, test } from "node:test";
import { Profile } from "../browser.mjs";
import { inFake, serveFake } from "../fake.mjs";
import { ChatPage } from "../pages/chat.mjs";
import { setUp } from "../steps.mjs";

const TIMEOUT = { timeout: 5 * 60_000 };
const ANSWERS = {
  "Who was Ada?": "Ada Lovelace wrote the *first* program.",
  "Who was Grace?": "Grace Hopper wrote the first compiler.",
  "And Alan?": "Alan Turing asked whether machines think.",
  "Who was Ada Lovelace?": "A mathematician.",
  "Show me code": 'Here:\n\n```rust\nfn main() {\n    println!("<b>&amp;");\n}\n```\n\nDone.',
};

describe("chats", () => {
  let server, browser;
  setUp(() => serveFake({ answers: ANSWERS }), (here) => ({ server, browser } = here), { gpu: "none" });

  /** A page with two chats, the second one open, the list shown. */
  async function twoChats(context) {
    const chat = await ChatPage.visit(context ?? (await browser.newContext()), server.url);
    await chat.ask("Who was Ada?");
    await chat.finished();
    await chat.newChat.click();
    await chat.ask("Who was Grace?");
    await chat.finished();
    await chat.ask("And Alan?");
    await chat.finished();
    await chat.sidebar.open();
    assert.deepEqual(await chat.sidebar.titles(), ["Who was Grace?", "Who was Ada?"]);
    return chat;
  }

  test("a chat is renamed, opened, deleted and brought back", TIMEOUT, async () => {
    const chat = await twoChats();
    await chat.sidebar.rename("Who was Ada?", "Programs");
    await chat.sidebar.chat("Programs").click();
    await chat.questions.getByText("Who was Ada?").waitFor();
    assert.deepEqual(await chat.dialogue(), ["Who was Ada?", "Ada Lovelace wrote the first program."]);
    await chat.sidebar.delete("Programs");
    assert.deepEqual(await chat.sidebar.titles(), ["Who was Grace?"]);
    assert.equal(await chat.questions.count(), 0, "a deleted chat is still on the screen");
    await chat.sidebar.undo.click();
    await chat.sidebar.chat("Programs").waitFor();
    await chat.reload();
    await chat.sidebar.open();
    await chat.sidebar.chat("Programs").click();
    await chat.questions.getByText("Who was Ada?").waitFor();

    await chat.sidebar.delete("Programs");
    await chat.reload();
    await chat.sidebar.open();
    await chat.sidebar.chat("Who was Grace?").waitFor();
    assert.deepEqual(await chat.sidebar.titles(), ["Who was Grace?"]);
    await chat.close();
  });

  test("the list works where it lies above the chat", TIMEOUT, async () => {
    const chat = await twoChats(await browser.newContext({ viewport: { width: 507, height: 900 }, hasTouch: true }));
    await chat.sidebar.rename("Who was Ada?", "Programs");
    await chat.sidebar.delete("Programs");
    assert.deepEqual(await chat.sidebar.titles(), ["Who was Grace?"]);
    await chat.sidebar.list.getByRole("button", { name: "Undo" }).click();
    await chat.sidebar.chat("Programs").waitFor();
    await chat.sidebar.list.getByRole("button", { name: "Hide chats" }).click();
    await chat.message.click();
    await chat.sidebar.open();
    await chat.sidebar.chat("Programs").click();
    await chat.questions.getByText("Who was Ada?").waitFor();
    await chat.close();
  });

  test("a question gets another answer, or is asked in other words", TIMEOUT, async () => {
    const chat = await twoChats();
    const asked = async () => {
      const requests = await inFake(chat.page, () => self.fake.requests.filter((request) => request.Generate));
      return requests.map(({ Generate }) => Generate.job);
    };
    await chat.regenerate.click();
    await chat.page.waitForFunction(() => window.__tern.state === "ready");
    const [before, again] = (await asked()).slice(-2);
    assert.deepEqual(again.messages, before.messages);
    assert.notEqual(again.sampling.seed, before.sampling.seed, "the same seed gives the same answer");
    assert.equal(await chat.questions.count(), 2);

    await chat.questions.first().hover();
    await chat.questions.first().getByRole("button", { name: "Edit question" }).click();
    const field = chat.questions.first().getByRole("textbox");
    await field.fill("Who was Ada Lovelace?");
    await chat.page.getByRole("button", { name: "Ask again" }).click();
    await chat.answers.getByText("A mathematician.").waitFor();
    assert.deepEqual(await chat.dialogue(), ["Who was Ada Lovelace?", "A mathematician."]);
    assert.equal((await asked()).at(-1).messages.length, 1);
    await chat.reload();
    await chat.sidebar.open();
    await chat.page.locator(".chat-title").first().click();
    await chat.answers.getByText("A mathematician.").waitFor();
    assert.deepEqual(await chat.dialogue(), ["Who was Ada Lovelace?", "A mathematician."]);
    await chat.close();
  });

  test("all chats move to another device in one file, and one becomes Markdown", TIMEOUT, async () => {
    const chat = await twoChats();
    const markdown = await saved(chat.page, () => chat.sidebar.choose("Who was Ada?", "Export as Markdown"));
    assert.match(markdown.name, /\.md$/);
    assert.match(markdown.text, /Who was Ada\?[\s\S]*Ada Lovelace wrote the \*first\* program\./);
    await chat.settings.open();
    const file = await saved(chat.page, () => chat.settings.exportAll.click());
    assert.match(file.name, /\.json$/);
    await chat.close();

    const other = await ChatPage.visit(await browser.newContext(), server.url);
    await other.waitFor("ready");
    await other.settings.open();
    await choose(other, file);
    await other.page.getByText("2 chats added").waitFor();
    await choose(other, file);
    await other.page.getByText("2 already here").waitFor();
    const again = await saved(other.page, () => other.settings.exportAll.click());
    assert.deepEqual(chatsOf(again), chatsOf(file));
    await choose(other, { name: "broken.json", text: "{ not chats" });
    await other.page.getByText("This file has no chats that Tern can read").waitFor();
    await other.settings.done.click();
    await other.sidebar.open();
    assert.deepEqual(await other.sidebar.titles(), ["Who was Grace?", "Who was Ada?"]);
    await other.sidebar.chat("Who was Grace?").click();
    await other.questions.nth(1).waitFor();
    assert.deepEqual(await other.dialogue(), ["Who was Grace?", ANSWERS["Who was Grace?"], "And Alan?", ANSWERS["And Alan?"]]);
    await other.close();
  });

  test("a second tab follows what the first one says", TIMEOUT, async () => {
    const context = await browser.newContext();
    const chat = await ChatPage.visit(context, server.url);
    await chat.waitFor("ready");
    const second = await ChatPage.visit(context, server.url);
    await second.waitForState("elsewhere");
    await second.sidebar.open();
    assert.deepEqual(await second.sidebar.titles(), []);
    await chat.ask("Who was Ada?");
    await chat.finished();
    await second.sidebar.chat("Who was Ada?").waitFor();
    await second.answers.getByText("Ada Lovelace wrote the first program.").waitFor();
    await chat.ask("And Alan?");
    await chat.finished();
    await second.answers.nth(1).getByText(ANSWERS["And Alan?"]).waitFor();
    assert.deepEqual(await second.dialogue(), await chat.dialogue());
    await chat.sidebar.open();
    await chat.sidebar.rename("Who was Ada?", "Programs");
    await second.sidebar.chat("Programs").waitFor();

    // What it shows is what it goes on with.
    await second.page.getByRole("button", { name: "Use here" }).click();
    await second.ask("Who was Grace?");
    await second.finished();
    const asked = await inFake(second.page, () => self.fake.requests.findLast((request) => request.Generate).Generate.job.messages);
    assert.deepEqual(asked.map(({ content }) => content), ["Who was Ada?", ANSWERS["Who was Ada?"], "And Alan?", ANSWERS["And Alan?"], "Who was Grace?"]);
    await chat.waitForState("elsewhere");
    await chat.answers.nth(2).getByText(ANSWERS["Who was Grace?"]).waitFor();
    await second.close();
  });

  test("what was written and not sent stays with its chat, through the settings and a reload", TIMEOUT, async () => {
    const chat = await twoChats();
    const draft = (text) => chat.page.waitForFunction((wanted) => document.querySelector('[data-testid="message"]')?.value === wanted, text);
    await chat.message.fill("And Edsger?");
    await chat.questions.first().hover();
    await chat.questions.first().getByRole("button", { name: "Edit question" }).click();
    const edited = chat.page.getByRole("textbox", { name: "Edit question" });
    await edited.fill("Who was Grace Hopper?");
    await chat.settings.open();
    await chat.settings.done.click();
    await draft("And Edsger?");
    assert.equal(await edited.inputValue(), "Who was Grace Hopper?");

    await chat.sidebar.open();
    await chat.sidebar.chat("Who was Ada?").click();
    await draft("");
    await chat.newChat.click();
    await chat.message.fill("Something new");
    await chat.sidebar.open();
    await chat.sidebar.chat("Who was Grace?").click();
    await draft("And Edsger?");
    // Until it is written down.
    await chat.page.waitForTimeout(700);
    await chat.reload();
    await chat.waitFor("ready");
    await draft("And Edsger?");
    assert.equal(await edited.inputValue(), "Who was Grace Hopper?");
    await edited.press("Escape");
    await edited.waitFor({ state: "detached" });
    await chat.send.click();
    await chat.finished();
    await draft("");
    await chat.newChat.click();
    await draft("Something new");
    await chat.close();
  });

  test("questions, answers and code are copied as they were written", TIMEOUT, async () => {
    const context = await browser.newContext();
    await context.grantPermissions(["clipboard-read", "clipboard-write"]);
    const chat = await ChatPage.visit(context, server.url);
    const copies = async (name, text) => {
      await chat.page.getByRole("button", { name, exact: true }).click();
      await chat.page.getByRole("button", { name: "Copied" }).first().waitFor();
      await chat.page.waitForFunction(async (wanted) => (await navigator.clipboard.readText()) === wanted, text, { timeout: 10_000 });
    };
    await chat.ask("Who was Ada?");
    await chat.finished();
    await copies("Copy answer", ANSWERS["Who was Ada?"]);
    await copies("Copy question", "Who was Ada?");
    await chat.ask("Show me code");
    await chat.finished();
    await copies("Copy code", 'fn main() {\n    println!("<b>&amp;");\n}');

    // A browser that refuses says so in the page.
    await context.clearPermissions();
    await chat.page.evaluate(() => (navigator.clipboard.writeText = () => Promise.reject(new DOMException("Denied", "NotAllowedError"))));
    await chat.page.getByRole("button", { name: "Copy code" }).click();
    await chat.page.getByText("The text could not be copied").waitFor();
    assert.equal(await chat.page.getByRole("button", { name: "Copied" }).count(), 0, "it says so all the same");
    await chat.close();
  });

  test("instructions and sampling belong to a chat and reach the worker", TIMEOUT, async () => {
    const chat = await twoChats();
    const options = chat.page.getByRole("button", { name: "Chat options" });
    await options.click();
    const sheet = chat.page.getByRole("dialog", { name: "Chat options" });
    await sheet.getByRole("textbox", { name: /Instructions/ }).fill("Answer in one word.");
    await sheet.getByRole("slider", { name: "Temperature" }).fill("1.5");
    await chat.page.keyboard.press("Escape");
    await sheet.waitFor({ state: "hidden" });
    await chat.ask("Who was Ada?");
    await chat.finished();
    const job = await inFake(chat.page, () => self.fake.requests.findLast((request) => request.Generate).Generate.job);
    assert.deepEqual(job.messages[0], { role: "System", content: "Answer in one word." });
    assert.equal(job.sampling.temperature, 1.5);
    await chat.sidebar.chat("Who was Ada?").click();
    await options.click();
    assert.equal(await sheet.getByRole("textbox", { name: /Instructions/ }).inputValue(), "");
    await chat.close();
  });
});

describe("a person's browser", () => {
  let server, profile;
  before(async () => {
    server = await serveFake({ answers: ANSWERS });
    profile = await Profile.create();
  }, TIMEOUT);
  after(async () => {
    await profile?.remove();
    await server?.close();
  });
  const open = async () => ChatPage.visit(await profile.open({ gpu: "none" }), server.url);

  test("settings and chats survive a restart", TIMEOUT, async () => {
    const chat = await open();
    await chat.ask("Who was Ada?");
    await chat.finished();
    await chat.settings.open();
    await chat.settings.theme("Dark").check({ force: true });
    await chat.settings.textSize("Large").check({ force: true });
    const look = () => chat.page.evaluate(() => {
      const { colorScheme, fontSize } = getComputedStyle(document.documentElement);
      return { colorScheme, fontSize };
    });
    const chosen = await look();
    chat.assertNoErrors();
    await profile.quit();

    const again = await open();
    await again.waitFor("ready");
    await again.settings.open();
    assert.ok(await again.settings.theme("Dark").isChecked());
    assert.ok(await again.settings.textSize("Large").isChecked());
    const { colorScheme, fontSize } = await again.page.evaluate(() => {
      const style = getComputedStyle(document.documentElement);
      return { colorScheme: style.colorScheme, fontSize: style.fontSize };
    });
    assert.deepEqual({ colorScheme, fontSize }, chosen);
    await again.settings.done.click();
    await again.sidebar.open();
    await again.sidebar.chat("Who was Ada?").click();
    await again.questions.waitFor();
    assert.deepEqual(await again.dialogue(), ["Who was Ada?", "Ada Lovelace wrote the first program."]);
    again.assertNoErrors();
    await profile.quit();
  });

  test("erasing leaves no chat, no setting and no database", TIMEOUT, async () => {
    const chat = await open();
    await chat.waitFor("ready");
    await chat.sidebar.open();
    assert.deepEqual(await chat.sidebar.titles(), ["Who was Ada?"]);
    await chat.settings.open();
    await chat.settings.erase.click();
    await chat.settings.answer("Erase everything").waitFor();
    // What the page stores when it starts again afterwards would hide what was left.
    await server.stop();
    chat.watcher.expect(/Failed to load resource|net::ERR_CONNECTION_REFUSED/);
    await chat.settings.answer("Erase everything").click();
    await chat.page.waitForURL(/^chrome-error:|127/, { waitUntil: "commit" }).catch(() => undefined);
    await server.start();
    const page = await chat.context.newPage();
    await page.goto(`${server.url}/manifest.webmanifest`);
    const left = await page.evaluate(async () => {
      const names = (await indexedDB.databases()).map(({ name }) => name);
      return { names, caches: await caches.keys(), local: { ...localStorage } };
    });
    assert.deepEqual(left, { names: [], caches: [], local: {} });
    await profile.quit();
  });
});

async function saved(page, action) {
  const [download] = await Promise.all([page.waitForEvent("download"), action()]);
  return { name: download.suggestedFilename(), text: await readFile(await download.path(), "utf8") };
}

async function choose(chat, { name, text }) {
  const [chooser] = await Promise.all([chat.page.waitForEvent("filechooser"), chat.settings.import.click()]);
  await chooser.setFiles({ name, mimeType: "application/json", buffer: Buffer.from(text) });
}

function chatsOf({ text }) {
  const { chats } = JSON.parse(text);
  return chats.toSorted((a, b) => a.id.localeCompare(b.id));
}
