/* The text around a marked word; other words on which the factor fires are shaded. */
"use strict";
{
  const { el } = tfvis.dom;
  const { format } = tfvis;
  const WEAKEST = 0.1;

  /** Line breaks as spaces: aligned text is shown with its spaces. @param {string} s */
  const flat = (s) => s.replace(/\s+/g, " ");

  /**
   * A text with its shaded words; offsets count characters from `zero`.
   * @param {string} text @param {number} zero @param {number[]} others @param {number} largest
   */
  function shaded(text, zero, others, largest) {
    // Characters, not UTF-16 units.
    const characters = Array.from(text);
    /** @param {number} from @param {number} [to] */
    const cut = (from, to) => flat(characters.slice(from, to).join(""));
    /** @type {Child[]} */
    const parts = [];
    let done = 0;
    for (let i = 0; i < others.length; i += 3) {
      const start = others[i] - zero;
      const end = start + others[i + 1];
      if (start < done || end > characters.length) continue;
      const share = largest > 0 ? Math.min(1, others[i + 2] / largest) : 0;
      parts.push(
        cut(done, start),
        el(
          "span",
          {
            class: "also",
            title: `activation ${format.even(others[i + 2])}`,
            style: { "--strength": Math.max(WEAKEST, share).toFixed(3) },
          },
          cut(start, end),
        ),
      );
      done = end;
    }
    parts.push(cut(done));
    return parts;
  }

  tfvis.passage = {
    /** The text before the word. */
    before([before], [, , others], largest, text = before) {
      return shaded(text, -Array.from(text).length, others, largest);
    },

    /** The text after the word. */
    after([, word, after], [, , others], largest, text = after) {
      return shaded(text, Array.from(word).length, others, largest);
    },
  };
}
