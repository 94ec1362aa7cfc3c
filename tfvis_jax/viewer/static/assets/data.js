/* The data of the run: what is loaded, and simple questions to it. */
(function (tfvis) {
  "use strict";

  /**
   * @typedef {Object} Manifest
   * @property {string} schema
   * @property {string} title
   * @property {string} model
   * @property {string} corpus
   * @property {number[]} layers
   * @property {number} l1_penalty
   * @property {[string, number|string|number[]|null][]} report
   * @property {number[]} featured
   * @property {string[]} level_names
   * @property {number} shard_size
   * @property {{factors: number, alive: number, contexts: number, levels: number[]}} counts
   *
   * @typedef {Object} Index columns over all factors
   * @property {number[]} levels position in level_names
   * @property {(number|null)[][]} importance [layer][factor]
   * @property {(number|null)[]} peak position in layers; null for dead factors
   * @property {(number|null)[]} activation greatest over all layers
   * @property {(number|null)[]} density at the peak layer
   * @property {string[]} vocabulary
   * @property {[number, number][][]} words per factor: place in vocabulary, count
   *
   * @typedef {Object} Factor
   * @property {number} factor
   * @property {string} reason of its level
   * @property {(number|null)[]} importance per layer
   * @property {(number|null)[]} density per layer
   * @property {(number|null)[]} activation greatest per layer
   * @property {[string, number][]} words with counts, over all layers
   * @property {[string, number][][]} layer_words
   * @property {[string, string, string, string][]} texts before, word, after, document
   * @property {[number, number|null][][]} contexts per layer: place in texts, activation
   */

  const SCHEMA = "tfvis-site/1";
  const KEPT_SHARDS = 12;
  /** @type {Map<number, Promise<{factors: Factor[]}>>} least recently used first */
  const shards = new Map();

  const data = {
    /** @type {Manifest} */ manifest: null,
    /** @type {Index} */ index: null,

    /** Loads what every page needs. */
    async open() {
      const manifest = await tfvis.load("data/manifest");
      if (manifest.schema.split(".")[0] !== SCHEMA) {
        throw new Error(
          `This page reads ${SCHEMA}, but the data is ${manifest.schema}. Export it anew.`,
        );
      }
      data.manifest = manifest;
      data.index = await tfvis.load("data/index");
    },

    /**
     * @param {number} factor
     * @returns {Promise<Factor>}
     */
    async factor(factor) {
      const size = data.manifest.shard_size;
      const number = Math.floor(factor / size);
      let shard = shards.get(number);
      shards.delete(number);
      if (!shard) {
        shard = tfvis.load(`data/factors/${String(number).padStart(5, "0")}`);
        shard.catch(() => shards.delete(number));
      }
      shards.set(number, shard);
      if (shards.size > KEPT_SHARDS) shards.delete(shards.keys().next().value);
      return (await shard).factors[factor % size];
    },

    /** @param {number} factor */
    isDead: (factor) => data.index.peak[factor] === null,

    /** @param {number} factor */
    level: (factor) => data.manifest.level_names[data.index.levels[factor]],

    /** @param {number} factor @returns {(number|null)[]} per layer */
    importance: (factor) => data.index.importance.map((layer) => layer[factor]),

    /** @param {number} factor @returns {[string, number][]} */
    words: (factor) =>
      data.index.words[factor].map(([place, n]) => [data.index.vocabulary[place], n]),
  };
  tfvis.data = data;
})((window.tfvis = window.tfvis || {}));
