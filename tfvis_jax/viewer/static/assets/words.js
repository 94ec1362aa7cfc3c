/* Words of the corpus: how they are found, and those that are spelled alike. */
"use strict";
{
  const SHARDS = 256;
  const ALIKE = 8;
  const SUGGESTED = 6;
  const { el } = tfvis.dom;

  /**
   * What is the same for all spellings of a word, as `words.fold` in the package.
   * @param {string} word
   */
  function fold(word) {
    return word
      .normalize("NFD")
      .replace(/\p{Cf}|\p{Variation_Selector}/gu, "")
      .replace(/[^ı]+/g, (part) => part.toUpperCase().toLowerCase())
      .replaceAll("ς", "σ")
      .normalize("NFC");
  }

  /** FNV-1a of the UTF-8 of a text. @param {string} text */
  function hash(text) {
    let value = 0x811c9dc5;
    for (const byte of new TextEncoder().encode(text)) {
      value = Math.imul(value ^ byte, 0x01000193);
    }
    return value >>> 0;
  }

  /**
   * Letters to add, leave out or replace, at most `most` + 1.
   * @param {string} a @param {string} b @param {number} most
   */
  function distance(a, b, most) {
    if (Math.abs(a.length - b.length) > most) return most + 1;
    let row = Array.from({ length: b.length + 1 }, (_, j) => j);
    for (let i = 1; i <= a.length; i += 1) {
      const next = [i];
      for (let j = 1; j <= b.length; j += 1) {
        const same = a[i - 1] === b[j - 1] ? 0 : 1;
        next.push(Math.min(row[j - 1] + same, row[j] + 1, next[j - 1] + 1));
      }
      if (Math.min(...next) > most) return most + 1;
      row = next;
    }
    return row[b.length];
  }

  tfvis.words = {
    fold,
    hash,

    suggested() {
      const { featured } = tfvis.data.manifest;
      // The words of other factors say little by themselves.
      const low = featured.filter((f) => tfvis.data.computedLevel(f) === "low");
      /** @type {Set<string>} */
      const found = new Set();
      for (const factor of low.length ? low : featured) {
        const [first] = tfvis.data.words(factor);
        // A word of a single document may have no page.
        if (first && first[1] > 1) found.add(first[0]);
      }
      return [...found].slice(0, SUGGESTED);
    },

    links: (list) =>
      el(
        "ul",
        { class: "word-links" },
        list.map((word) =>
          el(
            "li",
            null,
            el("a", { href: tfvis.route.word(word) }, el("bdi", null, word)),
          ),
        ),
      ),

    any: () => (tfvis.data.manifest.counts.words ?? 0) > 0,

    async find(word) {
      const folded = fold(word);
      const name = `data/words/${(hash(folded) % SHARDS).toString(16).padStart(2, "0")}`;
      const { words } = /** @type {{words: WordEntry[]}} */ (await tfvis.load(name));
      return words.find((entry) => entry.folded === folded) ?? null;
    },

    async alike(word) {
      const folded = fold(word);
      const most = folded.length < 4 ? 1 : 2;
      const { words } = /** @type {{words: string[]}} */ (
        await tfvis.load("data/words/known")
      );
      /** @type {[number, string][]} */
      const near = [];
      for (const known of words) {
        const other = fold(known);
        const far = distance(folded, other, most);
        if (far <= most) near.push([far, known]);
        else if (folded.length > 2 && other.startsWith(folded))
          near.push([most + 1, known]);
      }
      // Of the same distance, the most frequent word comes first: the sort is stable.
      return near
        .sort(([a], [b]) => a - b)
        .slice(0, ALIKE)
        .map(([, known]) => known);
    },
  };
}
