/* How data and scripts reach the page: the one file to change for another transport.
   A page opened from disk may not fetch, but it may run scripts: each data file is
   a script that calls tfvis.receive(name, value), each page a few scripts of its own. */
"use strict";
{
  /** @type {Map<string, unknown>} */
  const received = new Map();

  /** Called by each data file. */
  tfvis.receive = (name, value) => {
    received.set(name, value);
  };

  /** Runs a script, or applies a style sheet. @param {string} url @returns {Promise<Element>} */
  const bring = (url) =>
    new Promise((resolve, reject) => {
      const node = url.endsWith(".css")
        ? Object.assign(document.createElement("link"), {
            rel: "stylesheet",
            href: url,
          })
        : Object.assign(document.createElement("script"), { src: url, async: false });
      node.onload = () => resolve(node);
      node.onerror = () => {
        node.remove();
        reject(
          new Error(
            `${url} could not be read. Try again, or export the site again with tfvis export.`,
          ),
        );
      };
      document.head.append(node);
    });

  /** Loads one data file, such as "data/index"; rejects with a message that names it. */
  tfvis.load = async (name) => {
    // A page in one file has its data inside.
    const inside = document.querySelector(`script[data-name="${CSS.escape(name)}"]`);
    if (inside) return JSON.parse(inside.textContent ?? "");
    (await bring(`${name}.js`)).remove();
    if (!received.has(name)) {
      throw new Error(
        `${name}.js is damaged. Export the site again with tfvis export.`,
      );
    }
    const value = received.get(name);
    received.delete(name);
    return value;
  };

  /** The files of each page, as index.html lists them. @type {Map<string, string[]>} */
  const files = new Map(
    Object.entries(JSON.parse(document.getElementById("pages")?.textContent ?? "{}")),
  );
  /** @type {Map<string, Promise<Element>>} */
  const brought = new Map();

  tfvis.pages = {};

  /** Loads what a page, or a part of one, needs besides what is always there. */
  tfvis.need = async (page) => {
    const needed = files.get(page) ?? [];
    try {
      await Promise.all(
        needed.map((file) => {
          const found = brought.get(file) ?? bring(`assets/${file}`);
          brought.set(file, found);
          return found;
        }),
      );
    } catch (error) {
      // A script reads what the one before it made: all are run again.
      for (const file of needed) brought.delete(file);
      throw error;
    }
  };

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

  /** Sends a value to the server; returns its answer. */
  tfvis.post = async (path, value) => {
    /** @type {unknown} */
    let answer = null;
    /** @param {unknown} record */
    const take = (record) => {
      answer = record;
    };
    await tfvis.stream(path, value, take, new AbortController().signal);
    return answer;
  };

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
