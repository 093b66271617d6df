// Everybody can use it: no serious finding of axe-core on any screen, the whole way by keyboard, and screen readers hear
// answers sentence by sentence.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { describe, test } from "node:test";
import { launch } from "../browser.mjs";
import { FIRST_VISIT, serveFake } from "../fake.mjs";
import { ChatPage } from "../pages/chat.mjs";
import { STATES, reach, resize } from "../states.mjs";
import { hasFocus, setUp, tabTo, until } from "../steps.mjs";

const TIMEOUT = { timeout: 10 * 60_000 };
const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const SERIOUS = ["serious", "critical"];

/** Serious findings as lines. Run by the debugger's door: the page's policy allows no foreign script, and should not. */
async function findings(page) {
  await page.evaluate(AXE);
  const results = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
  return results.violations
    .filter(({ impact }) => SERIOUS.includes(impact))
    .flatMap(({ id, nodes }) => nodes.map((node) => `${id}: ${node.target.join(" ")}: ${node.failureSummary.replace(/\s+/g, " ")}`));
}

/** What a finger needs at least, in pixels: the least that Apple's guidelines ask for. */
const TOUCH = 44;

/** Targets that are smaller than a finger, as lines. Run in the page. */
function smallTargets(least) {
  const targets = document.querySelectorAll("button, a[href], input, textarea, select, summary, [role=button]");
  const found = [];
  for (const target of targets) {
    // Links within a sentence are as high as its lines, and the done marks of lists can't be pressed.
    if (target.matches("p a, li a, td a, th a, blockquote a, :disabled[type=checkbox]")) continue;
    if (!target.checkVisibility({ opacityProperty: false, visibilityProperty: true }) || target.closest("[inert]")) continue;
    // Whatever label a field lies in belongs to its target.
    const { width, height } = (target.closest("label") ?? target).getBoundingClientRect();
    // Half a pixel is what rounding makes.
    if (Math.min(width, height) < least - 0.5) {
      const name = target.getAttribute("aria-label") ?? target.textContent.trim() ?? "";
      found.push(`${target.tagName.toLowerCase()}.${target.className} "${name}": ${width.toFixed(1)} x ${height.toFixed(1)}`);
    }
  }
  return found;
}

describe("axe-core", () => {
  let server, browser;
  setUp(() => serveFake({}), (here) => ({ server, browser } = here), { gpu: "none" });

  for (const state of STATES.filter(({ isVariation }) => !isVariation)) {
    test(`${state.name} has no serious finding, light and dark, wide and narrow, and targets that fingers hit`, TIMEOUT, async () => {
      const chat = await reach(browser, server, state, { viewport: { width: 1024, height: 1366 }, reducedMotion: "reduce" });
      for (const viewport of [{ width: 1024, height: 1366 }, { width: 507, height: 1366 }]) {
        await resize(chat, state, viewport);
        assert.deepEqual(await chat.page.evaluate(smallTargets, TOUCH), [], `too small, ${viewport.width} wide`);
        for (const colorScheme of ["light", "dark"]) {
          await chat.page.emulateMedia({ colorScheme });
          assert.deepEqual(await findings(chat.page), [], `${colorScheme}, ${viewport.width} wide`);
        }
      }
      await chat.context.close();
    });
  }

  test("a target that is too small is found", TIMEOUT, async () => {
    const chat = await reach(browser, server, STATES.find(({ name }) => name === "empty-chat"));
    assert.deepEqual(await chat.page.evaluate(smallTargets, TOUCH), []);
    await chat.page.evaluate(() => (document.querySelector('[data-testid="message"]').style.cssText = "min-height: 0; height: 30px !important"));
    const [line, ...others] = await chat.page.evaluate(smallTargets, TOUCH);
    assert.deepEqual(others, []);
    assert.match(line, /textarea.* 30\.0/);
    await chat.context.close();
  });

  test("a page with a fault of this kind is found", TIMEOUT, async () => {
    const chat = await reach(browser, server, STATES.find(({ name }) => name === "empty-chat"));
    await chat.page.evaluate(() => document.querySelector('[data-testid="message"]').removeAttribute("aria-label"));
    await chat.page.evaluate(() => document.querySelector('[data-testid="message"]').removeAttribute("placeholder"));
    assert.match((await findings(chat.page)).join("\n"), /label/);
    await chat.context.close();
  });
});

