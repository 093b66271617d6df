// Every screen that the app can show, and the way there: for the accessibility checks and the pictures.
import { DEFAULTS, FIRST_VISIT, fakeWorker, inFake, replaceWorker } from "./fake.mjs";
import { ChatPage } from "./pages/chat.mjs";

/**
 * A state: the worker's script, the browser's context, what runs before the page, the address, and what is done then.
 * A variation has other words in the same places as another state. What `narrow` does is done again in a window where the list
 * of chats lies above the chat, and is closed at first; `resized` in every window.
 * @typedef {{name, script?, context?, init?, parameters?, isVariation?, steps?, narrow?, resized?}} State
 */

const MARKDOWN = `## Seabirds of the north

Terns are **slender** seabirds with *long* pointed wings. They weigh 90 to 130 g and fly farther than any other animal.

1. The Arctic tern breeds in the north.
2. It winters in the far south:
   - more daylight than any other creature,
   - about 70,000 km a year.

| Bird | Wingspan | Weight | Where it winters |
| --- | ---: | ---: | --- |
| Arctic tern | 75–85 cm | 90–120 g | Antarctic pack ice |
| Common tern | 77–98 cm | 110–140 g | Tropical coasts |
| Caspian tern | 127–140 cm | 530–780 g | West Africa |

> A bird does not sing because it has an answer.

\`\`\`rust
/// Kilometres in a lifetime.
fn lifetime(years: u32) -> u32 {
    const KM_PER_YEAR: u32 = 70_000;
    years * KM_PER_YEAR // a long line of code that does not fit on a narrow screen and has to scroll
}
\`\`\`

Read more at [Wikipedia](https://en.wikipedia.org/wiki/Tern), or ask for \`Sterna paradisaea\`.`;

/** A model that is converted can be had in three. */
const PRECISIONS = [
  { precision: "Q8", model_url: DEFAULTS.offer.model_url, weight_bytes: 700e6 },
  { precision: "Q6", model_url: `${DEFAULTS.offer.model_url}#embed=q6`, weight_bytes: 618e6 },
  { precision: "Q4", model_url: `${DEFAULTS.offer.model_url}#embed=q4`, weight_bytes: 536e6 },
];

const QUESTIONS = [
  "What is the difference between a tern and a gull?",
  "Give me a packing list for two days at the coast",
  "How do I boil a soft egg?",
  "Translate “good morning” into French",
];
const ANSWERS = {
  "Tell me about terns": MARKDOWN,
  [QUESTIONS[0]]: "Terns are slimmer, have forked tails and dive for fish. Gulls are heavier and eat almost anything.",
  [QUESTIONS[1]]: "- Rain jacket\n- Two pairs of socks\n- Binoculars\n- Sunscreen",
  [QUESTIONS[2]]: "Six minutes in boiling water, then cold water.",
  [QUESTIONS[3]]: "Bonjour.",
};

const ask = (question) => async (chat) => {
  await chat.ask(question);
  await chat.finished();
};

async function someChats(chat) {
  for (const question of [...QUESTIONS, "Tell me about terns"]) {
    if (await chat.newChat.isEnabled()) await chat.newChat.click();
    await ask(question)(chat);
  }
  await chat.sidebar.open();
}

/** A menu closes when the window changes its size. */
async function openMenu(chat) {
  const menu = chat.sidebar.list.getByRole("button", { name: "Rename" }).filter({ visible: true });
  if (!(await menu.isVisible())) await chat.sidebar.list.getByRole("button", { name: `Options for ${QUESTIONS[2]}` }).click();
}

async function rename(chat) {
  await chat.sidebar.choose(QUESTIONS[2], "Rename");
  await chat.sidebar.titleField.waitFor();
}

const scrollToEnd = (chat) => chat.page.locator("main").evaluate((main) => main.scrollTo(0, main.scrollHeight));

