// Models without a network: saved to a file by one person, and taken from it by another; files of other programs, and files that
// are no model.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdir, readFile, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { promisify } from "node:util";
import { GPU, launch, required } from "../browser.mjs";
import { ChatPage } from "../pages/chat.mjs";
import { REPOSITORIES, serveSite } from "../site.mjs";
import { stored } from "../stored.mjs";

const TIMEOUT = { timeout: 5 * 60_000 };
const PARAMETERS = { greedy: 1, max_tokens: 8 };
const QUESTION = "Hello";
const WORK = join(required("TERN_WORK"), "files");
const run = promisify(execFile);

describe(`models in files on ${GPU}`, () => {
  let site, browser, archive, answer, hashes;

  /** Somebody visits for the first time. */
  async function visit() {
    const context = await browser.newContext({ serviceWorkers: "block" });
    const chat = await ChatPage.visit(context, site.url, PARAMETERS);
    chat.watcher.expect(/Service Worker registration blocked|could not be registered/);
    await chat.waitFor("offer");
    return chat;
  }

  /** Lets the button of the first visit choose these files. */
  async function choose(chat, button, files) {
    const [chooser] = await Promise.all([chat.page.waitForEvent("filechooser"), button.click()]);
    await chooser.setFiles(files);
  }

  /** Drops a file onto the middle of the page. */
  async function drop(chat, name, bytes) {
    const transfer = await chat.page.evaluateHandle(
      ([name, text]) => {
        const transfer = new DataTransfer();
        transfer.items.add(new File([Uint8Array.from(atob(text), (c) => c.charCodeAt(0))], name));
        return transfer;
      },
      [name, bytes.toString("base64")],
    );
    await chat.page.dispatchEvent("body", "dragover", { dataTransfer: transfer });
    await chat.page.dispatchEvent("body", "drop", { dataTransfer: transfer });
  }

  /** The hashes of what is stored, by file. Everything of it has to be whole, and nothing else may be there. */
  async function storedHashes(chat) {
    const { files, parts, strays } = await stored(chat.page);
    assert.deepEqual(files.filter(({ isWhole }) => !isWhole), []);
    assert.deepEqual({ parts, strays }, { parts: [], strays: [] }, "something is left");
    return Object.fromEntries(files.map(({ file, sha256 }) => [file, sha256]));
  }

  async function answered(chat) {
    await chat.waitFor("ready");
    await chat.ask(QUESTION);
    return (await chat.finished()).ids;
  }

  before(async () => {
    await rm(WORK, { recursive: true, force: true });
    await mkdir(WORK, { recursive: true });
    site = await serveSite();
    browser = await launch();
    // One person downloads a model, and saves it.
    const chat = await ChatPage.open(browser, site.url, { ...PARAMETERS, model: "models/toy" });
    answer = await answered(chat);
    hashes = await storedHashes(chat);
    await chat.settings.open();
    const [download] = await Promise.all([chat.page.waitForEvent("download"), chat.settings.save("toy").click()]);
    assert.equal(download.suggestedFilename(), "toy.tern.tar");
    archive = join(WORK, "toy.tern.tar");
    await download.saveAs(archive);
    await chat.settings.save("toy").getByText("Save to Files").waitFor();
    await chat.close();
  }, TIMEOUT);
  after(async () => {
    await browser?.close();
    await site?.close();
  });

  test("a saved model is its package, for tar and for the native program", TIMEOUT, async () => {
    const folder = join(WORK, "unpacked");
    await mkdir(folder);
    const { stdout } = await run("tar", ["xvf", archive, "-C", folder]);
    assert.equal(stdout.split("\n")[0], "manifest.json");
    const hash = async (name) => [name, createHash("sha256").update(await readFile(join(folder, name))).digest("hex")];
    assert.deepEqual(Object.fromEntries(await Promise.all((await readdir(folder)).map(hash))), hashes);
    await run(required("TERN_CLI"), ["verify", folder]);
  });

  test("another person takes it from the file, and it answers the same", TIMEOUT, async () => {
    const chat = await visit();
    const before = site.requests.length;
    await chat.context.setOffline(true);
    await choose(chat, chat.firstRun.fromFiles, archive);
    await chat.settings.found.waitFor();
    assert.equal((await chat.firstRun.facts()).Model, "toy");
    await chat.settings.useFound.click();
    assert.deepEqual(await answered(chat), answer);
    assert.deepEqual(await storedHashes(chat), hashes);
    await chat.context.setOffline(false);
    const fetched = site.requests.slice(before).filter(({ path }) => path.startsWith("/models/"));
    assert.deepEqual(fetched, []);
    // It is the model of later visits, and lies beside what else there is.
    await chat.reload();
    await chat.waitFor("ready");
    assert.equal(await chat.page.evaluate(() => window.__tern.model.name), "toy");
    await chat.settings.open();
    await choose(chat, chat.settings.fromFiles, archive);
    await chat.settings.found.getByRole("button", { name: "Use this model" }).waitFor();
    // Deleted, it leaves the usual model, now and at the next visit.
    await chat.settings.model.getByRole("button", { name: "Delete", exact: true }).click();
    await chat.settings.answer("Delete model").click();
    await chat.waitForState("offer");
    assert.deepEqual((await stored(chat.page)).files, []);
    await chat.reload();
    await chat.waitForState("offer");
    await chat.close();
  });

  test("files are dropped onto the page, and a truncated one leaves nothing", TIMEOUT, async () => {
    const chat = await visit();
    const whole = await readFile(archive);
    await drop(chat, "toy.tern.tar", whole.subarray(0, whole.length / 2));
    await chat.settings.lookFailed.getByText(/can't be used as a model/).waitFor();
    await chat.page.getByText(/the archive is not whole/).waitFor();
    await choose(chat, chat.settings.fromFiles, { name: "a.txt", mimeType: "text/plain", buffer: Buffer.from("hello") });
    await chat.page.getByText(/the files are no model/).waitFor();
    assert.deepEqual((await stored(chat.page)).files, []);
    assert.equal(await chat.state(), "offer");
    // One byte of the last shard is wrong: that is noticed when it is copied.
    const damaged = Buffer.from(whole);
    damaged[whole.findLastIndex((byte) => byte !== 0)] ^= 1;
    await drop(chat, "toy.tern.tar", damaged);
    await chat.settings.useFound.click();
    await chat.waitForState("failed");
    assert.match(await chat.fault.innerText(), /These files are no model|can't be used as a model/);
    assert.deepEqual((await stored(chat.page)).files, []);
    await drop(chat, "toy.tern.tar", whole);
    await chat.settings.useFound.click();
    await chat.waitForState("ready");
    assert.deepEqual(await storedHashes(chat), hashes);
    await chat.close();
  });

  for (const [model, repository, file] of [
    ["g256-i2_s", "terns/gguf", "g256-i2_s.gguf"],
    ["model", "terns/packed-sharded"],
  ]) {
    test(`${file ?? repository} is converted as the native program does it`, TIMEOUT, async () => {
      const source = join(REPOSITORIES, repository);
      const names = file ? [file] : await readdir(source);
      const folder = join(WORK, model);
      await run(required("TERN_CLI"), ["convert", join(source, file ?? ""), folder, "--name", model]);
      const chat = await visit();
      await choose(chat, chat.firstRun.fromFiles, names.map((name) => join(source, name)));
      await chat.settings.useFound.click();
      await chat.waitFor("ready");
      const hash = async (name) => [name, createHash("sha256").update(await readFile(join(folder, name))).digest("hex")];
      const expected = Object.fromEntries(await Promise.all((await readdir(folder)).map(hash)));
      assert.deepEqual(await storedHashes(chat), expected);
      await chat.close();
    });
  }
});
