/* The page of all factors: #/?q=left&level=mid&peak=3&sort=-density&dead=1 */
"use strict";
{
  const { el } = tfvis.dom;
  const { data, format, glyphs, route, select } = tfvis;

  /** @type {{key: string|null, cell: string, label: string, title?: string, down?: boolean}[]} */
  const COLUMNS = [
    { key: "number", cell: "number", label: "Factor" },
    {
      key: null,
      cell: "said",
      label: "Words",
      title: "Words that fire it most, with their numbers of documents",
    },
    {
      key: "level",
      cell: "kind",
      label: "Level",
      title: "Assigned by rule: low, mid, high or unclear",
    },
    {
      key: "importance",
      cell: "curve",
      label: "Importance",
      title: "Importance score by layer: mean of the top-n activations in a layer",
      down: true,
    },
    { key: "peak", cell: "peak", label: "Peak", title: "Layer of largest importance" },
    {
      key: "activation",
      cell: "max",
      label: "Max",
      title: "Largest activation over all layers",
      down: true,
    },
    {
      key: "density",
      cell: "density",
      label: "Density",
      title: "Fraction of tokens on which it fires, at the peak layer",
      down: true,
    },
  ];
  /** Recorded sentences shown. */
  const RECORDED = 4;
  /** Characters before the word of a suggested factor: its card must have room for it. */
  const BEFORE = 40;
  const NOTHING = { q: "", level: "", peak: "", dead: false, sort: "" };

  /** @param {URLSearchParams} params @returns {Choice} */
  function read(params) {
    return {
      q: params.get("q") || "",
      level: params.get("level") || "",
      peak: params.get("peak") || "",
      dead: params.get("dead") === "1",
      sort: params.get("sort") || NOTHING.sort,
    };
  }

  /** @param {Choice} choice */
  function address(choice) {
    return route.list({
      ...choice,
      dead: choice.dead ? "1" : "",
    });
  }

  /** The strongest context of a suggested factor. @param {number} place among them */
  function example(place) {
    const found = data.manifest.featured_contexts[place];
    if (!found) return null;
    const [before, word, after, alpha] = found;
    return el(
      "span",
      { class: "example", dir: "auto" },
      before.length > BEFORE
        ? `… ${before.slice(-BEFORE).replace(/^\S*\s/, "")}`
        : before,
      glyphs.mark(word, alpha, alpha ?? 0),
      after,
    );
  }

  /** @param {number} factor @param {number} place among the suggested ones */
  function card(factor, place) {
    return el(
      "a",
      { class: "card", href: route.factor(factor) },
      el(
        "span",
        { class: "card-head" },
        el("b", null, factor),
        data.isDead(factor)
          ? "dead"
          : glyphs.level(data.level(factor), data.levelNote(factor)),
      ),
      el(
        "span",
        { class: "card-words" },
        glyphs.label(data.label(factor)),
        glyphs.few(factor, 3),
      ),
      example(place),
      glyphs.spark(data.importance(factor), data.manifest.layers),
    );
  }

  /**
   * What the levels of the suggested factors mean; of which there is none.
   * @param {(level: string) => void} choose lists the factors of a level
   */
  function levelsSaid(choose) {
    const { featured, level_names: names, counts } = data.manifest;
    const found = new Set(featured.map(data.computedLevel));
    const [none, untold] = [false, true].map((some) =>
      names
        .slice(0, 3)
        .filter((name, i) => !found.has(name) && counts.levels[i] > 0 === some),
    );
    /** @param {string} level */
    function all(level) {
      const count = data.levelCount(names.indexOf(level));
      if (count === 0) return level;
      /** @param {Event} event */
      function click(event) {
        event.preventDefault();
        choose(level);
      }
      return el(
        "a",
        { href: route.list({ level }), on: { click } },
        `${level} (${format.count(count)})`,
      );
    }
    return el(
      "p",
      { class: "muted note" },
      "What decides whether a factor fires? ",
      all("low"),
      ": the word. ",
      all("mid"),
      ": the few words around it as well. ",
      all("high"),
      ": words further away. ",
      none.length > 0 && `This run has no factor that is ${none.join(" or ")}. `,
      untold.length > 0 &&
        `Of ${untold.join(" and ")} none is suggested: what fires them is mostly function words, marks and pieces of names.`,
    );
  }

  /** @type {Map<number, [string, string, string]>|null} */
  let lines = null;

  /** The context of a factor whose words say little. @param {number} factor */
  function line(factor) {
    lines ??= new Map(data.index.contexts.map(([f, ...parts]) => [f, parts]));
    const found = lines.get(factor);
    if (!found) return null;
    const [before, word, after] = found;
    return el("bdi", null, before, el("mark", null, word), after);
  }

  /**
   * @param {number} factor @param {number} place in the list @param {string} q
   * @param {string|null} weakly what it fires on, though that is not among its words
   */
  function row(factor, place, q, weakly) {
    const { index, manifest } = data;
    const peak = index.peak[factor];
    const dead = peak === null;
    const context = line(factor);
    /** @param {string} name @param {...Child} children */
    const cell = (name, ...children) =>
      el("span", { role: "cell", class: `cell ${name}` }, children);
    return el(
      "div",
      { role: "row", class: dead ? "row dead" : "row", "aria-rowindex": place + 2 },
      cell(
        "number",
        el(
          "a",
          { href: route.factor(factor), "aria-label": `Factor ${factor}` },
          factor,
        ),
      ),
      cell(
        "said",
        dead
          ? el("span", { class: "muted" }, "dead: never fires on this corpus")
          : [
              glyphs.label(data.label(factor)),
              glyphs.words(data.words(factor), {
                hits: weakly === null ? select.hits(index, factor, q) : [weakly],
                terms: select.terms(q),
              }),
              el(
                "small",
                { class: "line" },
                q &&
                  el(
                    "span",
                    null,
                    weakly === null
                      ? select.why(index, factor, q)
                      : "fires on it, and more on other words",
                  ),
                q && context && " · ",
                context,
              ),
            ],
      ),
      cell(
        "kind",
        dead ? null : glyphs.level(data.level(factor), data.levelNote(factor)),
      ),
      cell("curve", glyphs.spark(data.importance(factor), manifest.layers)),
      cell("peak", dead ? "–" : [el("i", null, "L"), manifest.layers[peak]]),
      cell("max", format.even(dead ? null : index.activation[factor])),
      cell("density", format.percent(dead ? null : index.density[factor])),
    );
  }

  /** A field for a sentence, or those that can be shown without a server. */
  function sentences() {
    const { live, recorded } = data.live;
    if (live)
      return [
        tfvis.ask({ id: "home", label: "Try your own sentence", compare: false })
          .element,
        tfvis.exampleSentences(tfvis.examples.slice(0, 2)),
      ];
    return [
      recorded.length > 0 && [
        el("p", { class: "ask-label" }, "Sentences in factors"),
        tfvis.exampleSentences(tfvis.recordedExamples(RECORDED)),
      ],
      el(
        "p",
        { class: "muted note" },
        "For sentences of your own, type ",
        tfvis.howToView(),
        ".",
      ),
    ];
  }

  /** The page; made once and kept, so that Back finds it as it was left. */
  tfvis.listPage = () => {
    const { manifest } = data;
    /** @type {Choice} */
    let choice = NOTHING;
    /** @type {number[]} */
    let order = [];
    /** The word on which factors fire that do not have it among theirs. @type {string|null} */
    let weakly = null;
    /** Until the factors of such a word are there. */
    let settled = Promise.resolve();

    const body = el("div", { role: "rowgroup", class: "rows" });
    const rows = tfvis.rows(body, (factor, place) =>
      row(factor, place, choice.q, weakly),
    );
    const said = el("p", { class: "notice", role: "status", hidden: true });
    const toWord = el("p", { class: "to-word", hidden: true });
    const filters = tfvis.filters(manifest, {
      change(part) {
        choose({ ...choice, ...part });
        route.note(address(choice));
      },
      random,
    });

    const heads = COLUMNS.map(({ key, cell, label, title, down }) => {
      const head = el("span", {
        role: "columnheader",
        class: `cell ${cell}`,
        title,
      });
      if (!key) {
        head.append(label);
        return head;
      }
      head.append(
        el(
          "button",
          {
            type: "button",
            class: "sort",
            on: {
              click() {
                const first = down ? `-${key}` : key;
                const other = down ? key : `-${key}`;
                choose({ ...choice, sort: choice.sort === first ? other : first });
                route.note(address(choice));
              },
            },
          },
          label,
        ),
      );
      return head;
    });
    const table = el(
      "div",
      { role: "table", class: "factors", "aria-label": "Factors" },
      el(
        "div",
        { role: "rowgroup", class: "heads" },
        el("div", { role: "row", class: "row head", "aria-rowindex": 1 }, heads),
      ),
      body,
    );

    function random() {
      if (order.length === 0) return;
      route.go(route.factor(order[Math.floor(Math.random() * order.length)]));
    }

    /** @param {Choice} next */
    function choose(next) {
      choice = next;
      weakly = null;
      settled = Promise.resolve();
      const { q } = choice;
      const word = select.number(q) === null ? q.trim() : "";
      const asked = /\s/.test(word) || !tfvis.words.any() ? "" : word;
      toWord.hidden = asked === "";
      toWord.replaceChildren(
        el(
          "a",
          { href: route.word(asked) },
          el("span", null, "“", el("bdi", null, asked), "” at every layer"),
          el("small", null, "which factors fire on it, and where"),
        ),
      );
      const none = !present(null).some(Boolean);
      // Other filters may be why there is none.
      if (none && asked && ordered({ ...NOTHING, q }, null).chosen.length === 0) {
        said.hidden = true;
        settled = fallBack(asked);
      }
    }

    /** Shows the first rows: others are there only while they are in view. */
    function atTop() {
      scrollTo(0, 0);
      rows.draw();
    }

    /** @param {Choice} at @param {number[]|null} ranked */
    const ordered = (at, ranked) =>
      select.order(data.index, manifest.level_names, at, ranked);

    /**
     * Shows the factors on the page of a word where the search finds none: it knows the
     * few words of each factor that fire it most.
     * @param {string} word
     */
    async function fallBack(word) {
      const mine = choice;
      // A word whose file does not come is as one that is not known.
      const entry = await tfvis.words.find(word).catch(() => null);
      if (mine !== choice) return;
      weakly = entry?.spelling ?? null;
      present(entry?.factors.map(([factor]) => factor) ?? null);
    }

    /**
     * Returns the numbers of factors of each level.
     * @param {number[]|null} ranked those that match, if the search does not say
     */
    function present(ranked) {
      const found = ordered(choice, ranked);
      order = found.chosen;
      table.setAttribute("aria-rowcount", String(order.length + 1));
      COLUMNS.forEach(({ key }, i) => {
        const down = choice.sort === `-${key}`;
        const up =
          choice.sort === key || (key === "number" && !choice.q && !choice.sort);
        const sorted = down ? "descending" : up ? "ascending" : null;
        if (sorted) heads[i].setAttribute("aria-sort", sorted);
        else heads[i].removeAttribute("aria-sort");
      });
      filters.show(choice, order.length, found.counts);
      // Whoever searches wants the results, not the introduction.
      for (const part of introduction) part.hidden = choice.q !== "";
      heading.hidden = choice.q === "";
      body.hidden = order.length === 0;
      said.hidden = order.length > 0 && weakly === null;
      said.replaceChildren(...explanation());
      rows.show(order);
      return found.counts;
    }

    /** What is said where the search finds no factor by its words. */
    function explanation() {
      const asked = choice.q.trim();
      if (order.length)
        return [`No factor has “${asked}” among its words. These fire on it most.`];
      if (!asked) return ["No factors match."];
      const why = `No factors match “${asked}”. Search by a factor’s number, by a word that fires it or the beginning of one, by a phrase around such a word, or by its label.`;
      if (!data.live.live || !/\s/.test(asked)) return [why];
      const href = route.sentence({ text: asked, with: "" });
      return [why, " Or ", el("a", { href }, "see it as a sentence"), "."];
    }

    const take = tfvis.take({
      title: "the list of factors",
      name: () => ["factors", choice.q, choice.level],
      parts: [
        {
          label: "Factors listed",
          table: () => ({
            columns: [
              ...["factor", "label", "words", "level", "level score", "peak layer"],
              ...["maximum activation", "density at the peak (fraction of tokens)"],
              ...manifest.layers.map((l) => `importance score at layer ${l}`),
            ],
            rows: order.map((factor) => {
              const peak = data.index.peak[factor];
              return [
                ...[factor, data.label(factor)],
                data
                  .words(factor)
                  .map(([word]) => word)
                  .join(" "),
                ...[data.level(factor), data.index.level_scores[factor] ?? null],
                ...[peak === null ? null : manifest.layers[peak]],
                ...[data.index.activation[factor], data.index.density[factor]],
                ...data.importance(factor),
              ];
            }),
          }),
        },
      ],
      json: () => ({
        report: Object.fromEntries(manifest.report),
        counts: manifest.counts,
        factors: order.map((factor) => ({
          factor,
          label: data.label(factor),
          words: data.words(factor),
          level: data.level(factor),
          importance: data.importance(factor),
          activation: data.index.activation[factor],
          density: data.index.density[factor],
        })),
      }),
      link: () => address(choice),
    });

    // The page has a title where the introduction, which has one, is hidden.
    const heading = el("h1", { class: "unseen", hidden: true }, manifest.title);
    const introduction = [
      tfvis.runHeader(manifest),
      el(
        "section",
        { class: "try", "aria-label": "Sentences and words" },
        sentences(),
        tfvis.words.any() && [
          el(
            "p",
            { class: "ask-label" },
            el(
              "a",
              { href: route.word("") },
              data.live.live ? "Or look up a word" : "Look up a word",
            ),
          ),
          tfvis.words.links(tfvis.words.suggested()),
        ],
      ),
      manifest.featured.length > 0 &&
        el(
          "section",
          { "aria-labelledby": "featured-title" },
          el("h2", { id: "featured-title" }, "Suggested factors"),
          el("div", { class: "cards" }, manifest.featured.map(card)),
          levelsSaid((level) => {
            choose({ ...choice, level });
            route.note(address(choice));
            element.lastElementChild?.scrollIntoView();
            filters.focus(level);
          }),
        ),
      el(
        "div",
        { class: "overall" },
        el(
          "div",
          null,
          manifest.counts.alive > 0 &&
            manifest.layers.length > 1 &&
            tfvis.levelCurves(),
          el(
            "p",
            { class: "further" },
            el("a", { href: route.levels() }, "What levels follow from"),
            el("a", { href: route.rate(null) }, "Rate how well contexts fit a factor"),
          ),
        ),
        tfvis.quality(manifest, data.index, "quality-title"),
      ),
    ].filter((part) => part instanceof HTMLElement);
    const element = el(
      "div",
      { class: "list page" },
      heading,
      introduction,
      el(
        "section",
        { "aria-labelledby": "factors-title" },
        filters.head,
        toWord,
        el("div", { class: "list-tools" }, filters.element, take),
        said,
        table,
      ),
    );

    return {
      element,
      seek(q) {
        choose({ ...choice, q });
        route.note(address(choice));
        atTop();
      },
      async enter() {
        const mine = choice;
        await settled;
        // Whoever has typed on meanwhile keeps the focus.
        if (mine !== choice || !choice.q) return;
        atTop();
        body.querySelector("a")?.focus({ preventScroll: true });
      },
      random,
      show(at) {
        document.title = manifest.title;
        choose(read(at.params));
      },
      redraw: rows.draw,
      address: () => address(choice),
      /**
       * The factors before and after one in the list as it was last seen; if the list
       * does not hold it, the nearest live ones by number.
       */
      around(factor) {
        const place = order.indexOf(factor);
        if (place >= 0) {
          return {
            before: order[place - 1] ?? null,
            after: order[place + 1] ?? null,
            place,
            total: order.length,
          };
        }
        let before = factor - 1;
        while (before >= 0 && data.isDead(before)) before -= 1;
        let after = factor + 1;
        while (after < manifest.counts.factors && data.isDead(after)) after += 1;
        return {
          before: before >= 0 ? before : null,
          after: after < manifest.counts.factors ? after : null,
          place: null,
          total: order.length,
        };
      },
    };
  };
}
