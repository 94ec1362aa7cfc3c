/* Examples of a factor at one layer, of four bands of activation, the word marked. */
"use strict";
{
  const { el } = tfvis.dom;
  const { data, format, glyphs, memory, passage } = tfvis;
  const FIRST = 20;
  const STEP = 20;
  const KEY = "tfvis.aligned";

  function aligned() {
    const kept = memory.get(KEY);
    return kept === null
      ? window.matchMedia("(min-width: 720px)").matches
      : kept === "1";
  }

  /** @type {{band: Band, label: string, title: string}[]} */
  const BANDS = [
    { band: "top", label: "Top", title: "Top-activating examples" },
    {
      band: "upper",
      label: "90–99 %",
      title: "Examples between the 90th and the 99th percentile",
    },
    {
      band: "middle",
      label: "50–90 %",
      title: "Examples between the 50th and the 90th percentile",
    },
    { band: "random", label: "Random", title: "Random examples of all that fire it" },
  ];

  /** One example. @param {Passage} text @param {Entry} entry @param {number} largest */
  function item(text, entry, largest) {
    const [, word, , title, number, start] = text;
    const [, activation, , copies] = entry;
    const before = el("span", null, passage.before(text, entry, largest));
    const after = el("span", { class: "after" }, passage.after(text, entry, largest));
    const line = el(
      "p",
      { class: "text", dir: "auto" },
      el("span", { class: "before" }, before),
      glyphs.mark(word, activation, largest),
      after,
    );
    const widen = el(
      "button",
      {
        type: "button",
        class: "quiet widen",
        "aria-expanded": "false",
        "aria-label": `Whole passage around ${word}`,
        on: { click: () => expand() },
      },
      "whole",
    );
    const row = el(
      "li",
      { class: "context" },
      el("span", { class: "value", title: "activation" }, format.even(activation)),
      line,
      el(
        "span",
        { class: "source" },
        el("cite", { class: "title", title }, title),
        copies > 0 &&
          el(
            "small",
            { title: "Near-duplicates that are not shown" },
            `+${copies} like it`,
          ),
        number !== null && widen,
      ),
    );

    /** Shows the whole passage, or what was shown at first. */
    async function expand() {
      const wide = !row.classList.contains("wide-context");
      let whole = [text[0], text[2]];
      if (wide && number !== null) {
        try {
          const characters = Array.from(await data.window(number));
          whole = [
            characters.slice(0, start).join(""),
            characters.slice(start + Array.from(word).length).join(""),
          ];
        } catch (error) {
          row.append(
            el("p", { class: "notice", role: "alert" }, tfvis.parts.why(error)),
          );
          return;
        }
      }
      row.classList.toggle("wide-context", wide);
      widen.setAttribute("aria-expanded", String(wide));
      widen.textContent = wide ? "less" : "whole";
      before.replaceChildren(
        el("span", null, passage.before(text, entry, largest, whole[0])),
      );
      after.replaceChildren(
        el("span", null, passage.after(text, entry, largest, whole[1])),
      );
    }
    return row;
  }

  /** What all firings at a layer are like. @param {Factor} factor @param {number} i */
  function facts(factor, i) {
    const firings = factor.firings[i];
    if (!firings?.histogram.length) return null;
    const { factors, narrow } = data.manifest.counts;
    const total = firings.histogram.slice(1).reduce((sum, n) => sum + n, 0);
    const [half, tenth, hundredth] = firings.quantiles.map(format.number);
    const [documents, strongest] = firings.documents;
    const [share, mass] = firings.explained ?? [null, null];
    return [
      el(
        "p",
        null,
        `It fires on ${format.count(total)} tokens: half of them with α below ${half}, a tenth above ${tenth}, a hundredth above ${hundredth}.`,
      ),
      share !== null &&
        el(
          "p",
          null,
          `The words listed at the top of this page account for ${format.percent(share)} of these tokens and ${format.percent(mass)} of their α.`,
        ),
      documents > 2 &&
        el(
          "p",
          null,
          `Its ${format.count(strongest)} strongest tokens come from ${format.count(documents)} documents.`,
        ),
      strongest > 2 &&
        documents <= 2 &&
        el(
          "p",
          { class: "narrow" },
          `Its ${strongest} strongest tokens come from ${documents === 1 ? "one document" : "two documents"}, so they may show the document rather than the factor. The same is true of ${format.count(narrow)} of ${format.count(factors)} factors at their peak layer.`,
        ),
    ];
  }

  /** @param {number} largest */
  function legend(largest) {
    return el(
      "p",
      { class: "legend" },
      "0 ",
      el("span", {
        class: "ramp",
        role: "img",
        "aria-label": "colours from weak to strong",
      }),
      ` ${format.even(largest)} · activation, relative to this factor’s maximum`,
    );
  }

  /**
   * Examples as a table, those of each layer. @param {Factor} factor
   * @param {number[]} layers @param {Entry[][]} entries @param {Band} band
   * @returns {Table}
   */
  function table(factor, layers, entries, band) {
    return {
      columns: [
        ...["factor", "layer", "band", "rank", "activation", "before", "word"],
        ...["after", "document", "copies (near-duplicates left out)"],
      ],
      rows: layers.flatMap((layer, i) =>
        entries[i].map(([place, activation, , copies], rank) => {
          const [before, word, after, title] = factor.texts[place];
          return [
            ...[factor.factor, layer, band, rank + 1, activation],
            ...[before, word, after, title, copies],
          ];
        }),
      ),
    };
  }

  /** @type {Tfvis["contexts"]["json"]} */
  function json(factor, layers, entries, band) {
    return {
      factor: factor.factor,
      label: data.label(factor.factor),
      words: factor.words,
      band,
      layers: layers.map((layer, i) => ({
        layer,
        examples: entries[i].map(([place, activation, , copies]) => {
          const [before, word, after, title] = factor.texts[place];
          return { activation, before, word, after, document: title, copies };
        }),
      })),
    };
  }

  tfvis.contexts = {
    table,
    json,

    panel(factor, layers, choose) {
      const largest = format.largest(factor.activation);
      let layer = 0;
      let shown = FIRST;
      /** @type {Band} */
      let band = "top";
      const about = el("div", { class: "facts-text" });
      const chart = el("div", { class: "wide" });
      const bands = BANDS.map(({ band: name, label }) =>
        el(
          "button",
          { type: "button", "data-band": name, on: { click: () => choose(name) } },
          label,
        ),
      );
      const title = el("h2", { id: "contexts-title" });
      const list = el("ol", { class: "contexts" });
      const none = el("p", { class: "notice", hidden: true });
      const more = el("button", {
        type: "button",
        class: "button more",
        on: {
          click() {
            const next = list.children.length;
            shown += STEP;
            draw();
            if (more.hidden) list.children[next]?.scrollIntoView({ block: "nearest" });
          },
        },
      });
      const views = [
        ["1", "Aligned on word"],
        ["0", "Running text"],
      ].map(([value, label]) =>
        el(
          "button",
          {
            type: "button",
            "data-view": value,
            on: { click: () => align(value === "1") },
          },
          label,
        ),
      );

      /** @param {boolean} yes @param {boolean} [keep] for the next visit */
      function align(yes, keep = true) {
        if (keep) memory.set(KEY, yes ? "1" : "0");
        list.classList.toggle("aligned", yes);
        for (const view of views) {
          const pressed = (view.dataset.view === "1") === yes;
          view.setAttribute("aria-pressed", String(pressed));
        }
      }

      function heading() {
        const found = BANDS.find((each) => each.band === band) ?? BANDS[0];
        return `${found.title} at layer ${layers[layer]}`;
      }

      /** The examples of the band. */
      function entries() {
        const place = BANDS.findIndex((each) => each.band === band);
        return band === "top"
          ? factor.contexts[layer]
          : (factor.firings[layer]?.bands[place - 1] ?? []);
      }

      /** The activations of the examples shown. */
      const range = () =>
        tfvis.bandRange(
          factor.firings[layer],
          band,
          factor.contexts[layer].slice(0, shown),
        );

      const take = tfvis.take({
        title: "examples",
        name: () => [`factor-${factor.factor}`, `layer-${layers[layer]}`],
        parts: [
          {
            label: "Examples",
            // The band is not known before it is chosen.
            key: () => band,
            head: () =>
              `${glyphs.phi(factor.factor)}: ${heading()[0].toLowerCase()}${heading().slice(1)}`,
            svg: () =>
              tfvis.draw.contexts(
                factor,
                [{ name: "", entries: entries().slice(0, shown) }],
                largest,
              ),
            table: () => table(factor, [layers[layer]], [entries()], band),
          },
          ...(factor.firings.length
            ? [
                {
                  label: "Histogram",
                  key: "histogram",
                  head: () =>
                    `${glyphs.phi(factor.factor)}: activations at layer ${layers[layer]}`,
                  svg: () =>
                    factor.firings[layer]?.histogram.length
                      ? tfvis.histogramSheet(
                          factor.firings[layer],
                          data.manifest.histogram_edges,
                          range(),
                        )
                      : null,
                  table: () =>
                    tfvis.histogramTable(
                      factor.firings[layer],
                      data.manifest.histogram_edges,
                    ),
                },
              ]
            : []),
        ],
        json: () => ({
          ...json(factor, [layers[layer]], [entries()], band),
          firings: factor.firings.length
            ? tfvis.histogramTable(factor.firings[layer], data.manifest.histogram_edges)
            : null,
        }),
        link: () =>
          tfvis.route.factor(factor.factor, {
            layer: layers[layer],
            band: band === "top" ? "" : band,
          }),
      });

      function draw() {
        const firings = factor.firings[layer];
        const all = entries();
        const number = layers[layer];
        title.textContent = heading();
        for (const button of bands) {
          button.setAttribute("aria-pressed", String(button.dataset.band === band));
        }
        about.replaceChildren();
        chart.replaceChildren();
        if (firings?.histogram.length) {
          about.append(el("div", null, facts(factor, layer)));
          chart.append(
            tfvis.histogram(firings, data.manifest.histogram_edges, range()),
            tfvis.histogramAsTable(firings, data.manifest.histogram_edges),
          );
        }
        list.replaceChildren(
          ...all
            .slice(0, shown)
            .map((entry) => item(factor.texts[entry[0]], entry, largest)),
        );
        const left = all.length - Math.min(shown, all.length);
        more.hidden = left === 0;
        more.textContent = `Show ${Math.min(STEP, left)} more (${left} left)`;
        none.hidden = all.length > 0;
        none.textContent = factor.activation[layer]
          ? band === "top"
            ? `No examples stored for layer ${number}.`
            : `The run has no example of this band at layer ${number}.`
          : `This factor never fires in layer ${number}.`;
      }

      align(aligned(), false);
      return {
        element: el(
          "section",
          { class: "panel", "aria-labelledby": "contexts-title" },
          el(
            "div",
            { class: "panel-head" },
            title,
            el(
              "div",
              { class: "panel-tools" },
              el(
                "div",
                { class: "switch", role: "group", "aria-label": "View" },
                views,
              ),
              take,
            ),
          ),
          factor.firings.length > 0 && [
            el("div", { class: "distribution" }, chart, about),
            el(
              "div",
              { class: "switch bands", role: "group", "aria-label": "Activations" },
              bands,
            ),
          ],
          legend(largest),
          list,
          none,
          more,
        ),
        show(i, wanted) {
          layer = i;
          band = wanted;
          shown = FIRST;
          draw();
        },
        toggle: () => align(!list.classList.contains("aligned")),
      };
    },
  };
}
