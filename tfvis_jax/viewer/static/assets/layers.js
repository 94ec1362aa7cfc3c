/* The curve and, under it, the table of its values: one column per layer. */
(function (/** @type {Tfvis} */ tfvis) {
  "use strict";

  const { el } = tfvis.dom;
  const { format } = tfvis;
  const GUTTER = 92;
  const COLUMN = 62;

  /**
   * @param {Factor} factor @param {number[]} layers
   * @param {(i: number) => void} choose called with a position in `layers`
   */
  tfvis.layersPanel = function (factor, layers, choose) {
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
    const line = (label, title, cells) =>
      el("tr", null, el("th", { scope: "row", title }, label), cells);
    const table = el(
      "table",
      { class: "values" },
      el("caption", { class: "unseen" }, `Factor ${factor.factor} by layer`),
      el(
        "thead",
        null,
        el(
          "tr",
          null,
          el("th", { scope: "row" }, "Layer"),
          buttons.map((button) => el("th", { scope: "col" }, button)),
        ),
      ),
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
          "Greatest activation in the layer",
          factor.activation.map((v) => el("td", null, format.even(v))),
        ),
        line(
          "Density",
          "Fraction of tokens on which it fires in the layer",
          factor.density.map((v) => el("td", null, format.percent(v))),
        ),
        line(
          "Words",
          "The words its contexts mark most often in the layer",
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
        const point = /** @type {SVGElement} */ (chart.querySelector(".point.chosen"));
        point.focus({ preventScroll: true });
      }
    }

    const watch = new ResizeObserver(draw);
    watch.observe(inner);
    const scroller = el("div", { class: "wide" }, inner);
    return {
      element: el(
        "section",
        { class: "panel layers", "aria-label": "Importance over the layers" },
        scroller,
      ),
      chart,
      close: () => watch.disconnect(),
      /** @param {number} i position in layers */
      show(i) {
        chosen = i;
        draw();
        for (const line of table.querySelectorAll("tr")) {
          [...line.cells].forEach((cell, column) =>
            cell.classList.toggle("chosen", column === i + 1),
          );
        }
        buttons.forEach((button, place) =>
          button.setAttribute("aria-pressed", String(place === i)),
        );
        const column = buttons[i].parentElement;
        scroller.scrollLeft =
          column.offsetLeft + column.offsetWidth / 2 - scroller.clientWidth / 2;
      },
    };
  };
})((window.tfvis = window.tfvis || /** @type {any} */ ({})));
