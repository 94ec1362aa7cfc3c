/* Which factors the list shows, and in which order. Pure; quick for 100,000 factors. */
"use strict";
{
  // Less than the next one, whatever weight below 1 is added.
  const [BEGINNING, WHOLE, PHRASE, LABEL, NUMBER] = [1, 2, 3, 5, 6];

  /** Terms of a query, in the spelling they are compared in. @param {string} q */
  function terms(q) {
    return fold(q)
      .split(/[\s,]+/)
      .filter(Boolean);
  }

  /** @param {string} text */
  function fold(text) {
    return text.normalize("NFC").toLowerCase();
  }

  /** The factor that a text numbers: 13, #13, Φ13, factor 13. @param {string} text @returns {Value} */
  function asNumber(text) {
    const match = /^(?:#|φ|ϕ|factor\s)?\s*(\d{1,9})$/.exec(fold(text.trim()));
    return match ? Number(match[1]) : null;
  }

  /** The vocabulary, as it is compared. @type {string[]} */
  let folded = [];
  /** @type {Index["vocabulary"]|null} */
  let foldedOf = null;
  /** Words of the labels, and the labels they are of. @type {Map<number, string[]>} */
  let labelled = new Map();
  /** @type {Index["labels"]|null} */
  let labelsOf = null;

  /**
   * How well each factor matches a query; 0 where it does not. A number comes before a
   * label, that before a word, that before the beginning of a word. Among words, those
   * that fire a factor strongly and no other come first.
   * @param {Index} index @param {string} q
   * @returns {(factor: number) => number}
   */
  function relevance(index, q) {
    if (foldedOf !== index.vocabulary) {
      foldedOf = index.vocabulary;
      folded = foldedOf.map(fold);
    }
    if (labelsOf !== index.labels) {
      labelsOf = index.labels;
      labelled = new Map(index.labels.map(([factor, text]) => [factor, terms(text)]));
    }
    const vocabulary = folded;
    const labels = labelled;
    const named = asNumber(q);
    const phrase = ` ${terms(q).join(" ")}`;
    const tests = terms(q).map((term) => {
      const number = asNumber(term);
      const hits = Uint8Array.from(vocabulary, (word) =>
        word === term ? WHOLE : word.startsWith(term) ? BEGINNING : 0,
      );
      /** @param {number} factor */
      return (factor) => {
        if (factor === number) return NUMBER;
        let best = 0;
        for (const word of labels.get(factor) || []) {
          if (word === term) best = LABEL;
          else if (word.startsWith(term)) best = Math.max(best, BEGINNING);
        }
        for (const [place] of index.words[factor]) best = Math.max(best, hits[place]);
        for (const [place, weight] of index.fires[factor]) {
          if (hits[place])
            best = Math.max(best, hits[place] + (weight ?? 0) / (1 + (weight ?? 0)));
        }
        return best;
      };
    });
    return (factor) => {
      if (factor === named) return NUMBER;
      let all = tests.length ? Infinity : 0;
      for (const test of tests) all = Math.min(all, test(factor));
      if (tests.length < 2) return all;
      for (const [text, share] of index.phrases[factor]) {
        if (` ${text}`.includes(phrase)) all = Math.max(all, PHRASE + (share ?? 0));
      }
      return all;
    };
  }

  /**
   * Sort keys by column.
   * @param {Index} index @returns {Map<string, (factor: number) => Value>}
   */
  function keys(index) {
    return new Map([
      ["number", (f) => f],
      ["level", (f) => index.levels[f]],
      [
        "importance",
        (f) => {
          const peak = index.peak[f];
          return peak === null ? null : index.importance[peak][f];
        },
      ],
      ["peak", (f) => index.peak[f]],
      ["activation", (f) => index.activation[f]],
      ["density", (f) => index.density[f]],
    ]);
  }

  tfvis.select = {
    terms,
    fold,

    /** The factor that a query numbers, null if it is none. */
    number: asNumber,

    /** The words of a factor that match a query, best first. */
    hits(index, factor, q) {
      const wanted = terms(q);
      return index.fires[factor]
        .map(([place]) => index.vocabulary[place])
        .filter((word) => wanted.some((term) => fold(word).startsWith(term)));
    },

    /** Why a factor matches a query. */
    why(index, factor, q) {
      const wanted = terms(q);
      /** @param {string[]} words */
      const has = (words) =>
        words.some((word) => wanted.some((term) => fold(word).startsWith(term)));
      /** @param {[number, Value][]} places */
      const at = (places) => places.map(([place]) => index.vocabulary[place]);
      const phrase = ` ${wanted.join(" ")}`;
      const context =
        wanted.length > 1 &&
        index.phrases[factor].find(([text]) => ` ${text}`.includes(phrase));
      if (wanted.some((term) => asNumber(term) === factor) || asNumber(q) === factor)
        return "its number";
      if (has(labelled.get(factor) ?? [])) return "in its label";
      if (context) return `in its contexts: “${context[0]}”`;
      if (has(at(index.words[factor]))) return "one of its words";
      if (has(at(index.fires[factor].slice(0, 1))))
        return "fires on it above all, at another layer than its peak";
      return "fires on it, if more weakly or at another layer";
    },

    /**
     * The chosen factors, in order: by `choice.sort`, else by how well they match, else
     * by number; and how many of each level there are, whichever level is chosen.
     * If some are `ranked`, best first, these alone match.
     */
    order(index, levelNames, choice, ranked = null) {
      const ranks = ranked && new Map(ranked.map((factor, i) => [factor, i]));
      /** @type {(factor: number) => number} */
      const match = ranks
        ? (factor) => 1 / (1 + (ranks.get(factor) ?? Infinity))
        : relevance(index, choice.q);
      const level = levelNames.indexOf(choice.level);
      const peak = choice.peak === "" ? null : Number(choice.peak);
      const all = terms(choice.q).length === 0;
      const values = new Float64Array(index.levels.length).fill(Infinity);
      /** @type {number[]} */
      const chosen = [];
      const counts = levelNames.map(() => 0);
      for (let factor = 0; factor < index.levels.length; factor += 1) {
        if (index.peak[factor] === null && !choice.dead) continue;
        if (peak !== null && index.peak[factor] !== peak) continue;
        const found = all ? 1 : match(factor);
        if (found === 0) continue;
        counts[index.levels[factor]] += 1;
        if (level >= 0 && index.levels[factor] !== level) continue;
        values[factor] = -found;
        chosen.push(factor);
      }
      const key = keys(index).get(choice.sort.replace("-", ""));
      if (key) {
        const sign = choice.sort.startsWith("-") ? -1 : 1;
        // Missing values come last in either direction.
        for (const factor of chosen) {
          const value = key(factor);
          values[factor] = value === null ? Infinity : sign * value;
        }
      }
      chosen.sort((a, b) =>
        values[a] < values[b] ? -1 : values[a] > values[b] ? 1 : a - b,
      );
      return { chosen, counts };
    },
  };
}
