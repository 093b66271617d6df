// The diagnostics: what the device offers, what can be tried on it, what happened lately.
import { readFile } from "node:fs/promises";

/** What the address has behind it. */
export const HASH = "#diagnose";

export class DiagnosticsPage {
  constructor(page) {
    this.page = page;
    this.heading = page.getByRole("heading", { name: "Diagnostics", exact: true, level: 1 });
    this.open = page.getByRole("button", { name: "Diagnostics", exact: true });
    this.done = page.getByRole("button", { name: "Done", exact: true });
    this.graphics = page.getByRole("region", { name: "Graphics processor", exact: true });
    this.limits = page.getByRole("region", { name: "Limits, offered and granted", exact: true });
    this.storage = page.getByRole("region", { name: "Storage", exact: true });
    this.runSelfTest = page.getByRole("button", { name: "Run self-test", exact: true });
    this.runBenchmark = page.getByRole("button", { name: "Run benchmark", exact: true });
    this.cancel = page.getByRole("button", { name: "Cancel", exact: true });
    this.loseDevice = page.getByRole("button", { name: "Lose the GPU", exact: true });
    this.selfTest = page.getByTestId("self-test");
    this.benchmark = page.getByTestId("benchmark");
    this.flight = page.getByRole("region", { name: "Recent events, newest first", exact: true });
    this.copy = page.getByRole("button", { name: "Copy report", exact: true });
    this.save = page.getByTestId("save-report");
  }

  /** The facts of a region by their names. */
  async facts(region) {
    const pairs = await region.locator(".line").evaluateAll((lines) =>
      lines.map((line) => [line.querySelector("dt").innerText.trim(), line.querySelector("dd").innerText.trim()]),
    );
    return Object.fromEntries(pairs);
  }

  /** Saves the report, and returns the file's name and text. */
  async report() {
    const [download] = await Promise.all([this.page.waitForEvent("download"), this.save.click()]);
    return { name: download.suggestedFilename(), text: await readFile(await download.path(), "utf8") };
  }
}
