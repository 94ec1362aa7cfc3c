/* Which factors the list shows, and in which order. Pure; quick for 100,000 factors. */
(function (/** @type {Tfvis} */ tfvis) {
  "use strict";

  /** Terms of a query, in the spelling they are compared in. @param {string} q */
  function terms(q) {
    return fold(q).split(/[\s,]+/).filter(Boolean);
  }

  /** @param {string} text */
  function fold(text) {
    return text.normalize("NFC").toLowerCase();
  }

  /** @param {string} term @returns {number|null} */
  function asNumber(term) {
    const match = /^#?(\d{1,9})$/.exec(term);
    return match ? Number(match[1]) : null;
  }

  /** @type {string[]|null} */
  let folded = null;
  /** Words of the labels. @type {Map<number, string[]>|null} */
  let called = null;

  /** One test per term: does it name the factor, or begin one of its words? */
  function matchers(index, q) {
    folded = folded || index.vocabulary.map(fold);
    called =
      called || new Map(index.labels.map(([factor, text]) => [factor, terms(text)]));
    return terms(q).map((term) => {
      const number = asNumber(term);
      const hits = Uint8Array.from(folded, (word) => (word.startsWith(term) ? 1 : 0));
      return (factor) =>
        factor === number ||
        index.words[factor].some(([place]) => hits[place] === 1) ||
        (called.get(factor) || []).some((word) => word.startsWith(term));
    });
  }

  /** Sort keys by column. */
  function keys(index) {
    const peakImportance = (f) =>
      index.peak[f] === null ? null : index.importance[index.peak[f]][f];
    return {
      number: (f) => f,
      level: (f) => index.levels[f],
      importance: peakImportance,
      peak: (f) => index.peak[f],
      activation: (f) => index.activation[f],
      density: (f) => index.density[f],
    };
  }

  tfvis.select = {
    terms,
    fold,

    /**
     * @param {Index} index @param {string[]} levelNames
     * @param {Choice} choice
     * @returns {number[]} factors in order
     */
    order(index, levelNames, choice) {
      const tests = matchers(index, choice.q);
      const level = levelNames.indexOf(choice.level);
      const peak = choice.peak === "" ? null : Number(choice.peak);
      const chosen = [];
      for (let factor = 0; factor < index.levels.length; factor += 1) {
        if (index.peak[factor] === null && !choice.dead) continue;
        if (level >= 0 && index.levels[factor] !== level) continue;
        if (peak !== null && index.peak[factor] !== peak) continue;
        if (tests.every((test) => test(factor))) chosen.push(factor);
      }
      const column = choice.sort.replace("-", "");
      const key = keys(index)[column];
      if (key && choice.sort !== "number") {
        const sign = choice.sort.startsWith("-") ? -1 : 1;
        // Missing values come last in either direction.
        const values = new Float64Array(index.levels.length).fill(Infinity);
        for (const factor of chosen) {
          const value = key(factor);
          if (value !== null) values[factor] = sign * value;
        }
        chosen.sort((a, b) => (values[a] < values[b] ? -1 : values[a] > values[b] ? 1 : a - b));
      }
      // Whoever types a number means that factor first.
      const named = asNumber(choice.q.trim());
      const place = named === null ? -1 : chosen.indexOf(named);
      if (place > 0) chosen.unshift(...chosen.splice(place, 1));
      return chosen;
    },
  };
})((window.tfvis = window.tfvis || /** @type {any} */ ({})));
