// What specs about downloads share: a person who presses the button, what is shown meanwhile, what is stored afterwards.
import assert from "node:assert/strict";
import { ChatPage, PATIENCE } from "./pages/chat.mjs";
import { stored } from "./stored.mjs";

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
  await chat.firstRun.download.click();
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

/** Waits for something that happens outside of the page. */
export async function until(condition, millis = PATIENCE) {
  const end = Date.now() + millis;
  while (!(await condition())) {
    assert.ok(Date.now() < end, `never: ${condition}`);
    await sleep(50);
  }
}

export function sleep(millis) {
  return new Promise((resolve) => setTimeout(resolve, millis));
}
