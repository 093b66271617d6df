// The settings of the app.
export class SettingsPage {
  constructor(page) {
    this.page = page;
    this.heading = page.getByRole("heading", { name: "Settings", exact: true, level: 1 });
    this.done = page.getByRole("button", { name: "Done", exact: true });
    this.exportAll = page.getByRole("button", { name: "Export all chats", exact: true });
    this.import = page.getByRole("button", { name: "Import chats", exact: true });
    this.erase = page.getByRole("button", { name: "Erase everything", exact: true });
    this.model = page.getByRole("region", { name: "Model", exact: true });
    this.address = page.getByRole("textbox", { name: "Address of a model" });
    this.lookUp = page.getByRole("button", { name: "Look up", exact: true });
    this.found = page.getByTestId("looked-up");
    this.useFound = page.getByTestId("use-found");
    this.lookFailed = page.getByTestId("look-failed");
    this.fromFiles = page.getByTestId("from-files");
    this.queueFound = page.getByTestId("queue-found");
    this.known = page.getByTestId("known-models");
    this.downloads = page.getByTestId("downloads");
    this.sheet = page.getByTestId("model-details");
    this.checkFiles = page.getByTestId("check-files");
    this.checkResult = page.getByTestId("check-result");
    this.allowHost = page.getByTestId("allow-host");
    this.allow = page.getByTestId("allow");
    this.room = page.getByTestId("room");
    this.precision = page.getByTestId("precision");
    this.hostProblem = page.getByTestId("host-problem");
    this.hosts = page.getByRole("region", { name: "Allowed servers", exact: true });
  }

  /** The button that shows what is known of the stored model of this name. */
  details(name) {
    return this.model.getByRole("button", { name: `Details: ${name}`, exact: true });
  }

  /** A button of the model of this name in the queue of downloads. */
  queueButton(words, name) {
    return this.downloads.getByRole("button", { name: `${words}: ${name}`, exact: true });
  }

  /** The names in the queue of downloads, in order. */
  queueNames() {
    return this.downloads.locator(".model > div > p:first-child").allInnerTexts();
  }

  async open() {
    await this.page.keyboard.press("Control+,");
    await this.heading.waitFor();
  }

  /** The button that saves the stored model of this name to a file. */
  save(name) {
    return this.model.getByRole("button", { name: `Save to Files: ${name}`, exact: true });
  }

  /** The button that no longer allows a server. */
  removeHost(origin) {
    return this.hosts.getByRole("button", { name: `Remove ${origin.replace("https://", "")}`, exact: true });
  }

  theme(name) {
    return this.page.getByRole("group", { name: "Theme" }).getByRole("radio", { name, exact: true });
  }

  textSize(name) {
    return this.page.getByRole("group", { name: "Text size" }).getByRole("radio", { name, exact: true });
  }

  /** Whether answers come at full speed or save energy. */
  answers(name) {
    return this.page.getByRole("group", { name: "Answers" }).getByRole("radio", { name, exact: true });
  }

  /** A button of the question that is open. */
  answer(name) {
    return this.page.getByRole("dialog").getByRole("button", { name, exact: true });
  }
}
