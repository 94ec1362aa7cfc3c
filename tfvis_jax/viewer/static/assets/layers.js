/* The curve and, under it, the table of its values: one column per layer. */
"use strict";
{
  const { el } = tfvis.dom;
  const { format } = tfvis;
  const GUTTER = 92;
  const COLUMN = 62;

  tfvis.layersPanel = (factor, layers, choose) => {
    let chosen = 0;
    const chart = el("div", { class: "chart-box" });
    const buttons = layers.map((layer, i) =>
      el(
        "button",
        {
          type: "button",
          class: "layer",
          "aria-label": `Layer ${layer}`,
          on: { click: () => choose(i) },
        },
        layer,
      ),
    );
    const heads = buttons.map((button) => el("th", { scope: "col" }, button));
    /** @param {string} label @param {string} title @param {Child} cells */
    const line = (label, title, cells) =>
      el("tr", null, el("th", { scope: "row", title }, label), cells);
    const table = el(
      "table",
      { class: "values" },
      el("caption", { class: "unseen" }, `Factor ${factor.factor} by layer`),
      el("thead", null, el("tr", null, el("th", { scope: "row" }, "Layer"), heads)),
      el(
        "tbody",
        null,
        line(
          "Importance",
          "Mean of the top-n activations in the layer",
          factor.importance.map((v) => el("td", null, format.even(v))),
        ),
        line(
          "Maximum",
          "Largest activation in the layer",
          factor.activation.map((v) => el("td", null, format.even(v))),
        ),
        line(
          "Density",
          "Fraction of tokens on which it fires in the layer",
          factor.density.map((v) => el("td", null, format.percent(v))),
        ),
        line(
          "Words",
          "Most frequent marked words in the layer",
          factor.layer_words.map((words) =>
            el(
              "td",
              { class: "said", title: words.map(([w, n]) => `${w} ${n}`).join(", ") },
              words.length
                ? words.slice(0, 3).map(([word]) => el("bdi", null, word))
                : el("span", { class: "muted" }, "–"),
            ),
          ),
        ),
      ),
    );
    const inner = el("div", { class: "layers-inner" }, chart, table);
    inner.style.setProperty("--least", `${GUTTER + layers.length * COLUMN}px`);
    inner.style.setProperty("--gutter", `${GUTTER}px`);

    function draw() {
      const width = inner.clientWidth;
      if (width === 0) return;
      const focused = chart.contains(document.activeElement);
      chart.replaceChildren(
        tfvis.curve({
          importance: factor.importance,
          density: factor.density,
          layers,
          chosen,
          width,
          gutter: GUTTER,
          choose,
        }),
      );
      if (focused) {
        const point = /** @type {SVGElement|null} */ (
          chart.querySelector(".point.chosen")
        );
        point?.focus({ preventScroll: true });
      }
    }

    const watch = new ResizeObserver(draw);
    watch.observe(inner);
    const scroller = el("div", { class: "wide" }, inner);
    return {
      element: el(
        "section",
        { class: "panel layers", "aria-label": "Importance across layers" },
        scroller,
      ),
      chart,
      close: () => watch.disconnect(),
      show(i) {
        chosen = i;
        draw();
        for (const line of table.querySelectorAll("tr")) {
          for (const [column, cell] of [...line.cells].entries()) {
            cell.classList.toggle("chosen", column === i + 1);
          }
        }
        for (const [place, button] of buttons.entries()) {
          button.setAttribute("aria-pressed", String(place === i));
        }
        const column = heads[i];
        scroller.scrollLeft =
          column.offsetLeft + column.offsetWidth / 2 - scroller.clientWidth / 2;
      },
    };
  };
}
