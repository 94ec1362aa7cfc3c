/* The contexts that are rated: a factor's own at one layer, and decoys among them. */
"use strict";
{
  const { data, rated, words } = tfvis;
  /** @type {RatedBand[]} */
  const BANDS = ["top", "upper", "middle", "random"];
  /** Decoys for each context, and their least and largest number. */
  const [SHARE, LEAST, MOST] = [0.5, 6, 20];
  /** Words of the factor that are looked up; it may fire on so much of a word at most. */
  const [WORDS, OFTEN] = [4, 0.2];
  /** Data files of other factors that decoys are taken from. */
  const SHARDS = 3;

  /**
   * @param {RatedBand} band @param {string[]} text before, word, after
   * @param {Value} alpha of the factor; of a decoy, of the factor that it is from
   * @param {Value} from @returns {RatedItem}
   */
  const item = (band, [before, word, after, title], alpha, from = null) => ({
    ...{ id: rated.contextId(before, word, after), band, before, word, after, title },
    ...{ alpha, from },
  });

  /** @param {Factor} factor @param {number} i position in layers */
  const own = (factor, i) =>
    BANDS.flatMap((band, place) =>
      (place === 0
        ? factor.contexts[i]
        : (factor.firings[i]?.bands[place - 1] ?? [])
      ).map(([text, alpha]) =>
        item(band, /** @type {string[]} */ (factor.texts[text].slice(0, 4)), alpha),
      ),
    );

  /** Other factors' contexts of words that fire this one seldom. @param {Factor} factor @param {number} i */
  async function sameWord(factor, i) {
    /** @type {RatedItem[]} */
    const found = [];
    if (!words.any()) return found;
    for (const [word] of factor.layer_words[i].slice(0, WORDS)) {
      const entry = await words.find(word);
      const mine = entry?.factors.find(([number]) => number === factor.factor);
      if (!entry || (mine?.[5][i] ?? 0) > OFTEN) continue;
      for (const [number, , alpha, place] of entry.factors) {
        if (place !== mine?.[3])
          found.push(item("decoy", entry.contexts[place], alpha, number));
      }
    }
    return found;
  }

  /** Contexts of other factors at the layer. @param {Factor} factor @param {number} i @param {() => number} next */
  async function others(factor, i, next) {
    const { factors, shards } = data.manifest.counts;
    // What fires with it, or on its words, may well fire it too.
    const near = new Set((factor.together?.[i] ?? []).map(([number]) => number));
    const listed = [...factor.words, ...factor.layer_words[i]];
    const known = new Set(listed.map(([word]) => words.fold(word)));
    near.add(factor.factor);
    /** @type {RatedItem[]} */
    const found = [];
    for (let k = 0; k < Math.min(SHARDS, shards); k += 1) {
      const first = Math.floor(next() * shards) * data.manifest.shard_size;
      const last = Math.min(first + data.manifest.shard_size, factors);
      for (let number = first; number < last; number += 1) {
        if (near.has(number)) continue;
        for (const each of own(await data.factor(number), i)) {
          if (!known.has(words.fold(each.word)))
            found.push({ ...each, band: "decoy", from: number });
        }
      }
    }
    return found;
  }

  tfvis.toRate = async (factor, i) => {
    const next = rated.random(`${factor.factor}/${i}`);
    /** @type {Map<string, RatedItem>} */
    const items = new Map();
    // A context of several bands is one of the first.
    for (const each of own(factor, i)) {
      if (!items.has(each.id)) items.set(each.id, each);
    }
    const mine = new Set(items.keys());
    const most = Math.min(MOST, Math.max(LEAST, Math.round(mine.size * SHARE)));
    /** @param {RatedItem[]} found @param {number} n */
    const add = (found, n) => {
      for (const each of rated.shuffled(found, `${factor.factor}/${i}`)) {
        if (items.size >= mine.size + n) return;
        if (!items.has(each.id)) items.set(each.id, each);
      }
    };
    add(await sameWord(factor, i), Math.ceil(most / 2));
    add(await others(factor, i, next), most);
    return [...items.values()];
  };
}
