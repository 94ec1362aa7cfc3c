/* Which tokens of two sentences stand for each other: the common subsequence with the
   most letters, so that "left" counts for more than "the". */
"use strict";
{
  /**
   * [i][j]: the most letters that partners among a[i…] and b[j…] have.
   * @param {string[]} a @param {string[]} b
   */
  function longest(a, b) {
    const best = Array.from(
      { length: a.length + 1 },
      () => new Uint32Array(b.length + 1),
    );
    for (let i = a.length - 1; i >= 0; i -= 1) {
      for (let j = b.length - 1; j >= 0; j -= 1) {
        best[i][j] =
          a[i] === b[j]
            ? best[i + 1][j + 1] + a[i].length + 1
            : Math.max(best[i + 1][j], best[i][j + 1]);
      }
    }
    return best;
  }

  /** For each token of `a` the position of its partner in `b`, or null. */
  tfvis.align = (a, b) => {
    const best = longest(a, b);
    /** @type {Value[]} */
    const partners = a.map(() => null);
    let i = 0;
    let j = 0;
    while (i < a.length && j < b.length) {
      if (a[i] === b[j] && best[i][j] > Math.max(best[i + 1][j], best[i][j + 1])) {
        partners[i] = j;
        i += 1;
        j += 1;
      } else if (best[i + 1][j] >= best[i][j + 1]) i += 1;
      else j += 1;
    }
    return partners;
  };
}
