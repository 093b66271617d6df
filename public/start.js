// Starts the app: the build names its two hashed files in links, so that the page needs no inline script.
const address = (id) => document.getElementById(id).href;
const { default: init } = await import(address("app-glue"));
await init({ module_or_path: address("app-wasm") });
