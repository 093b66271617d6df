// The chat page as a person sees it, and what it offers to tests (see README.md).
import assert from "node:assert/strict";
import { Watcher } from "../watch.mjs";
import { DiagnosticsPage } from "./diagnostics.mjs";
import { FirstRun } from "./first_run.mjs";
import { SettingsPage } from "./settings.mjs";
import { Sidebar } from "./sidebar.mjs";

/** Loading a model and answering on a CPU adapter with two busy cores takes this long at most. */
export const PATIENCE = 8 * 60_000;

export class ChatPage {
  /**
   * Opens the page in a new context, which `close()` closes, and has it load its model without being asked.
   *
   * @param {Browser} browser
   * @param {string} url of the server
   * @param {Record<string, string | number>} [parameters] of the address
   * @param {object} [options] of the context
   */
  static async open(browser, url, parameters = {}, options = {}) {
    return ChatPage.visit(await browser.newContext(options), url, { start: 1, ...parameters });
  }

  /** Opens the page in a context that is there, as a person who has typed the address. */
  static async visit(context, url, parameters = {}, hash = "") {
    const chat = new ChatPage(context, url);
    // A browser with a profile opens with an empty page.
    const empty = context.pages().find((page) => page.url() === "about:blank");
    chat.attach(empty ?? (await context.newPage()));
    await chat.go(parameters, hash);
    return chat;
  }

  constructor(context, url) {
    this.context = context;
    this.url = url;
    this.watcher = new Watcher(context, new URL(url).origin);
  }

  attach(page) {
    this.page = page;
    page.setDefaultTimeout(60_000);
    this.message = page.getByRole("textbox", { name: "Message", exact: true });
    this.send = page.getByRole("button", { name: "Send", exact: true });
    this.stop = page.getByRole("button", { name: "Stop", exact: true });
    this.newChat = page.getByRole("button", { name: "New chat", exact: true });
    this.regenerate = page.getByRole("button", { name: "Regenerate", exact: true });
    this.goOn = page.getByRole("button", { name: "Continue", exact: true });
    this.conversation = page.getByRole("region", { name: "Conversation", exact: true });
    this.questions = this.conversation.getByRole("article", { name: "You", exact: true });
    this.answerArticles = this.conversation.getByRole("article", { name: "Tern", exact: true });
    this.answers = page.getByTestId("answer");
    this.notes = page.getByTestId("note");
    this.status = page.getByRole("status").and(page.getByTestId("status"));
    this.fault = page.getByTestId("fault");
    this.retry = page.getByTestId("retry");
    this.sidebar = new Sidebar(page);
    this.settings = new SettingsPage(page);
    this.diagnostics = new DiagnosticsPage(page);
    this.firstRun = new FirstRun(page);
  }

  /** Goes to the app with these parameters, and this behind them, and waits until its code runs. */
  async go(parameters = {}, hash = "") {
    const query = new URLSearchParams(Object.entries(parameters).map(([name, value]) => [name, String(value)]));
    this.address = `${this.url}/${query.size > 0 ? `?${query}` : ""}${hash}`;
    await this.page.goto(this.address, { waitUntil: "load", timeout: PATIENCE });
    await this.started();
  }

  async reload() {
    await this.page.reload({ waitUntil: "load", timeout: PATIENCE });
    await this.started();
  }

  async started() {
    await this.page.waitForFunction(() => window.__tern !== undefined, undefined, { timeout: PATIENCE });
  }

  /** The page's own name for what goes on. */
  async state() {
    return this.page.evaluate(() => window.__tern.state);
  }

  /** Waits until the page is in one of `states`, and fails at once with the page's own words when it reports a failure. */
  async waitFor(...states) {
    const wanted = [...states, "failed"];
    await this.page.waitForFunction((list) => list.includes(window.__tern.state), wanted, { timeout: PATIENCE });
    const state = await this.state();
    if (!states.includes(state) && state === "failed") {
      const words = (await this.fault.allInnerTexts()).join("\n");
      assert.fail(`the page failed: ${words || "(it says nothing)"}\n${this.watcher.problems.join("\n")}`);
    }
    return state;
  }

  /** Waits until the page is in this state, whatever it goes through before. */
  async waitForState(name) {
    await this.page.waitForFunction((wanted) => window.__tern.state === wanted, name, { timeout: PATIENCE });
  }

  /** Sends a question without waiting for the answer. */
  async ask(question) {
    await this.waitFor("ready");
    const before = await this.questions.count();
    await this.message.fill(question);
    await this.send.click();
    await this.questions.nth(before).waitFor({ timeout: PATIENCE });
  }

  /** Waits until the running answer holds at least `count` tokens. */
  async waitForTokens(count) {
    await this.page.waitForFunction((least) => (window.__tern.lastAnswer?.ids.length ?? 0) >= least, count, {
      timeout: PATIENCE,
    });
  }

  /** Waits until the running answer has ended, however it did, and returns it. */
  async finished() {
    await this.page.waitForFunction(() => window.__tern.lastAnswer?.done === true, undefined, { timeout: PATIENCE });
    return this.answer();
  }

  /** The last answer as the page tells it, and as it shows it. */
  async answer() {
    const answer = await this.page.evaluate(() => JSON.parse(JSON.stringify(window.__tern.lastAnswer)));
    return { ...answer, shown: (await this.answers.last().innerText()).trim() };
  }

  /** Questions and answers as they are shown, in order. */
  async dialogue() {
    const texts = [];
    for (const article of await this.conversation.getByRole("article").all()) {
      const isQuestion = (await article.getAttribute("aria-label")) === "You";
      const body = isQuestion ? article.locator(".bubble") : article.getByTestId("answer");
      texts.push((await body.innerText()).trim());
    }
    return texts;
  }

  /** What the worker runs on. */
  async report() {
    await this.page.waitForFunction(() => window.__tern.report !== null, undefined, { timeout: PATIENCE });
    return this.page.evaluate(() => JSON.parse(JSON.stringify(window.__tern.report)));
  }

  /** What the worker has loaded. */
  async model() {
    return this.page.evaluate(() => JSON.parse(JSON.stringify(window.__tern.model)));
  }

  /** Runs a check inside the worker. */
  async check(name, args) {
    return this.page.evaluate(([check, value]) => window.__tern.check(check, value), [name, args]);
  }

  /** Has the page believe that nobody sees it, or that somebody does again. Headless browsers hide no window. */
  async setHidden(hidden) {
    await this.page.evaluate((value) => {
      const define = (name, get) => Object.defineProperty(document, name, { configurable: true, get });
      define("hidden", () => value);
      define("visibilityState", () => (value ? "hidden" : "visible"));
      document.dispatchEvent(new Event("visibilitychange"));
    }, hidden);
  }

  /** Fails if something went wrong that is no part of the story. */
  assertNoErrors() {
    this.watcher.assertClean();
  }

  /** Closes the page's context, and fails if something went wrong in it that is no part of the story. */
  async close() {
    await this.context.close();
    this.watcher.assertClean();
  }
}
