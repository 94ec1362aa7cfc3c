/* Small marks used on both pages: levels, sparklines, words. */
"use strict";
{
  const { el, svg } = tfvis.dom;
  /** @type {{[level: string]: string}} */
  const SHAPES = {
    low: "●",
    mid: "▲",
    high: "■",
    topic: "◆",
    unreadable: "×",
    unclear: "○",
  };
  const BAR = 8;
  const GAP = 2;
  const HEIGHT = 26;
  const NAMED = 2;
  const FEW = 4;
  const SAID = 6;
  const LETTER = /[\p{L}\p{N}]/u;

  /** @param {string} word */
  const readable = (word) => (LETTER.test(word) ? word : `‘${word}’`);

  /** @param {number} factor @param {number} n */
  const first = (factor, n) =>
    tfvis.data
      .words(factor)
      .slice(0, n)
      .map(([word]) => word);
  const WEAKEST = 0.1;

  tfvis.glyphs = {
    /** Level by shape, word and colour. */
    level: (level, note = null) =>
      el(
        "span",
        { class: `level level-${level}` },
        el("span", { class: "shape", "aria-hidden": "true" }, SHAPES[level] ?? "◇"),
        level,
        note !== null &&
          el(
            "small",
            {
              title:
                note === "guess"
                  ? "A guess: how much context it needs has not been measured"
                  : note === "human"
                    ? "Set by a person"
                    : "Probability of the level, judged by factors that were read",
            },
            note,
          ),
      ),

    /** Importance by layer as bars, relative to the factor's largest. */
    spark(importance, layers) {
      const largest = tfvis.format.largest(importance);
      const width = importance.length * (BAR + GAP) - GAP;
      const text = importance
        .map((x, i) => `layer ${layers[i]}: ${tfvis.format.number(x)}`)
        .join(", ");
      return svg(
        "svg",
        {
          class: "spark",
          viewBox: `0 0 ${width} ${HEIGHT}`,
          preserveAspectRatio: "none",
          role: "img",
          "aria-label": `Importance by layer. ${text}`,
          style: { "--bars": importance.length },
        },
        svg("title", null, text),
        importance.map((x, i) => {
          const share = largest > 0 && x ? x / largest : 0;
          const height = Math.max(1.5, share * HEIGHT);
          return svg("rect", {
            class: share === 1 ? "bar peak" : share ? "bar" : "bar none",
            x: i * (BAR + GAP),
            y: HEIGHT - height,
            width: BAR,
            height,
            rx: 1,
          });
        }),
      );
    },

    /** The marked word; the colour behind it shows its activation relative to the largest. */
    mark(word, activation, largest) {
      const share = activation && largest > 0 ? Math.min(1, activation / largest) : 0;
      const strength = share > 0 ? Math.max(WEAKEST, share) : 0;
      return el(
        "mark",
        {
          title: `activation ${tfvis.format.even(activation)}`,
          style: { "--strength": strength.toFixed(3) },
        },
        word,
      );
    },

    /** User-supplied label; nothing for null. */
    label: (text) =>
      text !== null && [
        el("bdi", { class: "label", title: `User-supplied label: ${text}` }, text),
        " ",
      ],

    /** A word as a list shows it: marks alone in quotes. */
    readable,

    /** Words side by side. */
    listed: (words) =>
      [...new Set(words)].map((word, i) => [
        i > 0 ? "\u00a0· " : null,
        el("bdi", null, readable(word)),
      ]),

    /** The first words of a factor. */
    few: (factor, n = FEW) => tfvis.glyphs.listed(first(factor, n)),

    /** What a factor is called in a sentence: its label, or its first two words. */
    name: (factor) =>
      tfvis.data.label(factor) ??
      (first(factor, NAMED).map(readable).join(", ") || `factor ${factor}`),

    /** What a table says of a factor: its label, and the words that fire it most. */
    what: (factor) => [
      tfvis.glyphs.label(tfvis.data.label(factor)),
      el(
        "span",
        { class: "names", dir: "auto" },
        first(factor, SAID).map(readable).join(", "),
      ),
    ],
    /** The title of a drawing of it. */
    phi: (factor) => `Φ${factor} ${tfvis.glyphs.name(factor)}`,

    /** Words with counts; `hits` and those that match a search come first. */
    words(words, { hits = [], terms = [], limit = 8, links = false } = {}) {
      const { fold } = tfvis.select;
      /** @param {string} word */
      const hit = (word) => terms.some((t) => fold(word).startsWith(t));
      const listed = new Set(words.map(([word]) => fold(word)));
      /** @param {string} word @param {number|null} count @param {boolean} found */
      const entry = (word, count, found) => ({ word, count, found });
      const all = [
        ...words.filter(([word]) => hit(word)).map(([w, n]) => entry(w, n, true)),
        ...hits
          .filter((word) => !listed.has(fold(word)))
          .map((w) => entry(w, null, true)),
        ...words.filter(([word]) => !hit(word)).map(([w, n]) => entry(w, n, false)),
      ];
      return el(
        "span",
        { class: "words" },
        all.slice(0, limit).map(({ word, count, found }, i) => [
          i > 0 ? " " : null,
          el(
            "span",
            { class: found ? "word hit" : "word" },
            links && (count ?? 0) > 1 && tfvis.words.any()
              ? el(
                  "a",
                  { href: tfvis.route.word(word), title: "All factors of this word" },
                  el("bdi", null, readable(word)),
                )
              : el("bdi", null, readable(word)),
            count !== null &&
              el(
                "small",
                {
                  title: `in ${count} ${count === 1 ? "document" : "documents"}`,
                },
                ` ${count}`,
              ),
          ),
        ]),
      );
    },
  };
}
