/* The page of all factors: #/?q=left&level=mid&peak=3&sort=-density&dead=1 */
"use strict";
{
  const { el } = tfvis.dom;
  const { data, format, glyphs, route, select } = tfvis;

  /** @type {{key: string|null, label: string, title?: string, down?: boolean}[]} */
  const COLUMNS = [
    { key: "number", label: "Factor" },
    {
      key: null,
      label: "Words",
      title: "Most frequent marked words in its examples, with counts",
    },
    {
      key: "level",
      label: "Level",
      title: "Assigned by rule: low, mid, high or unclear",
    },
    {
      key: "importance",
      label: "Importance",
      title: "Importance score by layer: mean of the top-n activations in a layer",
      down: true,
    },
    { key: "peak", label: "Peak", title: "Layer of largest importance" },
    {
      key: "activation",
      label: "Max",
      title: "Largest activation over all layers",
      down: true,
    },
    {
      key: "density",
      label: "Density",
      title: "Fraction of tokens on which it fires, at the peak layer",
      down: true,
    },
  ];
  const NOTHING = { q: "", level: "", peak: "", dead: false, sort: "number" };

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
      sort: choice.sort === NOTHING.sort ? "" : choice.sort,
    });
  }

  /** @param {number} factor */
  function card(factor) {
    return el(
      "a",
      { class: "card", href: route.factor(factor) },
      el(
        "span",
        { class: "card-head" },
        el("b", null, factor),
        data.isDead(factor) ? "dead" : glyphs.level(data.level(factor)),
      ),
      el(
        "span",
        { class: "card-words" },
        glyphs.label(data.label(factor)),
        data
          .words(factor)
          .slice(0, 3)
          .map(([word], i) => [i > 0 ? "\u00a0· " : null, el("bdi", null, word)]),
      ),
      glyphs.spark(data.importance(factor), data.manifest.layers),
    );
  }

  /** @param {number} factor @param {number} place in the list @param {string[]} terms */
  function row(factor, place, terms) {
    const { index, manifest } = data;
    const peak = index.peak[factor];
    const dead = peak === null;
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
              glyphs.words(data.words(factor), { terms }),
            ],
      ),
      cell("kind", dead ? null : glyphs.level(data.level(factor))),
      cell("curve", glyphs.spark(data.importance(factor), manifest.layers)),
      cell("peak", dead ? "–" : [el("i", null, "L"), manifest.layers[peak]]),
      cell("max", format.even(dead ? null : index.activation[factor])),
      cell("density", format.percent(dead ? null : index.density[factor])),
    );
  }

  /** The page; made once and kept, so that Back finds it as it was left. */
  tfvis.listPage = () => {
    const { index, manifest } = data;
    /** @type {Choice} */
    let choice = NOTHING;
    /** @type {number[]} */
    let order = [];
    /** @type {string[]} */
    let terms = [];

    const body = el("div", { role: "rowgroup", class: "rows" });
    const rows = tfvis.rows(body, (factor, place) => row(factor, place, terms));
    const empty = el("p", { class: "notice", hidden: true });
    const filters = tfvis.filters(manifest, {
      change(part) {
        choose({ ...choice, ...part });
        route.note(address(choice));
      },
      random,
      open: () => order.length > 0 && route.go(route.factor(order[0])),
    });

    const heads = COLUMNS.map(({ key, label, title, down }) => {
      const head = el("span", {
        role: "columnheader",
        class: `cell ${key || "said"}`,
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
      terms = select.terms(choice.q);
      order = select.order(index, manifest.level_names, choice);
      table.setAttribute("aria-rowcount", String(order.length + 1));
      COLUMNS.forEach(({ key }, i) => {
        const down = choice.sort === `-${key}`;
        const sorted = down ? "descending" : choice.sort === key ? "ascending" : null;
        if (sorted) heads[i].setAttribute("aria-sort", sorted);
        else heads[i].removeAttribute("aria-sort");
      });
      filters.show(choice, order.length);
      empty.hidden = order.length > 0;
      empty.textContent = choice.q
        ? `No factors match “${choice.q}”. Search by factor number, or by the beginning of a word in the labels or the most frequent words.`
        : "No factors match.";
      rows.show(order);
    }

    const element = el(
      "div",
      { class: "list page" },
      tfvis.runHeader(manifest),
      el(
        "section",
        { class: "try", "aria-label": "Try your own sentence" },
        tfvis.ask({ id: "home", label: "Try your own sentence", compare: false })
          .element,
        tfvis.exampleSentences(tfvis.examples.slice(0, 2)),
      ),
      manifest.featured.length > 0 &&
        el(
          "section",
          { "aria-labelledby": "featured-title" },
          el("h2", { id: "featured-title" }, "Suggested factors"),
          el("div", { class: "cards" }, manifest.featured.map(card)),
        ),
      el(
        "section",
        { "aria-labelledby": "factors-title" },
        filters.head,
        filters.element,
        table,
        empty,
      ),
    );

    return {
      element,
      search: filters.search,
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
