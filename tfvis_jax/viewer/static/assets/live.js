/* Sentences: encoded on demand by the server, or recorded in the files of the site. */
"use strict";
{
  const KEPT = 8;
  /** Whole sentences by their key, least recently used first. @type {Map<string, Sentence>} */
  const kept = new Map();

  /** @param {Question} question */
  const key = (question) => JSON.stringify([question.text, ...question.masked]);

  /** @param {Sentence} sentence @param {LiveRecord} record */
  function add(sentence, record) {
    if ("error" in record) throw new Error(record.error);
    if ("pieces" in record) sentence.head = record;
    else sentence.layers.push(record);
  }

  /** @param {Sentence} sentence */
  const isWhole = ({ head, layers }) => layers.length === head?.layers.length;

  /** @param {Question} question @param {Sentence} sentence */
  function keep(question, sentence) {
    kept.set(key(question), sentence);
    if (kept.size > KEPT) {
      const [oldest] = kept.keys();
      kept.delete(oldest);
    }
  }

  /** @param {Live} live @param {Question} question */
  const recorded = (live, question) =>
    question.masked.length === 0 && live.recorded.find((r) => r.text === question.text);

  tfvis.live = {
    /**
     * The records of a sentence, added as they come; `grown` hears of each.
     * Null where it can be neither encoded nor read.
     */
    async sentence(question, grown, signal) {
      const { live } = tfvis.data;
      /** @type {Sentence} */
      const sentence = kept.get(key(question)) ?? { head: null, layers: [] };
      kept.delete(key(question));
      if (!sentence.head) {
        const file = recorded(live, question);
        if (!live.live && !file) return null;
        /** @param {unknown} record */
        const take = (record) => {
          add(sentence, /** @type {LiveRecord} */ (record));
          grown(sentence);
        };
        if (live.live) await tfvis.stream("api/encode", question, take, signal);
        else if (file) {
          const read = /** @type {LiveRecord[]} */ (await tfvis.load(file.name));
          for (const record of read) add(sentence, record);
        }
        if (!isWhole(sentence)) {
          throw new Error("The server stopped before the last layer. Try again.");
        }
      }
      keep(question, sentence);
      grown(sentence);
      return sentence;
    },
  };
}
