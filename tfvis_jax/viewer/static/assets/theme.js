/* The colour theme. The first script: it makes `tfvis`, and sets the theme before the
   first paint so that nothing flashes. */
"use strict";
window.tfvis = /** @type {Tfvis} */ ({});
{
  const KEY = "tfvis.theme";
  /** In the order in which the button steps through them. */
  const NAMES = { auto: "◐ Auto", light: "○ Light", dark: "● Dark" };
  const THEMES = /** @type {(keyof typeof NAMES)[]} */ (Object.keys(NAMES));

  /** What the browser remembers; nothing where storage is blocked. */
  tfvis.memory = {
    get(key) {
      try {
        return localStorage.getItem(key);
      } catch {
        return null;
      }
    },
    set(key, value) {
      try {
        localStorage.setItem(key, value);
      } catch {
        // Private windows may block storage; the choice then lasts as long as the page.
      }
    },
  };

  const kept = tfvis.memory.get(KEY);
  let theme = THEMES.find((name) => name === kept) ?? "auto";

  function apply() {
    document.documentElement.dataset.theme = theme;
  }

  /** Makes a button step through the themes. */
  tfvis.themeSwitch = (button) => {
    function label() {
      button.textContent = NAMES[theme];
      button.setAttribute("aria-label", `Colour theme: ${theme}. Click to change.`);
    }
    button.addEventListener("click", () => {
      theme = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length];
      tfvis.memory.set(KEY, theme);
      apply();
      label();
    });
    label();
  };

  apply();
}
