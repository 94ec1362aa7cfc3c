/* The controls above the list: levels, peak layer, dead factors. */
"use strict";
{
  const { el } = tfvis.dom;
  const { data, format, glyphs } = tfvis;

  /** Rows below which the end of the page is near. */
  const LONG = 30;

  tfvis.filters = (manifest, act) => {
    const { counts, level_names: names, layers } = manifest;
    const nDead = counts.factors - counts.alive;

    /** @param {string} value @param {...Child} label */
    const level = (value, ...label) =>
      el(
        "button",
        {
          type: "button",
          class: "chip",
          "data-level": value,
          on: { click: () => act.change({ level: value }) },
        },
        label,
      );
    const counted = names.map(() => el("small"));
    const chips = [
      level("", "all"),
      names.map((name, i) => level(name, glyphs.level(name), counted[i])),
    ].flat();
    /** @type {HTMLSelectElement} */
    const peak = el(
      "select",
      { on: { change: () => act.change({ peak: peak.value }) } },
      el("option", { value: "" }, "any"),
      layers.map((layer, i) => el("option", { value: i }, layer)),
    );
    /** @type {HTMLInputElement} */
    const dead = el("input", {
      type: "checkbox",
      on: { change: () => act.change({ dead: dead.checked }) },
    });
    const title = el("h2", { id: "factors-title" });
    const end = el(
      "button",
      {
        type: "button",
        class: "quiet",
        on: { click: () => tfvis.dom.find("foot", HTMLElement).focus() },
      },
      "End of the page ↓",
    );
    const count = el("p", { class: "found", role: "status" });

    return {
      element: el(
        "div",
        { class: "filters", role: "group", "aria-label": "Filters" },
        el("div", { class: "chips", role: "group", "aria-label": "Level" }, chips),
        el("label", { class: "field" }, "Peak layer ", peak),
        nDead > 0 &&
          el(
            "label",
            { class: "check" },
            dead,
            ` Show dead factors (${format.count(nDead)})`,
          ),
      ),
      head: el(
        "div",
        { class: "factors-head" },
        title,
        count,
        end,
        el(
          "button",
          { type: "button", class: "button", on: { click: act.random } },
          "Random factor",
        ),
      ),

      focus(level) {
        const chip = chips.find((each) => each.dataset.level === level);
        chip?.focus({ preventScroll: true });
      },

      show(choice, found, levels) {
        title.textContent = choice.q ? `Factors for “${choice.q}”` : "All factors";
        peak.value = choice.peak;
        dead.checked = choice.dead;
        for (const chip of chips) {
          const pressed = chip.dataset.level === choice.level;
          chip.setAttribute("aria-pressed", String(pressed));
        }
        for (const [i, part] of counted.entries()) {
          part.textContent = format.count(levels[i]);
          // A level without factors would only take room. The first chip is "all".
          chips[i + 1].hidden = data.levelCount(i) === 0;
        }
        end.hidden = found < LONG;
        const all = choice.dead ? counts.factors : counts.alive;
        count.textContent =
          found === all
            ? format.count(found)
            : `${format.count(found)} of ${format.count(all)}`;
      },
    };
  };
}
