// Chromium without playwright, for measuring memory: playwright listens to the network, and for that the renderer keeps up
// to 200 MB of what it has fetched. This speaks the DevTools protocol over Chromium's own pipe and turns nothing on.
import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { GPU, startOptions } from "./browser.mjs";

const START_MS = 60_000;

/**
 * Starts Chromium with one empty page.
 *
 * @returns {Promise<{send: Function, navigate: Function, evaluate: Function, worker: Function, inner: Function, close: Function}>}
 *   `send(method, params, session)` any command; `evaluate(expression)` its value in the page, awaited; `worker()` the session of
 *   the page's worker, if there is one; `inner()` those of the workers that this one has started
 */
export async function start() {
  const home = await mkdtemp(join(tmpdir(), "tern-bare-"));
  const { executablePath, args, env } = startOptions(GPU, home);
  const flags = ["--headless", "--remote-debugging-pipe", "--no-startup-window", `--user-data-dir=${join(home, "profile")}`];
  const child = spawn(executablePath, [...args, ...flags], { env, stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"] });
  const exited = new Promise((resolve) => child.once("exit", resolve));
  const [input, output] = [child.stdio[3], child.stdio[4]];

  const waiting = new Map();
  let [last, page, worker] = [0, undefined, undefined];
  const inner = new Set();
  const attach = (session) => send("Target.setAutoAttach", { autoAttach: true, waitForDebuggerOnStart: false, flatten: true }, session);
  const take = ({ id, result, error, method, params, sessionId }) => {
    if (id !== undefined) {
      const { resolve, reject } = waiting.get(id);
      waiting.delete(id);
      if (error) reject(new Error(error.message));
      else resolve(result);
    } else if (method === "Target.attachedToTarget" && params.targetInfo.type === "worker") {
      if (sessionId === page) {
        worker = params.sessionId;
        // One that has ended already answers with an error.
        attach(worker).catch(() => undefined);
      } else inner.add(params.sessionId);
    } else if (method === "Target.detachedFromTarget") {
      inner.delete(params.sessionId);
      if (params.sessionId === worker) worker = undefined;
    }
  };
  let rest = "";
  output.setEncoding("utf8").on("data", (text) => {
    const messages = (rest + text).split("\0");
    rest = messages.pop();
    for (const message of messages) take(JSON.parse(message));
  });

  const send = (method, params = {}, sessionId = undefined) =>
    new Promise((resolve, reject) => {
      last += 1;
      waiting.set(last, { resolve, reject });
      input.write(`${JSON.stringify({ id: last, method, params, sessionId })}\0`);
    });
  const late = new Promise((_, reject) => {
    setTimeout(() => reject(new Error("Chromium did not start")), START_MS).unref();
  });
  const { targetId } = await Promise.race([send("Target.createTarget", { url: "about:blank" }), late]);
  page = (await send("Target.attachToTarget", { targetId, flatten: true })).sessionId;
  await attach(page);

  const evaluate = async (expression) => {
    const { result, exceptionDetails } = await send("Runtime.evaluate", { expression, returnByValue: true, awaitPromise: true }, page);
    if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
    return result.value;
  };
  const navigate = async (url) => {
    await send("Page.navigate", { url }, page);
    while ((await evaluate("`${location.href} ${document.readyState}`")) !== `${url} complete`) {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  };
  const close = async () => {
    await Promise.race([send("Browser.close").catch(() => undefined), exited]);
    await exited;
    await rm(home, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  };
  return { send, navigate, evaluate, worker: () => worker, inner: () => [...inner], close };
}
