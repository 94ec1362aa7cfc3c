/* Which factors the list shows, and in which order. Pure; quick for 100,000 factors. */
"use strict";
{
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

  /** The factor that a term numbers. @param {string} term @returns {Value} */
  function asNumber(term) {
    const match = /^#?(\d{1,9})$/.exec(term);
    return match ? Number(match[1]) : null;
  }

  /** @type {string[]|null} */
  let folded = null;
  /** Words of the labels. @type {Map<number, string[]>|null} */
  let labelled = null;

  /**
   * One test per term: is it the factor's number, or does one of its words begin so?
   * @param {Index} index @param {string} q
   * @returns {((factor: number) => boolean)[]}
   */
  function matchers(index, q) {
    folded ??= index.vocabulary.map(fold);
    labelled ??= new Map(index.labels.map(([factor, text]) => [factor, terms(text)]));
    const vocabulary = folded;
    const labels = labelled;
    return terms(q).map((term) => {
      const number = asNumber(term);
      const hits = Uint8Array.from(vocabulary, (word) =>
        word.startsWith(term) ? 1 : 0,
      );
      return (factor) =>
        factor === number ||
        index.words[factor].some(([place]) => hits[place] === 1) ||
        (labels.get(factor) || []).some((word) => word.startsWith(term));
    });
  }

  /**
   * Sort keys by column.
   * @param {Index} index @returns {Map<string, (factor: number) => Value>}
   */
  function keys(index) {
    return new Map([
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

    /** The chosen factors, in order; by number where `choice.sort` names no column. */
    order(index, levelNames, choice) {
      const tests = matchers(index, choice.q);
      const level = levelNames.indexOf(choice.level);
      const peak = choice.peak === "" ? null : Number(choice.peak);
      /** @type {number[]} */
      const chosen = [];
      for (let factor = 0; factor < index.levels.length; factor += 1) {
        if (index.peak[factor] === null && !choice.dead) continue;
        if (level >= 0 && index.levels[factor] !== level) continue;
        if (peak !== null && index.peak[factor] !== peak) continue;
        if (tests.every((test) => test(factor))) chosen.push(factor);
      }
      const key = keys(index).get(choice.sort.replace("-", ""));
      if (key) {
        const sign = choice.sort.startsWith("-") ? -1 : 1;
        // Missing values come last in either direction.
        const values = new Float64Array(index.levels.length).fill(Infinity);
        for (const factor of chosen) {
          const value = key(factor);
          if (value !== null) values[factor] = sign * value;
        }
        chosen.sort((a, b) =>
          values[a] < values[b] ? -1 : values[a] > values[b] ? 1 : a - b,
        );
      }
      // Whoever types a number means that factor first.
      const named = asNumber(choice.q.trim());
      const place = named === null ? -1 : chosen.indexOf(named);
      if (place > 0) chosen.unshift(...chosen.splice(place, 1));
      return chosen;
    },
  };
}