const BROKEN_DATABASE = () => {
  IDBFactory.prototype.open = () => {
    throw new DOMException("The operation is insecure.", "SecurityError");
  };
};
const NO_WEBGPU = () => delete Navigator.prototype.gpu;
const fault = (code, retry, detail = "expected 1, got 2") => ({ code, retry, detail });
const NO_ADAPTER = fault("NoAdapter", "Again", "requestAdapter gave null");

/** The states, in the order of a person's first hour. */
export const STATES = [
  { name: "first-run", script: { offer: FIRST_VISIT }, steps: (chat) => chat.firstRun.download.waitFor() },
  {
    name: "first-run-ipad-hint",
    script: { offer: FIRST_VISIT },
    context: { userAgent: "Mozilla/5.0 (iPad; CPU OS 26_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.0 Mobile/15E148 Safari/604.1" },
    steps: (chat) => chat.firstRun.installHint.waitFor(),
  },
  {
    name: "first-run-too-large",
    script: { offer: { ...FIRST_VISIT, fit: { TooLarge: { detail: "needs 3.1 GB, this browser allows 1.0 GB" } } } },
    steps: (chat) => chat.firstRun.download.waitFor(),
  },
  {
    name: "first-run-no-room",
    script: {
      offer: { ...FIRST_VISIT, fit: { TooLarge: { detail: "the download needs 870 MB, the browser lets 120 MB be stored" } }, missing_bytes: 750e6, precisions: PRECISIONS },
      storage: { ...DEFAULTS.storage, models: [{ ...DEFAULTS.storage.models[0], model_url: "https://a.example/m/", name: "A model from before" }] },
    },
    steps: async (chat) => {
      await chat.settings.room.waitFor();
      await chat.firstRun.memoryDetails.click();
    },
  },
  {
    name: "settings-allow-host",
    steps: async (chat) => {
      await chat.waitFor("ready");
      await chat.settings.open();
      await inFake(chat.page, () => {
        const host = "https://models.example.org";
        self.fake.script.inspectFault = { code: "HostNotAllowed", detail: `${host} is not allowed yet`, retry: "Again", host };
      });
      await chat.settings.address.fill("https://models.example.org/one.gguf");
      await chat.settings.lookUp.click();
      await chat.settings.allow.scrollIntoViewIfNeeded();
    },
  },
  {
    name: "settings-hosts",
    init: async () => {
      const cache = await caches.open("tern-hosts /");
      const hosts = ["https://a-rather-long-name-of-a-server.models.example.org:8443", "https://models.example.org"];
      await cache.put("/allowed-hosts", new Response(JSON.stringify(hosts)));
    },
    steps: async (chat) => {
      await chat.waitFor("ready");
      await chat.reload();
      await chat.settings.open();
      await chat.settings.hosts.scrollIntoViewIfNeeded();
    },
  },
  {
    name: "first-run-private",
    script: { offer: { ...FIRST_VISIT, storage: { Unavailable: { detail: "SecurityError" } } } },
    steps: (chat) => chat.firstRun.download.waitFor(),
  },
  {
    name: "first-run-offline",
    script: { offer: FIRST_VISIT },
    steps: async (chat) => {
      await chat.firstRun.download.waitFor();
      await chat.context.setOffline(true);
      await chat.page.getByText("There is no connection.").waitFor();
    },
  },
  {
    name: "downloading",
    script: { offer: FIRST_VISIT, holdLoad: true, loadMillis: 700 },
    steps: async (chat) => {
      await chat.firstRun.download.click();
      await chat.page.waitForFunction(() => Number(document.querySelector("progress")?.value) > 2e7);
    },
  },
  {
    name: "download-paused",
    script: { offer: FIRST_VISIT, holdLoad: true },
    steps: async (chat) => {
      await chat.firstRun.download.click();
      await chat.page.waitForFunction(() => Number(document.querySelector("progress")?.value) > 2e7);
      await chat.firstRun.pause.click();
      await chat.firstRun.resume.waitFor();
    },
  },
  {
    name: "download-stopped",
    script: { offer: { ...FIRST_VISIT, stored_bytes: 20_100_000 } },
    steps: (chat) => chat.firstRun.download.waitFor(),
  },
  { name: "empty-chat", steps: (chat) => chat.waitFor("ready") },
  { name: "conversation", script: { answers: ANSWERS }, steps: async (chat) => {
    await ask(QUESTIONS[0])(chat);
    await ask("Tell me about terns")(chat);
  } },
  { name: "conversation-start", script: { answers: ANSWERS }, steps: async (chat) => {
    await ask("Tell me about terns")(chat);
    await chat.page.locator("main").evaluate((main) => main.scrollTo(0, 0));
  } },
  { name: "reading-prompt", script: { answers: ANSWERS, holdAfter: 0 }, steps: (chat) => chat.ask(QUESTIONS[0]) },
  { name: "streaming", script: { answers: ANSWERS, holdAfter: 60 }, steps: async (chat) => {
    await chat.ask("Tell me about terns");
    await chat.waitForTokens(60);
  } },
  { name: "stopped", script: { answers: ANSWERS, holdAfter: 40 }, steps: async (chat) => {
    await chat.ask("Tell me about terns");
    await chat.waitForTokens(40);
    await chat.stop.click();
    await chat.goOn.waitFor();
  } },
  { name: "trimmed", script: { answers: ANSWERS, trimmed: 4 }, steps: ask(QUESTIONS[1]) },
  { name: "recovering", script: { answers: ANSWERS, holdAfter: 30 }, steps: async (chat) => {
    await chat.ask("Tell me about terns");
    await chat.waitForTokens(30);
    await inFake(chat.page, () => self.fake.post({ Status: { DeviceLost: { detail: "the GPU process crashed" } } }));
    await chat.waitFor("recovering");
  } },
  { name: "slowed", isVariation: true, script: { answers: ANSWERS, holdAfter: 60 }, steps: async (chat) => {
    await chat.ask("Tell me about terns");
    await chat.waitForTokens(60);
    await inFake(chat.page, () => self.fake.post({ Slowdown: { id: self.fake.running.id, is_slow: true, percent: 41 } }));
    await chat.page.getByText("This device has slowed down").waitFor();
  } },
  { name: "editing", script: { answers: ANSWERS }, steps: async (chat) => {
    await ask(QUESTIONS[0])(chat);
    await chat.questions.first().hover();
    await chat.questions.first().getByRole("button", { name: "Edit question" }).click();
  } },
  { name: "sidebar", script: { answers: ANSWERS }, steps: someChats, narrow: (chat) => chat.sidebar.open() },
  { name: "sidebar-menu", script: { answers: ANSWERS }, steps: async (chat) => {
    await someChats(chat);
    await openMenu(chat);
  }, narrow: async (chat) => {
    await chat.sidebar.open();
    await openMenu(chat);
  } },
  { name: "sidebar-rename", script: { answers: ANSWERS }, steps: async (chat) => {
    await someChats(chat);
    await rename(chat);
  }, narrow: async (chat) => {
    await chat.sidebar.open();
    if (!(await chat.sidebar.titleField.isVisible())) await rename(chat);
  } },
  { name: "undo", script: { answers: ANSWERS }, steps: async (chat) => {
    await someChats(chat);
    await chat.sidebar.delete(QUESTIONS[3]);
  }, narrow: (chat) => chat.sidebar.open() },
  { name: "settings", script: { answers: ANSWERS }, steps: async (chat) => {
    await ask(QUESTIONS[3])(chat);
    await chat.settings.open();
  } },
  { name: "settings-energy", isVariation: true, steps: async (chat) => {
    await chat.waitFor("ready");
    await chat.settings.open();
    await chat.settings.answers("Save energy").check();
  }, resized: (chat) => chat.settings.answers("Save energy").scrollIntoViewIfNeeded() },
  { name: "settings-downloads", script: { holdWork: true }, steps: async (chat) => {
    await chat.waitFor("ready");
    await chat.settings.open();
    await chat.settings.known.locator("summary").click();
    for (const name of ["BitNet b1.58 2B-4T", "Falcon-E 3B Instruct"]) {
      await chat.page.getByRole("button", { name: `Download for later: ${name}`, exact: true }).click();
    }
    await chat.settings.downloads.getByText(/Downloading · /).waitFor();
  }, resized: (chat) => chat.settings.heading.scrollIntoViewIfNeeded() },
  { name: "settings-known", steps: async (chat) => {
    await chat.waitFor("ready");
    await chat.settings.open();
    await chat.settings.known.locator("summary").click();
  }, resized: (chat) => chat.settings.known.evaluate((list) => list.scrollIntoView()) },
  { name: "first-run-known", isVariation: true, script: { offer: FIRST_VISIT }, steps: async (chat) => {
    await chat.firstRun.download.waitFor();
    await chat.settings.known.locator("summary").click();
  }, resized: (chat) => chat.settings.known.evaluate((list) => list.scrollIntoView()) },
  { name: "model-details", steps: async (chat) => {
    await chat.waitFor("ready");
    await chat.settings.open();
    await chat.settings.details("tern-135m").click();
    await chat.settings.checkFiles.click();
    await chat.settings.checkResult.getByText("was replaced").waitFor();
    await chat.settings.sheet.getByText("Hashes of the stored files").click();
  } },
  { name: "settings-end", steps: async (chat) => {
    await chat.waitFor("ready");
    await chat.settings.open();
    await chat.settings.erase.waitFor();
  }, resized: scrollToEnd },
  { name: "diagnostics", script: { answers: ANSWERS }, steps: async (chat) => {
    await ask(QUESTIONS[3])(chat);
    await chat.page.evaluate(() => (location.hash = "#diagnose"));
    await chat.diagnostics.runSelfTest.click();
    await chat.diagnostics.selfTest.getByText("Passed").waitFor();
    await chat.diagnostics.runBenchmark.click();
    await chat.diagnostics.benchmark.getByText("Reads").waitFor();
    await chat.diagnostics.loseDevice.click();
    await chat.diagnostics.flight.getByText("the model is back").waitFor();
    await chat.waitFor("ready");
  } },
  { name: "diagnostics-end", steps: async (chat) => {
    await chat.waitFor("ready");
    await chat.page.evaluate(() => (location.hash = "#diagnose"));
    await chat.diagnostics.limits.waitFor();
  }, resized: scrollToEnd },
  { name: "diagnostics-measuring", script: { holdBenchmark: true }, steps: async (chat) => {
    await chat.waitFor("ready");
    await chat.page.evaluate(() => (location.hash = "#diagnose"));
    await chat.diagnostics.runBenchmark.click();
    await chat.diagnostics.benchmark.getByText("Writing").waitFor();
  } },
  { name: "diagnostics-no-webgpu", init: NO_WEBGPU, script: { deviceFault: fault("NoWebGpu", "Never") }, steps: async (chat) => {
    await chat.fault.waitFor();
    await chat.diagnostics.open.click();
    await chat.diagnostics.heading.waitFor();
  } },
  { name: "countdown", script: { answers: ANSWERS, holdAfter: 30, loadFaults: [null, NO_ADAPTER] }, steps: async (chat, server) => {
    await chat.ask("Tell me about terns");
    await chat.waitForTokens(30);
    replaceWorker(server, await fakeWorker({ loadFault: NO_ADAPTER }));
    await inFake(chat.page, () => self.fake.post({ Status: { DeviceLost: { detail: "the GPU process crashed" } } }));
    await chat.page.getByTestId("try-now").waitFor();
  } },
  { name: "confirm-erase", steps: async (chat) => {
    await chat.waitFor("ready");
    await chat.settings.open();
    await chat.settings.erase.click();
    await chat.page.getByRole("dialog").waitFor();
  } },
  { name: "confirm-delete-model", steps: async (chat) => {
    await chat.waitFor("ready");
    await chat.settings.open();
    await chat.settings.model.getByRole("button", { name: "Delete", exact: true }).click();
    await chat.page.getByRole("dialog").waitFor();
  } },
  { name: "chat-settings", steps: async (chat) => {
    await chat.waitFor("ready");
    await chat.page.getByRole("button", { name: "Chat options" }).click();
    await chat.page.getByRole("dialog").waitFor();
  } },
  { name: "link", script: { answers: ANSWERS }, steps: async (chat) => {
    await ask("Tell me about terns")(chat);
    await chat.answers.last().getByText("Wikipedia").click();
    await chat.page.getByRole("dialog").waitFor();
  } },
  { name: "elsewhere", script: { answers: ANSWERS }, steps: async (chat) => {
    await ask(QUESTIONS[0])(chat);
    chat.attach(await chat.context.newPage());
    await chat.go();
    await chat.page.getByRole("button", { name: "Use here" }).waitFor();
    await chat.sidebar.open();
  } },
  { name: "chats-not-saved", init: BROKEN_DATABASE, script: { answers: ANSWERS }, steps: async (chat) => {
    await chat.waitFor("ready");
    await chat.page.getByRole("alert").first().waitFor();
  } },
  { name: "answer-failed", script: { answers: ANSWERS, failAfter: 12, answerFault: fault("Gpu", "Again") }, steps: async (chat) => {
    await chat.ask("Tell me about terns");
    await chat.finished();
  } },
  { name: "fault-no-webgpu", init: NO_WEBGPU, script: { loadFault: fault("NoWebGpu", "Never", "navigator.gpu is absent") }, steps: (chat) => chat.fault.waitFor() },
  ...[
    ["NoAdapter", "Again"], ["LimitsTooSmall", "Never"], ["OutOfMemory", "Again"], ["DeviceLost", "Again"], ["Gpu", "Again"],
    ["Network", "Again"], ["NotFound", "Again"], ["BadModel", "Never"], ["Corrupt", "Again"], ["StorageFull", "Again"],
    ["Storage", "Reload"], ["NoChat", "Never"],
  ].map(([code, retry]) => ({
    name: `fault-${code.replace(/[A-Z]/g, (letter, at) => (at ? "-" : "") + letter.toLowerCase())}`,
    script: {
      loadFault: { ...fault(code, retry), missing_bytes: code === "StorageFull" ? 213_400_000 : undefined },
      offer: code === "Network" ? FIRST_VISIT : DEFAULTS.offer,
    },
    parameters: { start: 1 },
    isVariation: code !== "NoAdapter",
    steps: (chat) => chat.fault.waitFor(),
  })),
];

/** The width of windows below which the list of chats lies above the chat. */
const NARROW = 900;

/** Gives the window another size, and the state what it has there. */
export async function resize(chat, state, viewport) {
  await chat.page.setViewportSize(viewport);
  // The page hears of its new size with a frame.
  await chat.page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
  if (viewport.width < NARROW) await state.narrow?.(chat);
  await state.resized?.(chat);
}

/**
 * Opens the app in a state.
 *
 * @returns {Promise<ChatPage>} to be closed by its `close()`
 */
export async function reach(browser, server, state, context = {}) {
  replaceWorker(server, await fakeWorker(state.script));
  const opened = await browser.newContext({ hasTouch: true, ...state.context, ...context });
  if (state.init) await opened.addInitScript(state.init);
  const chat = await ChatPage.visit(opened, server.url, state.parameters);
  await state.steps?.(chat, server);
  return chat;
}
