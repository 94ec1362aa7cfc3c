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

  /** The sentence in which the server says what is wrong. @param {Response} response */
  async function complaint(response) {
    try {
      const { error } = await response.json();
      if (typeof error === "string") return error;
    } catch {
      // Something else answered in its place.
    }
    return `The server answered with status ${response.status}.`;
  }

  /** Sends a question to the server; `take` gets each line of its answer. */
  tfvis.stream = async (path, question, take, signal) => {
    /** @type {Response} */
    let response;
    try {
      response = await fetch(path, {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify(question),
        signal,
      });
    } catch (error) {
      if (signal.aborted) throw error;
      throw new Error(
        "The server does not answer. Is tfvis view still running in its terminal?",
      );
    }
    if (!response.ok || !response.body) throw new Error(await complaint(response));
    const reader = response.body.getReader();
    const decoder = new TextDecoder();
    let rest = "";
    for (;;) {
      const { done, value } = await reader.read().catch((error) => {
        if (signal.aborted) throw error;
        throw new Error("The connection to the server was lost. Try again.");
      });
      if (done) return;
      const lines = (rest + decoder.decode(value, { stream: true })).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) take(JSON.parse(line));
    }
  };
}
