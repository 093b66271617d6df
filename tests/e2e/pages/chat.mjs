// The chat page as a person sees it, and what it offers to tests (see README.md).
import assert from "node:assert/strict";

/** Loading a model and answering on a CPU adapter with two busy cores takes this long at most. */
const PATIENCE = 8 * 60_000;

export class ChatPage {
  /**
   * Opens the page in a new context.
   *
   * @param {Browser} browser
   * @param {string} url of the server
   * @param {Record<string, string | number>} [parameters] of the address
   */
  static async open(browser, url, parameters = {}) {
    const context = await browser.newContext();
    const page = await context.newPage();
    const chat = new ChatPage(page);
    const query = new URLSearchParams(Object.entries(parameters).map(([name, value]) => [name, String(value)]));
    await page.goto(`${url}/?${query}`, { waitUntil: "load", timeout: PATIENCE });
    await page.waitForFunction(() => window.__tern !== undefined, undefined, { timeout: PATIENCE });
    return chat;
  }

  constructor(page) {
    this.page = page;
    /** Errors that nobody caught, and lines that the page logged as errors. */
    this.errors = [];
    page.on("pageerror", (error) => this.errors.push(String(error)));
    page.on("console", (message) => {
      if (message.type() === "error") this.errors.push(message.text());
    });
    this.message = page.getByTestId("message");
    this.send = page.getByTestId("send");
    this.stop = page.getByTestId("stop");
    this.status = page.getByTestId("status");
    this.answers = page.getByTestId("answer");
    this.fault = page.getByTestId("fault");
  }

  /** Waits until the page is in one of `states`, and fails at once with the page's own words when it reports a failure. */
  async waitFor(...states) {
    const wanted = [...states, "failed"];
    await this.page.waitForFunction((list) => list.includes(window.__tern.state), wanted, { timeout: PATIENCE });
    const state = await this.page.evaluate(() => window.__tern.state);
    if (!states.includes(state)) {
      const words = (await this.fault.allInnerTexts()).join("\n");
      assert.fail(`the page failed: ${words || "(it says nothing)"}\n${this.errors.join("\n")}`);
    }
    return state;
  }

  /** Sends a question without waiting for the answer. */
  async ask(question) {
    await this.waitFor("ready");
    const before = await this.answers.count();
    await this.message.fill(question);
    await this.send.click();
    await this.page.waitForFunction(
      (count) => document.querySelectorAll('[data-testid="answer"]').length > count,
      before,
      { timeout: PATIENCE },
    );
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

  /** What the worker runs on. */
  async report() {
    await this.page.waitForFunction(() => window.__tern.report !== null, undefined, { timeout: PATIENCE });
    return this.page.evaluate(() => JSON.parse(JSON.stringify(window.__tern.report)));
  }

  /** Runs a check inside the worker. */
  async check(name, args) {
    return this.page.evaluate(([check, value]) => window.__tern.check(check, value), [name, args]);
  }

  /** Fails if something went wrong that the page did not expect. */
  assertNoErrors() {
    assert.deepEqual(this.errors, [], "the page logged errors");
  }

  async close() {
    await this.page.context().close();
  }
}
