/* The page of one word: #/word/left?show=own&layer=4. Which factors fire on it, where. */
"use strict";
{
  const { el } = tfvis.dom;
  const { data, format, glyphs, route, words } = tfvis;

  /** @type {{show: WordMeasure, label: string, about: string}[]} */
  const MEASURES = [
    {
      show: "mean",
      label: "Mean α",
      about: "mean α over the occurrences on which the factor fires",
    },
    {
      show: "share",
      label: "Share of the word",
      about: "share of the word’s occurrences on which the factor fires",
    },
    {
      show: "own",
      label: "Share of the factor",
      about: "share of the factor’s α in that layer that is on this word",
    },
  ];
  /** Rows and columns that an arrow moves by. @type {{[key: string]: [number, number]}} */
  const STEPS = {
    ArrowUp: [-1, 0],
    ArrowDown: [1, 0],
    ArrowLeft: [0, -1],
    ArrowRight: [0, 1],
  };

  /** @param {WordMeasure} show @param {Value} value */
  const said = (show, value) =>
    show !== "mean"
      ? format.percent(value)
      : value !== null && value >= 0.001 && value < 10
        ? value.toPrecision(2)
        : format.number(value);

  /** @param {WordFactor} row @param {WordMeasure} show @returns {Value[]} */
  function column(row, show) {
    const [, , , , mean, share, own] = row;
    return { mean, share, own }[show];
  }

  /** @param {string} text */
  function decoded(text) {
    try {
      return decodeURIComponent(text);
    } catch {
      return text;
    }
  }

  /** The field for another word. @param {string} word */
  function field(word) {
    const go = () => input.value.trim() && route.go(route.word(input.value.trim()));
    /** @type {HTMLInputElement} */
    const input = el("input", {
      id: "word-field",
      class: "search",
      type: "text",
      value: word,
      placeholder: "Type a word",
      autocomplete: "off",
      spellcheck: "false",
      autocapitalize: "off",
      maxlength: 200,
      dir: "auto",
      on: { keydown: (event) => event.key === "Enter" && go() },
    });
    return el(
      "div",
      { class: "ask word-ask", role: "search", "aria-label": "Look up a word" },
      el(
        "div",
        { class: "ask-field" },
        el("label", { for: "word-field", class: "ask-label" }, "Word"),
        input,
      ),
      el(
        "button",
        { type: "button", class: "button main-button", on: { click: go } },
        "Show its factors",
      ),
    );
  }

  /** @param {WordEntry} entry @param {number} factor */
  function nameOf(entry, factor) {
    const label = data.label(factor);
    if (label !== null) return glyphs.label(label);
    return data
      .words(factor)
      .slice(0, 3)
      .map(([word], i) => [
        i > 0 ? " · " : null,
        words.fold(word) === entry.folded
          ? el("b", null, el("bdi", null, word))
          : el("bdi", null, word),
      ]);
  }

  /** @param {WordEntry} entry @param {WordFactor} row */
  function example(entry, row) {
    const [factor, i, alpha, place] = row;
    const [before, word, after, title] = entry.contexts[place];
    return el(
      "p",
      { class: "word-context" },
      el(
        "span",
        { class: "muted" },
        `α ${format.even(alpha)} in layer ${data.manifest.layers[i]}: `,
      ),
      el(
        "span",
        { dir: "auto" },
        before,
        glyphs.mark(word, alpha, data.index.activation[factor] ?? 0),
        after,
      ),
      el("cite", { class: "muted" }, title),
    );
  }

  /**
   * Factors by layers. @param {WordEntry} entry @param {WordMeasure} show
   * @param {Value} by position of the layer to sort by
   * @param {(i: number) => void} sort
   */
  function table(entry, show, by, sort) {
    const { layers } = data.manifest;
    const rows = [...entry.factors];
    if (by !== null) {
      rows.sort((a, b) => (column(b, show)[by] ?? -1) - (column(a, show)[by] ?? -1));
    }
    const largest = format.largest(rows.flatMap((row) => column(row, show)));
    /** @type {HTMLElement[][]} */
    const places = [];
    const groups = rows.map((row) => {
      const [factor, , , , mean, share, own] = row;
      const head = el("a", { href: route.factor(factor), class: "phi" }, `Φ${factor}`);
      const line = [head];
      places.push(line);
      const cells = column(row, show).map((value, i) => {
        if (value === null) {
          return el(
            "td",
            {
              class: "none",
              title: `Φ${factor} does not fire on it in layer ${layers[i]}`,
            },
            "–",
          );
        }
        const measured = MEASURES.map(
          (measure, j) =>
            `${measure.label} ${said(measure.show, [mean, share, own][j][i])}`,
        );
        const text = `Layer ${layers[i]}: ${measured.join(", ")}`;
        const link = el(
          "a",
          {
            href: route.factor(factor, { layer: layers[i] }),
            tabindex: -1,
            title: text,
            "aria-label": `Φ${factor}. ${text}`,
          },
          said(show, value),
        );
        line.push(link);
        return el(
          "td",
          {
            style: {
              "--strength": largest > 0 ? (value / largest).toFixed(3) : "0",
            },
          },
          link,
        );
      });
      return el(
        "tbody",
        null,
        el(
          "tr",
          null,
          el(
            "th",
            { scope: "row" },
            head,
            " ",
            glyphs.level(data.level(factor)),
            el("span", { class: "word-names", dir: "auto" }, nameOf(entry, factor)),
          ),
          cells,
        ),
        el(
          "tr",
          { class: "word-example" },
          el("td", { colspan: layers.length + 1 }, example(entry, row)),
        ),
      );
    });
    return el(
      "table",
      {
        class: "word-table",
        on: {
          keydown(event) {
            const step = STEPS[event.key];
            if (!step || event.ctrlKey || event.metaKey || event.altKey) return;
            const cell = /** @type {HTMLElement} */ (event.target);
            const y = places.findIndex((line) => line.includes(cell));
            if (y < 0) return;
            const x = places[y].indexOf(cell);
            const line = places[y + step[0]];
            line?.[Math.min(x + step[1], line.length - 1)]?.focus();
            event.preventDefault();
          },
        },
      },
      el(
        "caption",
        { class: "unseen" },
        `Factors that fire on ${entry.spelling}, by layer: ${MEASURES.find((m) => m.show === show)?.about}`,
      ),
      el(
        "thead",
        null,
        el(
          "tr",
          null,
          el("th", { scope: "col", class: "corner" }, "Factor"),
          layers.map((layer, i) =>
            el(
              "th",
              { scope: "col", "aria-sort": i === by ? "descending" : null },
              el(
                "button",
                {
                  type: "button",
                  class: "sort",
                  title: i === by ? "Back to the first order" : "Sort by this layer",
                  on: { click: () => sort(i) },
                },
                `Layer ${layer}`,
              ),
            ),
          ),
        ),
      ),
      groups,
    );
  }

  /** What is said of a word without a page. @param {string} word */
  async function unknown(word) {
    const near = await words.alike(word);
    const count = format.count(data.manifest.counts.words ?? 0);
    return el(
      "div",
      { class: "notice" },
      el(
        "p",
        null,
        "“",
        el("bdi", null, word),
        `” is not among the ${count} words that occur at least twice in this corpus.`,
      ),
      near.length > 0 && [
        el("p", null, "Words that are spelled alike:"),
        words.links(near),
      ],
      /\s/.test(word) &&
        el(
          "p",
          null,
          el("a", { href: route.list({ q: word }) }, "Search for the phrase"),
        ),
    );
  }

  /**
   * A sentence with the word, to try: an example, or the context of its strongest factor.
   * Without a server, a recorded one, if there is any. @param {WordEntry} entry
   */
  function toTry(entry) {
    const { live, recorded } = data.live;
    const context = entry.contexts[0].slice(0, 3).join("").trim();
    const known = live
      ? [...tfvis.examples.map(([text]) => text), context]
      : recorded.map((each) => each.text);
    const has = (/** @type {string} */ text) =>
      text.split(/[^\p{L}\p{M}\p{N}]+/u).some((w) => words.fold(w) === entry.folded);
    return known.find(has) ?? (live ? context : undefined);
  }

  /** @param {WordEntry} entry */
  function lead(entry) {
    const text = toTry(entry);
    return el(
      "p",
      { class: "lead muted" },
      `${format.count(entry.occurrences)} times in the corpus. The rows are the factors that fire on it most over these occurrences, the strongest first. A word with several senses has factors for each, from some layer on. A sentence of your own may fire others`,
      text
        ? [
            ": ",
            el("a", { href: route.sentence({ text }) }, el("q", { dir: "auto" }, text)),
          ]
        : ".",
    );
  }

  tfvis.pages.word = async (at, list) => {
    const word = decoded(at.number).trim();
    const { layers } = data.manifest;
    const entry = word && words.any() ? await words.find(word) : null;
    /** @type {WordMeasure} */
    let show = "mean";
    /** @type {Value} */
    let by = null;

    /** @param {URLSearchParams} params */
    function read(params) {
      const asked = MEASURES.find((measure) => measure.show === params.get("show"));
      show = asked?.show ?? "mean";
      const i = layers.findIndex((layer) => String(layer) === params.get("layer"));
      by = i >= 0 ? i : null;
    }

    /** @param {WordMeasure} measure @param {Value} i */
    const address = (measure, i) =>
      route.word(word, {
        show: measure === "mean" ? "" : measure,
        layer: i === null ? "" : layers[i],
      });

    const place = el("div", { class: "wide word-box" });
    const about = el("p", { class: "muted word-about" });
    const measures = MEASURES.map(({ show: measure, label }) =>
      el(
        "button",
        {
          type: "button",
          "data-show": measure,
          on: { click: () => route.go(address(measure, by)) },
        },
        label,
      ),
    );

    function draw() {
      if (!entry) return;
      for (const button of measures) {
        button.setAttribute("aria-pressed", String(button.dataset.show === show));
      }
      const { about: meaning } = MEASURES.find((m) => m.show === show) ?? MEASURES[0];
      about.textContent = `Each cell: ${meaning}.`;
      const focused = document.activeElement;
      const head = focused?.closest(".word-table thead") ? focused?.textContent : null;
      place.replaceChildren(
        table(entry, show, by, (i) => route.go(address(show, i === by ? null : i))),
      );
      if (head) {
        const buttons = place.querySelectorAll("thead button");
        const twin = [...buttons].find((button) => button.textContent === head);
        if (twin instanceof HTMLElement) twin.focus();
      }
    }

    read(at.params);
    const title = entry?.spelling ?? word;
    const quoted = word ? `“${title}”` : "A word";
    const element = el(
      "article",
      { class: "word-page page" },
      tfvis.parts.trail(list),
      word
        ? el("h1", null, "“", el("bdi", null, title), "” in factors")
        : el("h1", null, "A word in factors"),
      entry
        ? lead(entry)
        : el(
            "p",
            { class: "lead muted" },
            "Which factors fire on a word, and at which layers.",
          ),
      field(word),
      !words.any() &&
        el(
          "p",
          { class: "notice" },
          "These files hold no pages of words. Export the site again with tfvis export.",
        ),
      word && !entry && words.any() && (await unknown(word)),
      !word && words.any() && words.links(words.suggested()),
      entry &&
        el(
          "section",
          { class: "panel", "aria-label": "Factors by layer" },
          el(
            "div",
            { class: "panel-head" },
            about,
            el(
              "div",
              { class: "switch", role: "group", "aria-label": "Cells" },
              measures,
            ),
          ),
          place,
        ),
    );

    return {
      element,
      title: `${quoted} in factors · ${data.manifest.title}`,
      mounted: draw,
      update(next) {
        if (next.page !== "word" || next.number !== at.number) return false;
        read(next.params);
        draw();
        return true;
      },
      keys: { Escape: () => route.go(list.address()) },
    };
  };
}
