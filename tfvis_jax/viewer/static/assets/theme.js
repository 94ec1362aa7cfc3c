/* The colour theme; runs before the first paint so that nothing flashes. */
(function (/** @type {Tfvis} */ tfvis) {
  "use strict";

  const KEY = "tfvis.theme";
  const THEMES = ["auto", "light", "dark"];
  const NAMES = { auto: "◐ Auto", light: "○ Light", dark: "● Dark" };

  /** What the browser remembers; nothing where it is not allowed to. */
  tfvis.memory = {
    /** @param {string} key @returns {string|null} */
    get(key) {
      try {
        return localStorage.getItem(key);
      } catch {
        return null;
      }
    },
    /** @param {string} key @param {string} value */
    set(key, value) {
      try {
        localStorage.setItem(key, value);
      } catch {
        // Private windows may forbid it; the choice then lasts as long as the page.
      }
    },
  };

  let theme = tfvis.memory.get(KEY);
  if (!THEMES.includes(theme)) theme = "auto";

  function apply() {
    document.documentElement.dataset.theme = theme;
  }

  /** Makes a button step through the themes. @param {HTMLButtonElement} button */
  tfvis.themeSwitch = function (button) {
    function label() {
      button.textContent = NAMES[theme];
      button.setAttribute("aria-label", `Colour theme: ${theme}. Change`);
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
})((window.tfvis = window.tfvis || /** @type {any} */ ({})));