describe("keyboard", () => {
  let server, browser;
  const answers = { "First question": "A short answer." };
  const visit = { offer: FIRST_VISIT, answers, answer: "One two three four five.", paceMillis: 5, holdAfter: 4 };
  setUp(() => serveFake(visit), (here) => ({ server, browser } = here), { gpu: "none" });

  test("the whole way, from the first visit to the settings", TIMEOUT, async () => {
    const chat = await ChatPage.visit(await browser.newContext({ viewport: { width: 1366, height: 1024 } }), server.url);
    const { keyboard } = chat.page;
    await chat.firstRun.download.waitFor();
    await tabTo(chat, chat.firstRun.download);
    await keyboard.press("Enter");
    await chat.waitFor("ready");

    await tabTo(chat, chat.message);
    await keyboard.type("First question");
    await keyboard.press("Enter");
    await chat.finished();
    assert.ok(await hasFocus(chat.message), "the focus is lost after sending");

    await keyboard.type("Two lines");
    await keyboard.press("Shift+Enter");
    assert.equal(await chat.message.inputValue(), "Two lines\n");
    await keyboard.press("Enter");
    await chat.waitForTokens(4);
    await keyboard.press("Escape");
    assert.equal((await chat.finished()).finish, "Cancelled");

    await tabTo(chat, chat.newChat);
    await keyboard.press("Enter");
    assert.equal(await chat.questions.count(), 0);
    await keyboard.press("Control+k");
    await until(() => hasFocus(chat.sidebar.search), "Control+K does not find chats");
    await tabTo(chat, chat.sidebar.list.getByRole("button", { name: "Options for First question" }));
    await keyboard.press("Enter");
    await tabTo(chat, chat.sidebar.list.getByRole("button", { name: "Rename" }));
    await keyboard.press("Enter");
    await chat.sidebar.titleField.waitFor();
    await until(() => hasFocus(chat.sidebar.titleField), "the title's field gets no focus");
    await keyboard.press("Control+a");
    await keyboard.type("Another title");
    await keyboard.press("Enter");
    await chat.sidebar.chat("Another title").waitFor();

    await tabTo(chat, chat.sidebar.list.getByRole("button", { name: "Options for Another title" }));
    await keyboard.press("Enter");
    await tabTo(chat, chat.sidebar.list.getByRole("button", { name: "Delete", exact: true }));
    await keyboard.press("Enter");
    await tabTo(chat, chat.sidebar.undo);
    await keyboard.press("Enter");
    await chat.sidebar.chat("Another title").waitFor();

    await tabTo(chat, chat.sidebar.settings);
    await keyboard.press("Enter");
    await chat.settings.heading.waitFor();
    await tabTo(chat, chat.settings.theme("System"));
    await keyboard.press("ArrowRight");
    assert.ok(await chat.settings.theme("Light").isChecked());
    await tabTo(chat, chat.settings.erase);
    await keyboard.press("Enter");
    await chat.page.getByRole("dialog").waitFor();
    await keyboard.press("Escape");
    await chat.page.getByRole("dialog").waitFor({ state: "hidden" });
    await until(() => hasFocus(chat.settings.erase), "a closed dialog does not give the focus back");
    await keyboard.press("Escape");
    await chat.message.waitFor();
    await chat.close();
  });
});

describe("screen readers", () => {
  test("hear an answer by sentences, not by tokens, and not a word twice", TIMEOUT, async () => {
    const text = "Terns are seabirds. They fly very far, from one pole to the other! Is that not *wonderful*? Yes it is.\n\nThe end";
    const server = await serveFake({ answer: text, paceMillis: 40 });
    const browser = await launch({ gpu: "none" });
    try {
      const chat = await ChatPage.open(browser, server.url);
      await chat.waitFor("ready");
      await chat.page.evaluate(() => {
        window.heard = [];
        // What is added is what is said: a log's older lines are not read again.
        const hear = (region) => (records) => {
          const texts = records.flatMap(({ type, target, addedNodes }) => (type === "characterData" ? [target] : [...addedNodes]));
          for (const node of texts) window.heard.push({ id: region.id, text: node.textContent.trim() });
        };
        const listen = (region) =>
          new MutationObserver(hear(region)).observe(region, {
            childList: true,
            characterData: true,
            subtree: true,
          });
        const live = () => document.querySelectorAll('[aria-live="polite"], [aria-live="assertive"], [role="log"], [role="alert"]');
        const known = new Set();
        const look = () => live().forEach((region) => known.has(region) || (known.add(region), listen(region), region.textContent.trim() && window.heard.push({ id: region.id, text: region.textContent.trim() })));
        new MutationObserver(look).observe(document.body, { childList: true, subtree: true });
        look();
      });
      await chat.ask("Tell me about terns");
      await chat.finished();
      await until(async () => (await heard(chat)).join(" ").includes("The end"), "the last words are not said");
      const said = await heard(chat);
      // Marks are no words: how the spaces around them fall is not heard.
      const words = (spoken) => spoken.match(/\w+|[.!?]/g).join(" ");
      assert.equal(words(said.join(" ")), words(text));
      assert.ok(said.length >= 2 && said.length <= 6, `said in ${said.length} parts: ${JSON.stringify(said)}`);
      for (const part of said.slice(0, -1)) assert.match(part, /[.!?]\*?$/, `not a sentence: ${part}`);
      const busy = await chat.answerArticles.last().getAttribute("aria-busy");
      assert.equal(busy, "false");
      assert.equal(await chat.page.locator('[aria-live] [data-testid="answer"], [role="log"] [data-testid="answer"]').count(), 0, "the growing text itself is a live region");
      await chat.close();
    } finally {
      await browser.close();
      await server.close();
    }
  });
});

async function heard(chat) {
  const said = await chat.page.evaluate(() => window.heard.filter(({ text }) => text !== "").map(({ text }) => text));
  return said.filter((text, index) => text !== said[index - 1]);
}
