// The list of chats.
export class Sidebar {
  constructor(page) {
    this.page = page;
    this.list = page.getByRole("navigation", { name: "Chats", exact: true });
    this.show = page.getByRole("button", { name: "Show chats", exact: true });
    this.hide = page.getByRole("button", { name: "Hide chats", exact: true });
    this.search = page.getByRole("searchbox", { name: "Search chats" });
    this.settings = this.list.getByRole("button", { name: "Settings", exact: true });
    this.titleField = this.list.getByRole("textbox", { name: "Title", exact: true });
    this.undo = page.getByRole("button", { name: "Undo", exact: true });
  }

  /** Shows the list if it is not there. */
  async open() {
    if (await this.show.isVisible()) await this.show.click();
    await this.list.waitFor();
  }

  /** Titles of the chats, in the list's order. */
  async titles() {
    return (await this.list.locator(".chat-title").allInnerTexts()).map((title) => title.trim());
  }

  chat(title) {
    return this.list.getByRole("button", { name: title, exact: true });
  }

  /** Chooses from a chat's menu: "Rename", "Export as Markdown" or "Delete". */
  async choose(title, entry) {
    await this.list.getByRole("button", { name: `Options for ${title}`, exact: true }).click();
    await this.list.getByRole("button", { name: entry, exact: true }).filter({ visible: true }).click();
  }

  async rename(title, other) {
    await this.choose(title, "Rename");
    await this.titleField.fill(other);
    await this.titleField.press("Enter");
    await this.chat(other).waitFor();
  }

  async delete(title) {
    await this.choose(title, "Delete");
    await this.undo.waitFor();
  }

  /** Deletes the chat that was not used for the longest time. */
  async deleteOldest() {
    const rows = this.list.locator("li.chat");
    const count = await rows.count();
    await rows.last().getByRole("button", { name: /^Options for / }).click();
    await rows.last().getByRole("button", { name: "Delete", exact: true }).click();
    await this.page.waitForFunction((most) => document.querySelectorAll("#chats li.chat").length < most, count);
  }
}
