// Sees what must not happen in a page: errors, violations of its Content-Security-Policy, requests to anybody else.
import assert from "node:assert/strict";

export class Watcher {
  /** @param {BrowserContext} context @param {string} origin of the server under test */
  constructor(context, origin) {
    /** What went wrong, in the browser's words. */
    this.problems = [];
    this.#origin = origin;
    for (const page of context.pages()) this.#watch(page);
    context.on("page", (page) => this.#watch(page));
    context.on("request", (request) => this.#look(request.url()));
  }

  #origin;
  #expected = [];

  /** From now on, problems whose words match are part of the story. */
  expect(pattern) {
    this.#expected.push(pattern);
  }

  #watch(page) {
    page.on("pageerror", (error) => this.problems.push(`error: ${error}`));
    page.on("crash", () => this.problems.push("the page crashed"));
    // Chromium logs a violation of the policy as an error, in workers too.
    page.on("console", (message) => {
      if (message.type() === "error") this.problems.push(`console: ${message.text()} (${message.location().url})`);
    });
    page.on("worker", (worker) => worker.on("console", (message) => {
      if (message.type() === "error") this.problems.push(`worker: ${message.text()}`);
    }));
  }

  #look(url) {
    const { origin, protocol } = new URL(url);
    if (protocol === "data:" || protocol === "blob:" || origin === this.#origin) return;
    this.problems.push(`a request to ${url}`);
  }

  /** Problems that are not part of the story. */
  unexpected() {
    return this.problems.filter((problem) => !this.#expected.some((pattern) => pattern.test(problem)));
  }

  assertClean() {
    assert.deepEqual(this.unexpected(), [], "the page had problems");
  }
}
