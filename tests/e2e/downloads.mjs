// What specs about downloads share: a person who presses the button, what is shown meanwhile, what is stored afterwards.
import assert from "node:assert/strict";
import { ChatPage } from "./pages/chat.mjs";
import { stored } from "./stored.mjs";

/** Notes every text of the status line. Runs in the page. */
function watchStatus() {
  const line = document.querySelector("[data-testid=status]");
  window.statuses = [line.textContent];
  new MutationObserver(() => {
    if (window.statuses.at(-1) !== line.textContent) window.statuses.push(line.textContent);
  }).observe(line, { childList: true, characterData: true, subtree: true });
}

/** Somebody visits, and presses the button of the offer. */
export async function beginDownload(context, server, parameters) {
  const chat = await ChatPage.visit(context, server.url, parameters);
  // Chromium logs every answer that is no success.
  chat.watcher.expect(/Failed to load resource|net::ERR_/);
  await pressDownload(chat);
  return chat;
}

/** Presses the button of the offer. */
export async function pressDownload(chat) {
  await chat.waitFor("offer");
  await chat.page.evaluate(watchStatus);
  await chat.firstRun.download.click();
}

/** Every text that the status line has had since the button was pressed. */
export function statuses(chat) {
  return chat.page.evaluate(() => window.statuses);
}

/** Waits until the page has given up, and returns what it says. */
export async function refusal(chat) {
  await chat.waitForState("failed");
  await chat.fault.waitFor();
  return (await chat.fault.innerText()).trim();
}

/**
 * Asserts that exactly these files of the package count as stored, each with the bytes that the journal says, and that
 * nothing else is left.
 */
export async function assertStored(chat, files) {
  const { files: journal, parts, strays } = await stored(chat.page);
  assert.deepEqual(journal.filter(({ isWhole }) => !isWhole), [], "what counts as stored is not what it should be");
  const shards = journal.map(({ file }) => file).filter((file) => file.endsWith(".bin"));
  assert.deepEqual(shards.sort(), [...files].sort());
  assert.deepEqual({ parts, strays }, { parts: [], strays: [] }, "something is left");
}

/**
 * Plans faults by path: the first one for the first request from now on, and so on; behind them nothing.
 *
 * @param {Server} server
 * @param {Map<string, object[]>} faults
 * @returns {(path: string) => object[]} the requests for a path since then
 */
export function planInOrder(server, faults) {
  const from = server.requests.length;
  const left = new Map([...faults].map(([path, list]) => [path, [...list]]));
  server.plan(({ path }) => left.get(path)?.shift());
  return (path) => server.requests.slice(from).filter((request) => request.path === path);
}
