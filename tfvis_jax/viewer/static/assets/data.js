/* The data of the run: what is loaded, and simple questions to it. */
"use strict";
{
  const SCHEMA = "tfvis-site/1";
  const KEPT_SHARDS = 12;
  /** @type {Map<number, Promise<Shard>>} least recently used first */
  const shards = new Map();
  /** @type {Map<number, string>|null} */
  let labels = null;
  /** As exported; the index has those that people set in their place. */
  let computed = /** @type {number[]} */ ([]);
  /** Live factors of each level. @type {number[]} */
  let counts = [];
  let imported = /** @type {[number, string][]} */ ([]);

  /** @param {number} number @returns {Promise<Shard>} */
  async function load(number) {
    const name = `data/factors/${String(number).padStart(5, "0")}`;
    return /** @type {Shard} */ (await tfvis.load(name));
  }

  const data = /** @type {Tfvis["data"]} */ ({
    /** Loads what every page needs. */
    async open() {
      const manifest = /** @type {Manifest} */ (await tfvis.load("data/manifest"));
      if (manifest.schema.split(".")[0] !== SCHEMA) {
        throw new Error(
          `Expected data of format ${SCHEMA}, got ${manifest.schema}. Export the site again with tfvis export.`,
        );
      }
      data.manifest = manifest;
      data.index = /** @type {Index} */ (await tfvis.load("data/index"));
      computed = data.index.levels;
      imported = data.index.labels;
      data.live = /** @type {Live} */ (await tfvis.load("data/live"));
      data.takeNotes(/** @type {Notes} */ (await tfvis.load("data/notes")));
    },

    notes: new Map(),

    notesEditable: false,

    takeNotes({ editable, notes }) {
      data.notes = new Map();
      data.notesEditable = editable;
      const levels = [...computed];
      const names = new Map(imported);
      for (const [factor, note] of notes) {
        const { level, label } = note;
        const place = data.manifest.level_names.indexOf(level);
        // A level that the run does not know is nobody's.
        data.notes.set(factor, place < 0 ? { ...note, level: "" } : note);
        if (place >= 0) levels[factor] = place;
        if (label) names.set(factor, label);
      }
      data.index = { ...data.index, levels, labels: [...names] };
      labels = names;
      counts = [];
    },

    levelCount(place) {
      if (!counts.length) {
        counts = data.manifest.level_names.map(() => 0);
        for (const [factor, level] of data.index.levels.entries()) {
          if (!data.isDead(factor)) counts[level] += 1;
        }
      }
      return counts[place];
    },

    computedLevel: (factor) => data.manifest.level_names[computed[factor]],

    computedNote(factor) {
      const score = data.index.level_scores[factor] ?? null;
      if (data.computedLevel(factor) === "unclear") return null;
      return score === null ? "guess" : tfvis.format.even(score);
    },

    guesses({ peak, level_scores }) {
      return peak.filter((at, f) => at !== null && (level_scores[f] ?? null) === null)
        .length;
    },

    async factor(factor) {
      const size = data.manifest.shard_size;
      const number = Math.floor(factor / size);
      let shard = shards.get(number);
      shards.delete(number);
      if (!shard) {
        shard = load(number);
        shard.catch(() => shards.delete(number));
      }
      shards.set(number, shard);
      if (shards.size > KEPT_SHARDS) {
        const [oldest] = shards.keys();
        shards.delete(oldest);
      }
      return (await shard).factors[factor % size];
    },

    async window(number) {
      const shard = Math.floor(number / data.manifest.window_shard);
      const name = `data/windows/${String(shard).padStart(5, "0")}`;
      const { windows } = /** @type {{windows: [number, string][]}} */ (
        await tfvis.load(name)
      );
      const found = windows.find(([each]) => each === number);
      if (!found) throw new Error(`Expected passage ${number} in ${name}.js.`);
      return found[1];
    },

    levelNote(factor) {
      if (data.notes.get(factor)?.level) return "human";
      return data.computedNote(factor);
    },

    isDead: (factor) => data.index.peak[factor] === null,

    level: (factor) => data.manifest.level_names[data.index.levels[factor]],

    /** Per layer. */
    importance: (factor) => data.index.importance.map((layer) => layer[factor]),

    /** User-supplied; any text, null if there is none. */
    label(factor) {
      labels ??= new Map(data.index.labels);
      return labels.get(factor) ?? null;
    },

    words: (factor) =>
      data.index.words[factor].map(([place, n]) => [data.index.vocabulary[place], n]),
  });
  tfvis.data = data;
}
