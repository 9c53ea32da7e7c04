/** Light, dark or as the system has it, remembered by the browser. No module: it runs before anything is drawn, so that nothing flashes. */
(() => {
  const KEY = "rebellion.theme";
  const CHOICES = ["system", "light", "dark"];
  const systemIsDark = matchMedia("(prefers-color-scheme: dark)");
  const changes = new EventTarget();
  let choice = remembered();

  /** A browser that remembers nothing for pages (private windows, settings) throws; then the system decides. */
  function remembered() {
    try {
      return CHOICES.find((known) => known === localStorage.getItem(KEY)) ?? "system";
    } catch {
      return "system";
    }
  }

  function apply() {
    document.documentElement.dataset.theme = choice === "system" ? (systemIsDark.matches ? "dark" : "light") : choice;
    changes.dispatchEvent(new Event("change"));
  }

  function next() {
    choice = CHOICES[(CHOICES.indexOf(choice) + 1) % CHOICES.length];
    try {
      localStorage.setItem(KEY, choice);
    } catch {
      // It holds until the page is closed.
    }
    apply();
  }

  systemIsDark.addEventListener("change", apply);
  globalThis.rebellionTheme = { changes, next, get choice() { return choice; } };
  apply();
})();
