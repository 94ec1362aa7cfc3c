/* Rating a factor: #/rate/13?layer=8&step=judge&at=3&view=list, and all ratings: #/rate */
"use strict";
{
  const { el } = tfvis.dom;
  const { data, format, glyphs, memory, parts, rated, ratings, route } = tfvis;
  const NAME = "tfvis.by";
  const TEXT = 400;
  /** @type {[RatedSays, string, string][]} */
  const ANSWERS = [
    ["fits", "Fits", "y"],
    ["not", "Does not fit", "n"],
    ["skip", "Skip", "u"],
  ];

  /** @param {Route} at @returns {{step: string, at: number, view: string}} */
  function read({ params }) {
    const place = Number(params.get("at") ?? 1);
    return {
      step: params.get("step") ?? "",
      at: Number.isInteger(place) && place > 0 ? place - 1 : 0,
      view: params.get("view") === "list" ? "list" : "one",
    };
  }

  /** A context without a trace of how strongly the factor fires. @param {RatedItem} item */
  const context = ({ before, word, after }) =>
    el(
      "p",
      { class: "rated-text", dir: "auto" },
      before,
      el("mark", null, word),
      after,
    );

  /** All ratings of the run. @param {List} list @returns {Page} */
  const overview = (list) => ({
    element: el(
      "article",
      { class: "rate page" },
      parts.trail(list),
      el("h1", null, "Ratings"),
      el(
        "p",
        { class: "lead muted" },
        "Rating tests what a factor is said to stand for: you judge its contexts, mixed with those of other factors, one by one, and see how many fit. To rate one, open its page and choose “rate”.",
      ),
      tfvis.ratedFactors(),
      el("p", { class: "ask-label begin" }, "Factors to begin with"),
      el(
        "ul",
        { class: "word-links" },
        data.manifest.featured
          .filter((factor) => !data.isDead(factor))
          .map((factor) =>
            el(
              "li",
              null,
              el(
                "a",
                { href: route.rate(factor) },
                `Φ${factor} `,
                el("bdi", null, glyphs.name(factor)),
              ),
            ),
          ),
      ),
    ),
    title: `Ratings · ${data.manifest.title}`,
    keys: { Escape: () => route.go(list.address()) },
  });

  /** @param {string} number */
  function refuse(number) {
    const last = data.manifest.counts.factors - 1;
    if (/^\d{1,9}$/.test(number) && Number(number) <= last) {
      return data.isDead(Number(number))
        ? `Factor ${number} is dead: it has no contexts to rate.`
        : null;
    }
    return `Expected a factor number from 0 to ${format.count(last)}, got “${number}”.`;
  }

  tfvis.pages.rate = async (at, list) => {
    await ratings.open();
    if (at.number === "") return overview(list);
    const problem = refuse(at.number);
    if (problem) {
      return {
        element: el(
          "div",
          { class: "page" },
          el("h1", null, "Nothing to rate"),
          el("p", { class: "notice" }, problem),
          el("p", null, el("a", { href: route.rate(null) }, "All ratings")),
        ),
      };
    }
    const number = Number(at.number);
    const { layers } = data.manifest;
    const asked = layers.findIndex((each) => String(each) === at.params.get("layer"));
    const i = asked >= 0 ? asked : (data.index.peak[number] ?? 0);
    const layer = layers[i];
    const factor = await data.factor(number);
    const items = await tfvis.toRate(factor, i);
    const count = items.filter((each) => each.band !== "decoy").length;
    let by = memory.get(NAME) ?? "";
    let state = read(at);
    const body = el("div");

    /** What is said so far. @returns {Rating} */
    const rating = () =>
      ratings.find(number, layer, by) ?? {
        ...{ factor: number, layer, by, judged: [], changed: "" },
        hypothesis: data.label(number) ?? "",
      };
    const order = () => rated.shuffled(items, `${number}/${layer}/${by}`);
    const said = () =>
      new Map(rating().judged.map(({ context: id, says }) => [id, says]));
    /** @param {{step?: string, at?: number, view?: string}} part */
    function address(part) {
      const next = { ...state, ...part };
      const judging = next.step === "judge";
      return route.rate(number, {
        layer,
        step: next.step,
        at: judging && next.at > 0 ? next.at + 1 : "",
        view: judging && next.view === "list" ? "list" : "",
      });
    }

    /** The form before the first context. */
    function begin() {
      const now = rating();
      /** @type {HTMLSelectElement} */
      const select = el(
        "select",
        {
          class: "search",
          on: { change: () => route.go(route.rate(number, { layer: select.value })) },
        },
        layers.flatMap((each, place) =>
          factor.contexts[place].length > 0
            ? el(
                "option",
                { value: each, selected: place === i },
                place === data.index.peak[number] ? `${each} (its peak)` : each,
              )
            : [],
        ),
      );
      /** @type {HTMLInputElement} */
      const name = el("input", {
        ...{ class: "search", type: "text", maxlength: 40, value: by, dir: "auto" },
        autocomplete: "off",
      });
      /** @type {HTMLTextAreaElement} */
      const stands = el("textarea", {
        ...{ class: "search", maxlength: TEXT, rows: 2, dir: "auto" },
        placeholder: "Such as: a unit of length, given again in parentheses",
      });
      stands.value = now.hypothesis;
      const missing = el(
        "p",
        { class: "notice note-wide", role: "alert", hidden: true },
        "Say first what the factor stands for: that is what the contexts are held against.",
      );
      const start = () => {
        missing.hidden = stands.value.trim() !== "";
        if (!missing.hidden) {
          stands.focus();
          return;
        }
        by = name.value.trim();
        memory.set(NAME, by);
        ratings.put({ ...rating(), hypothesis: stands.value.trim() });
        const known = said();
        const first = order().findIndex((each) => !known.has(each.id));
        route.go(address({ step: "judge", at: Math.max(0, first) }));
      };
      return parts.panel(
        "Before you begin",
        null,
        el(
          "p",
          { class: "muted note" },
          `Write what the factor stands for before you see the contexts: ${count} of its own, from the strongest to random ones, and ${items.length - count} decoys, in random order and without their activations. `,
          el(
            "a",
            { href: route.factor(number, { layer }) },
            `The page of factor ${number}`,
          ),
          " shows its strongest contexts.",
        ),
        el("p", { class: "headwords" }, glyphs.words(factor.layer_words[i])),
        el(
          "div",
          { class: "note-form" },
          parts.field("rate-layer", "Layer", select),
          parts.field("rate-by", "Your name", name),
          el(
            "div",
            { class: "note-wide" },
            parts.field("rate-stands", "It stands for", stands),
          ),
          parts.button(
            now.judged.length > 0
              ? `Go on (${now.judged.length} of ${items.length})`
              : "Begin",
            start,
            { class: "button main-button" },
          ),
          missing,
        ),
      );
    }

    /** @param {RatedItem} item @param {RatedSays} says */
    function judge(item, says) {
      const now = rating();
      const judged = now.judged.filter((each) => each.context !== item.id);
      judged.push({ context: item.id, band: item.band, says });
      ratings.put({ ...now, judged });
      const known = said();
      const all = order();
      if (all.every((each) => known.has(each.id)) && state.at === all.length - 1) {
        route.go(address({ step: "result" }));
      } else move(1);
    }

    /** @param {number} by_ contexts */
    function move(by_) {
      const next = Math.min(Math.max(state.at + by_, 0), items.length - 1);
      state = { ...state, at: next };
      route.note(address({}));
      draw();
    }

    /** @param {RatedItem} item @param {RatedSays|undefined} answer @param {boolean} keys */
    const answers = (item, answer, keys) =>
      el(
        "div",
        { class: "answers", role: "group", "aria-label": "Your answer" },
        ANSWERS.map(([says, label, key]) =>
          parts.button(
            [label, keys && [" ", el("kbd", null, key)]],
            () => judge(item, says),
            {
              "aria-pressed": String(answer === says),
              "data-says": says,
            },
          ),
        ),
      );

    /** One context, or all of them with the current one marked. */
    function judging() {
      const all = order();
      const known = said();
      const now = Math.min(state.at, all.length - 1);
      const view = parts.choices(
        "View",
        [
          ["one", "One at a time"],
          ["list", "List"],
        ],
        (value) => route.go(address({ view: value })),
      );
      view.show(state.view);
      return el(
        "section",
        { class: "panel judging", "aria-label": "Contexts" },
        el(
          "div",
          { class: "panel-head" },
          el(
            "p",
            { class: "hypothesis" },
            "It stands for ",
            el("q", { dir: "auto" }, rating().hypothesis),
            " ",
            el("a", { href: address({ step: "" }) }, "change"),
          ),
          view.element,
        ),
        el(
          "p",
          { class: "muted", role: "status" },
          `${known.size} of ${all.length} judged`,
        ),
        el("progress", { max: all.length, value: known.size, "aria-label": "Judged" }),
        state.view === "one"
          ? [
              el("h2", { class: "unseen" }, `Context ${now + 1} of ${all.length}`),
              context(all[now]),
              answers(all[now], known.get(all[now].id), true),
            ]
          : el(
              "ol",
              { class: "to-judge" },
              all.map((item, place) =>
                el(
                  "li",
                  {
                    class: place === now ? "now" : "",
                    "aria-current": place === now ? "true" : null,
                    on: {
                      focusin() {
                        state = { ...state, at: place };
                      },
                    },
                  },
                  context(item),
                  answers(item, known.get(item.id), place === now),
                ),
              ),
            ),
        el(
          "div",
          { class: "rate-tools" },
          state.view === "one" && [
            parts.button("← back", () => move(-1), {
              class: "quiet",
              disabled: now === 0,
            }),
            el("span", { class: "muted" }, `${now + 1} of ${all.length}`),
            parts.button("next →", () => move(1), {
              class: "quiet",
              disabled: now === all.length - 1,
            }),
          ],
          el("a", { href: address({ step: "result" }) }, "Result so far"),
        ),
      );
    }

    function draw() {
      const focused = document.activeElement;
      const says = body.contains(focused) ? focused?.getAttribute("data-says") : null;
      body.replaceChildren(
        state.step === "judge" && rating().hypothesis
          ? judging()
          : state.step === "result"
            ? tfvis.rateResult(rating(), items)
            : begin(),
      );
      const current = body.querySelector(".now");
      current?.scrollIntoView({ block: "nearest" });
      // Who answers with the mouse or Enter goes on with the next one.
      const twin = (current ?? body).querySelector(`[data-says="${says}"]`);
      if (twin instanceof HTMLElement) twin.focus({ preventScroll: true });
    }
    draw();

    /** @param {RatedSays} says */
    const answer = (says) => () => {
      if (!body.querySelector(".judging")) return false;
      judge(order()[Math.min(state.at, items.length - 1)], says);
      return true;
    };
    /** @param {number} by_ @param {string} view */
    const step = (by_, view) => () => {
      if (state.step !== "judge" || state.view !== view) return false;
      move(by_);
      return true;
    };

    return {
      element: el(
        "article",
        { class: "rate page" },
        parts.trail(
          list,
          el(
            "span",
            { class: "steps" },
            el("a", { href: route.factor(number, { layer }) }, `Factor ${number}`),
            el("a", { href: route.rate(null) }, "All ratings"),
          ),
        ),
        el("h1", null, `Do its contexts fit? Factor ${number}, layer ${layer}`),
        body,
      ),
      title: `Rate factor ${number} · ${data.manifest.title}`,
      update(next) {
        if (next.page !== "rate" || next.number !== at.number) return false;
        if ((next.params.get("layer") ?? String(layer)) !== String(layer)) return false;
        state = read(next);
        draw();
        return true;
      },
      keys: {
        y: answer("fits"),
        n: answer("not"),
        u: answer("skip"),
        ArrowLeft: step(-1, "one"),
        ArrowRight: step(1, "one"),
        ArrowUp: step(-1, "list"),
        ArrowDown: step(1, "list"),
        Escape: () => route.go(route.factor(number, { layer })),
      },
    };
  };
}
