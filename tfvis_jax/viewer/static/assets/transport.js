/* How data reaches the page: the one file to change for another transport.
   A page opened from disk may not fetch, but it may run scripts: each data file is
   a script that calls tfvis.receive(name, value). */
"use strict";
{
  /** @type {Map<string, unknown>} */
  const received = new Map();

  /** Called by each data file. */
  tfvis.receive = (name, value) => {
    received.set(name, value);
  };

  /** Loads one data file, such as "data/index"; rejects with a message that names it. */
  tfvis.load = (name) =>
    new Promise((resolve, reject) => {
      const script = document.createElement("script");
      script.src = `${name}.js`;
      script.charset = "utf-8";
      script.onload = () => {
        script.remove();
        if (received.has(name)) {
          resolve(received.get(name));
          received.delete(name);
        } else {
          reject(
            new Error(
              `${name}.js is damaged. Export the site again with tfvis export.`,
            ),
          );
        }
      };
      script.onerror = () => {
        script.remove();
        reject(
          new Error(
            `${name}.js could not be read. Reload the page, or export the site again with tfvis export.`,
          ),
        );
      };
      document.head.append(script);
    });
}
