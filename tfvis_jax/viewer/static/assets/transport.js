/* How data comes to the page. The one file to exchange for another transport.
   A page opened from disk may not fetch, but it may run scripts: each data file is
   a script that calls tfvis.receive(name, value). */
(function (/** @type {Tfvis} */ tfvis) {
  "use strict";

  /** @type {Map<string, unknown>} */
  const received = new Map();

  /** Called by each data file. @param {string} name @param {unknown} value */
  tfvis.receive = function (name, value) {
    received.set(name, value);
  };

  /**
   * Loads one data file.
   * @param {string} name such as "data/index"
   * @returns {Promise<any>} its value; rejects with a message that names the file
   */
  tfvis.load = function (name) {
    return new Promise((resolve, reject) => {
      const script = document.createElement("script");
      script.src = `${name}.js`;
      script.charset = "utf-8";
      script.onload = () => {
        script.remove();
        if (received.has(name)) {
          resolve(received.get(name));
          received.delete(name);
        } else {
          reject(new Error(`The file ${name}.js is damaged.`));
        }
      };
      script.onerror = () => {
        script.remove();
        reject(new Error(`The file ${name}.js could not be read.`));
      };
      document.head.append(script);
    });
  };
})((window.tfvis = window.tfvis || /** @type {any} */ ({})));
