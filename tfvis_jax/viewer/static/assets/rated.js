/* What ratings say: shares with intervals, agreement of raters; names and order of contexts. Pure. */
"use strict";
{
  /** Of a normal distribution, 95 % is within so many standard deviations. */
  const Z = 1.959963984540054;

  /** Numbers in 0 … 1 that are the same for the same seed (mulberry32). @param {string} seed */
  function random(seed) {
    let state = tfvis.words.hash(seed);
    return () => {
      state = (state + 0x6d2b79f5) | 0;
      let t = Math.imul(state ^ (state >>> 15), 1 | state);
      t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
      return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
    };
  }

  tfvis.rated = {
    /** Wilson's 95 % interval of a share. */
    wilson(fits, n) {
      if (n === 0) return [0, 1];
      const p = fits / n;
      const z2 = Z ** 2 / n;
      const middle = (p + z2 / 2) / (1 + z2);
      const reach = Math.sqrt(z2 * (p * (1 - p) + z2 / 4)) / (1 + z2);
      return [fits > 0 ? middle - reach : 0, fits < n ? middle + reach : 1];
    },

    /** How many contexts of a band fit; skipped ones are left out. */
    share(judged, band) {
      const said = judged.filter((each) => each.band === band && each.says !== "skip");
      const fits = said.filter((each) => each.says === "fits").length;
      return { fits, n: said.length };
    },

    /** How far two raters agree on what both have judged: Cohen's κ, null without chance. */
    agreement(first, second) {
      const said = new Map(second.judged.map(({ context, says }) => [context, says]));
      const pairs = first.judged
        .map(({ context, says }) => [says, said.get(context) ?? "skip"])
        .filter((pair) => !pair.includes("skip"));
      const n = pairs.length;
      const same = pairs.filter(([a, b]) => a === b).length;
      /** @param {number} side */
      const fits = (side) => pairs.filter((pair) => pair[side] === "fits").length;
      const [a, b] = [fits(0), fits(1)];
      const chance = n > 0 ? (a * b + (n - a) * (n - b)) / n ** 2 : 1;
      return { n, same, kappa: chance < 1 ? (same / n - chance) / (1 - chance) : null };
    },

    /** What names a context: FNV-1a of its text, as in ratings.json. */
    contextId: (before, word, after) =>
      tfvis.words.hash([before, word, after].join("\0")).toString(16).padStart(8, "0"),

    random,

    /** In an order that is the same for the same seed. */
    shuffled(items, seed) {
      const next = random(seed);
      const order = [...items];
      for (let i = order.length - 1; i > 0; i -= 1) {
        const j = Math.floor(next() * (i + 1));
        [order[i], order[j]] = [order[j], order[i]];
      }
      return order;
    },
  };
}
