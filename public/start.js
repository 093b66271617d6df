// Starts the app. The build names its two hashed files in links, so that the page needs no inline script.
//
// A page that a browser or a host kept too long names files that are gone. One load past the caches heals that; when it
// does not, the page says so.
const ONCE = "tern-start-healed";
const address = (id) => document.getElementById(id).href;

try {
  const { default: init } = await import(address("app-glue"));
  await init({ module_or_path: address("app-wasm") });
  remember(false);
} catch (error) {
  console.error(error);
  if (!(await heal())) {
    document.getElementById("boot-status")?.toggleAttribute("hidden", true);
    document.getElementById("boot-failed")?.toggleAttribute("hidden", false);
  }
}

/** Loads the page again, once; false if that has been tried, cannot be remembered, or the server does not answer. */
async function heal() {
  try {
    if (sessionStorage.getItem(ONCE) !== null) return false;
    const page = await fetch("./", { cache: "reload" });
    if (!page.ok || !remember(true)) return false;
    location.reload();
    return true;
  } catch {
    return false;
  }
}

/** Notes that the page was loaded again, or forgets it; false where the browser keeps no notes. */
function remember(healed) {
  try {
    if (healed) sessionStorage.setItem(ONCE, "1");
    else sessionStorage.removeItem(ONCE);
    return true;
  } catch {
    return false;
  }
}
