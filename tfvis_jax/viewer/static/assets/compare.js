/* Two to four factors side by side: #/compare?f=13,406&layer=4 */
"use strict";
{
  const { el } = tfvis.dom;
  const { data, format, glyphs, route } = tfvis;
  const MOST = 4;
  const BEST = 6;
  /** Related factors offered of each kind. */
  const OFFERED = 3;

  /** The factors that an address names, each once. @param {Route} at */
  function named(at) {
    const numbers = (at.params.get("f") ?? "")
      .split(",")
      .filter((text) => /^\d{1,9}$/.test(text))
      .map(Number)
      .filter((factor) => factor < data.manifest.counts.factors);
    return [...new Set(numbers)].slice(0, MOST);
  }

  /** @param {number[]} factors @param {Value} [layer] */
  const address = (factors, layer = null) =>
    route.compare({ f: factors.join(","), layer });

  /** The factor that a text numbers, or that best matches its words. @param {string} text */
  function asked(text) {
    const number = tfvis.select.number(text);
    if (number !== null || text.trim() === "") return number;
    const choice = { q: text, level: "", peak: "", dead: false, sort: "" };
    const { chosen } = tfvis.select.order(
      data.index,
      data.manifest.level_names,
      choice,
    );
    return chosen[0] ?? null;
  }

  /** Factors related to those here, each once. @param {Factor[]} factors @param {number} i */
  function related(factors, i) {
    const found = factors.flatMap(({ nearest = [], together = [] }) =>
      [nearest, together[i] ?? []].flatMap((each) =>
        each.slice(0, OFFERED).map(([factor]) => factor),
      ),
    );
    const here = factors.map((each) => each.factor);
    return [...new Set(found)].filter(
      (factor) => !here.includes(factor) && !data.isDead(factor),
    );
  }

  /** Importance of all, one curve each. @param {Factor[]} factors @param {number} chosen */
  function curves(factors, chosen) {
    const { layers } = data.manifest;
    // As the codes of one token, of which the same chart is made.
    const codes = layers.map((_, i) => ({
      factors: factors.map(
        (each) =>
          /** @type {[number, Value, Value]} */ ([
            each.factor,
            each.importance[i],
            null,
          ]),
      ),
      l0: factors.length,
      residual: null,
      residual_share: null,
      gap: null,
    }));
    return tfvis.alphasPanel({
      where: "",
      token: "",
      title: "Importance across layers",
      layers,
      codes,
      chosen,
      pinned: null,
      light() {},
    });
  }

  /**
   * @param {Factor} factor @param {number} i position in layers @param {number[]} all
   * @param {Value} layer
   */
  function column(factor, i, all, layer) {
    const { factor: number, contexts, texts, activation } = factor;
    const largest = format.largest(activation);
    const others = all.filter((each) => each !== number);
    return el(
      "section",
      { class: "column", "aria-label": `Factor ${number}` },
      el(
        "div",
        { class: "compare-head" },
        el("h2", null, el("a", { href: route.factor(number) }, `Factor ${number}`)),
        data.isDead(number)
          ? el("span", null, "dead")
          : glyphs.level(data.level(number), data.levelNote(number)),
        el(
          "a",
          {
            class: "quiet",
            href: address(others, layer),
            "aria-label": `Remove factor ${number}`,
            title: "Remove",
          },
          "×",
        ),
      ),
      el(
        "p",
        { class: "card-words" },
        glyphs.label(data.label(number)),
        glyphs.words(factor.words, { limit: 6 }),
      ),
      el(
        "p",
        { class: "muted" },
        `importance ${format.even(factor.importance[i])}, density ${format.percent(factor.density[i])}`,
      ),
      contexts[i].length
        ? el(
            "ol",
            null,
            contexts[i].slice(0, BEST).map((entry) => {
              const [place, value] = entry;
              const [, word, , title] = texts[place];
              return el(
                "li",
                { dir: "auto", title },
                tfvis.passage.before(texts[place], entry, largest),
                glyphs.mark(word, value, largest),
                tfvis.passage.after(texts[place], entry, largest),
              );
            }),
          )
        : el("p", { class: "muted" }, "It has no examples at this layer."),
    );
  }

  tfvis.pages.compare = async (at, list) => {
    const { manifest } = data;
    const numbers = named(at);
    const factors = await Promise.all(numbers.map(data.factor));
    const wanted = at.params.get("layer");
    const found = manifest.layers.findIndex((layer) => String(layer) === wanted);
    const peaks = numbers.map((factor) => data.index.peak[factor] ?? 0);
    const i = found >= 0 ? found : (peaks[0] ?? 0);
    const layer = found >= 0 ? manifest.layers[found] : null;
    const chart = factors.length > 0 ? curves(factors, i) : null;
    const problem = el("p", { class: "notice", role: "alert", hidden: true });

    /** @type {HTMLInputElement} */
    const field = el("input", {
      class: "search",
      id: "compare-add",
      placeholder: "Word or number",
      autocomplete: "off",
    });
    /** @param {Event} event */
    function add(event) {
      event.preventDefault();
      const number = asked(field.value);
      const last = manifest.counts.factors - 1;
      const right = number !== null && number <= last && !numbers.includes(number);
      problem.hidden = right;
      problem.textContent = numbers.includes(number ?? -1)
        ? `Factor ${number} is here already.`
        : `Expected a word of a factor, or a number from 0 to ${format.count(last)}.`;
      if (right) route.go(address([...numbers, number], layer));
    }
    /** @type {HTMLSelectElement} */
    const select = el(
      "select",
      {
        id: "compare-layer",
        on: { change: () => route.go(address(numbers, Number(select.value))) },
      },
      manifest.layers.map((each, place) =>
        el("option", { value: each, selected: place === i }, each),
      ),
    );
    const entries = factors.map((factor) => factor.contexts[i]);
    const take = tfvis.take({
      title: "the comparison",
      name: () => ["compare", ...numbers.map(String), `layer-${manifest.layers[i]}`],
      parts: [
        {
          label: "Examples",
          table: () => ({
            columns: tfvis.contexts.table(factors[0], [0], [[]], "top").columns,
            rows: factors.flatMap(
              (factor, n) =>
                tfvis.contexts.table(factor, [manifest.layers[i]], [entries[n]], "top")
                  .rows,
            ),
          }),
        },
      ],
      json: () => ({
        factors: factors.map((factor, n) =>
          tfvis.contexts.json(factor, [manifest.layers[i]], [entries[n]], "top"),
        ),
      }),
    });

    const element = el(
      "article",
      { class: "compare page" },
      tfvis.parts.trail(list),
      el("h1", null, "Factors side by side"),
      factors.length < 2 &&
        el(
          "p",
          { class: "notice" },
          `Add ${factors.length === 0 ? "two" : "another one"} to compare; up to ${MOST} fit.`,
        ),
      el(
        "div",
        { class: "compare-tools" },
        numbers.length < MOST &&
          el(
            "form",
            { class: "compare-form", on: { submit: add } },
            el("label", { for: "compare-add" }, "Add a factor "),
            field,
            el("button", { type: "submit", class: "button" }, "Add"),
          ),
        factors.length > 0 && [
          el(
            "label",
            { class: "field", for: "compare-layer" },
            "Examples at layer ",
            select,
          ),
          el("span", { class: "take-named" }, "Examples: ", take),
        ],
      ),
      problem,
      numbers.length < MOST &&
        el(
          "p",
          { class: "compare-related" },
          related(factors, i).map((factor, n) => [
            n === 0 && "Related: ",
            el(
              "a",
              { href: address([...numbers, factor], layer), dir: "auto" },
              glyphs.phi(factor),
            ),
            " ",
          ]),
        ),
      chart?.element,
      factors.length > 0 &&
        el(
          "div",
          { class: "side-by-side" },
          factors.map((factor) => column(factor, i, numbers, layer)),
        ),
    );
    return {
      element,
      title: `Factors side by side · ${manifest.title}`,
      close: () => chart?.close(),
      keys: { Escape: () => route.go(list.address()) },
    };
  };
}
