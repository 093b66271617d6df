// What many specs do: have a server and a browser, wait for something, walk by keyboard, look into the worker.
import assert from "node:assert/strict";
import { after, before } from "node:test";
import { launch } from "./browser.mjs";
import { PATIENCE } from "./pages/chat.mjs";

/** What wgpu logs by itself when the process that it waits for dies. */
export const CRASH = /on_submitted_work_done promise failed|mapAsync|external Instance reference|Failed to load resource/;

/**
 * Before the tests of the `describe` around, a server and a browser are started; behind them they are closed.
 *
 * @param {Function} serve starts the server: `serveSite`, or a call of `serveFake`
 * @param {Function} start is given both as `{server, browser}`, and does what else is needed before the tests
 * @param {object} [options] of {@link launch}
 */
export function setUp(serve, start, options = {}) {
  const here = {};
  before(async () => {
    here.server = await serve();
    here.browser = await launch(options);
    await start(here);
  }, { timeout: 3 * PATIENCE });
  after(async () => {
    await here.browser?.close();
    await here.server?.close();
  });
}

/** Waits for something that no locator can wait for, and in which no model takes part unless `millis` says so. */
export async function until(condition, message = `never: ${condition}`, millis = 120_000) {
  const end = Date.now() + millis;
  while (!(await condition())) {
    assert.ok(Date.now() < end, message);
    await sleep(30);
  }
}

export function sleep(millis) {
  return new Promise((resolve) => setTimeout(resolve, millis));
}

/** Presses Tab until `target` has the focus. */
export async function tabTo(chat, target) {
  await target.waitFor();
  for (let presses = 0; presses < 60; presses += 1) {
    if (await hasFocus(target)) return;
    await chat.page.keyboard.press("Tab");
  }
  assert.fail(`the keyboard does not get to ${target}`);
}

export function hasFocus(target) {
  return target.evaluate((element) => element === document.activeElement);
}

/** Runs `code` in the worker of the page. */
export async function inWorker(page, code, argument) {
  const worker = page.workers().find((candidate) => candidate.url().endsWith("worker_loader.js"));
  return worker.evaluate(code, argument);
}
