/* The text around a marked word; other words on which the factor fires are shaded. */
"use strict";
{
  const { el } = tfvis.dom;
  const { format } = tfvis;
  const WEAKEST = 0.1;

  /** Line breaks as spaces: aligned text is shown with its spaces. @param {string} s */
  const flat = (s) => s.replace(/\s+/g, " ");

  /**
   * A text in pieces, each with its activation, 0 where the factor does not fire; offsets
   * count characters from `zero`.
   * @param {string} text @param {number} zero @param {number[]} others
   */
  function pieces(text, zero, others) {
    // Characters, not UTF-16 units.
    const characters = Array.from(text);
    /** @param {number} from @param {number} [to] */
    const cut = (from, to) => flat(characters.slice(from, to).join(""));
    /** @type {[string, number][]} */
    const parts = [];
    let done = 0;
    for (let i = 0; i < others.length; i += 3) {
      const start = others[i] - zero;
      const end = start + others[i + 1];
      if (start < done || end > characters.length) continue;
      parts.push([cut(done, start), 0], [cut(start, end), others[i + 2]]);
      done = end;
    }
    parts.push([cut(done), 0]);
    return parts;
  }

  /** @param {number} activation @param {number} largest */
  const strength = (activation, largest) =>
    largest > 0 ? Math.min(1, Math.max(WEAKEST, activation / largest)) : WEAKEST;

  /** @param {[string, number][]} parts @param {number} largest @returns {Child[]} */
  const shaded = (parts, largest) =>
    parts.map(([text, activation]) =>
      activation > 0
        ? el(
            "span",
            {
              class: "also",
              title: `activation ${format.even(activation)}`,
              style: { "--strength": strength(activation, largest).toFixed(3) },
            },
            text,
          )
        : text,
    );

  /** @param {Passage} passage @param {Entry} entry @param {string} [text] */
  const before = ([whole], [, , others], text = whole) =>
    pieces(text, -Array.from(text).length, others);

  /** @param {Passage} passage @param {Entry} entry @param {string} [text] */
  const after = ([, word, whole], [, , others], text = whole) =>
    pieces(text, Array.from(word).length, others);

  tfvis.passage = {
    /** The text before the word. */
    before: (passage, entry, largest, text) =>
      shaded(before(passage, entry, text), largest),

    /** The text after the word. */
    after: (passage, entry, largest, text) =>
      shaded(after(passage, entry, text), largest),

    /** Both texts in pieces, for a drawing. */
    pieces: (passage, entry) => [before(passage, entry), after(passage, entry)],
    strength,
  };
}
