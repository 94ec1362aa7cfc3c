/* The keyboard. Single keys do nothing while one types, and can be switched off. */
"use strict";
{
  const KEY = "tfvis.keys";

  /** Listens for keys; `actions` returns those of the page shown. */
  tfvis.keys = (actions) => {
    const dialog = tfvis.dom.find("keys", HTMLDialogElement);
    const used = tfvis.dom.find("shortcuts", HTMLInputElement);
    used.checked = tfvis.memory.get(KEY) !== "0";
    used.addEventListener("change", () =>
      tfvis.memory.set(KEY, used.checked ? "1" : "0"),
    );
    const open = () => {
      dialog.showModal();
      // Not its last button, to which a small screen would scroll.
      dialog.focus();
      dialog.scrollTop = 0;
    };
    tfvis.dom.find("help", HTMLButtonElement).addEventListener("click", open);

    document.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented)
        return;
      const target = /** @type {HTMLElement} */ (event.target);
      const typing = target.closest("input, select, textarea");
      if (typing && !(event.key === "Escape" && target.id === "search")) return;
      if (!used.checked || dialog.open) return;
      if (event.key === "?") {
        event.preventDefault();
        open();
        return;
      }
      const action = actions()[event.key];
      // An action that has nothing to do leaves the key to the browser (scrolling).
      if (action && action() !== false) event.preventDefault();
    });
  };
}
