// The screen of a first visit: what the model is and needs, one button, and how far the download is.
export class FirstRun {
  constructor(page) {
    this.page = page;
    this.heading = page.getByRole("heading", { name: "A language model that lives on this device" });
    this.download = page.getByTestId("download");
    this.another = page.getByRole("button", { name: "Another model…", exact: true });
    this.fromFiles = page.getByTestId("first-from-files");
    this.fit = page.locator(".fit");
    this.memoryDetails = page.getByText("Memory details", { exact: true });
    this.pause = page.getByRole("button", { name: "Pause", exact: true });
    this.resume = page.getByRole("button", { name: "Resume", exact: true });
    this.progress = page.getByRole("progressbar", { name: "Loading the model" });
    this.installHint = page.getByTestId("install-hint");
    this.skipInstall = page.getByRole("button", { name: "Use this tab instead" });
  }

  /** How much of the model has come, from 0 to 1. */
  done() {
    return this.progress.evaluate(({ value, max }) => value / max);
  }

  /** The facts about the model by their labels. */
  async facts() {
    const pairs = await this.page.locator("dl.facts > div").evaluateAll((lines) =>
      lines.map((line) => [line.querySelector("dt").innerText.trim(), line.querySelector("dd").innerText.trim()]),
    );
    return Object.fromEntries(pairs);
  }
}
