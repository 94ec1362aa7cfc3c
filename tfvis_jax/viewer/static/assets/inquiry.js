/* A panel that asks the server about a factor at one cell of a sentence, and shows its answers as they come. */
"use strict";
{
  const { el } = tfvis.dom;
  const { glyphs, parts } = tfvis;

  tfvis.inquiry = (kind) => {
    const { id } = kind;
    const title = el("h2", { id: `${id}-title` });
    /** @type {HTMLSelectElement} */
    const factors = el("select", { id: `${id}-factor` });
    const button = parts.button(kind.verb, ask);
    const status = el("p", { class: "muted", role: "status" });
    const place = el("div");
    const element = el(
      "section",
      { class: `panel inquiry ${id}`, "aria-labelledby": `${id}-title`, hidden: true },
      el(
        "div",
        { class: "panel-head" },
        title,
        kind.close && parts.button("Close", kind.close),
      ),
      el("p", { class: "muted inquiry-about" }, kind.about),
      el(
        "div",
        { class: "inquiry-ask", on: { change: reset } },
        el("label", { for: `${id}-factor` }, "Factor "),
        factors,
        kind.fields,
        tfvis.data.live.live && button,
      ),
      kind.below,
      status,
      place,
    );
    /** @type {Cell|null} */
    let view = null;
    let key = "";
    let stop = new AbortController();

    function reset() {
      stop.abort();
      stop = new AbortController();
      button.disabled = false;
      status.className = "muted";
      status.textContent = "";
      place.replaceChildren();
      if (view) kind.changed?.(view, Number(factors.value));
    }

    async function ask() {
      if (!view) return;
      reset();
      const mine = stop;
      const asked = view;
      const question = kind.question(asked, Number(factors.value));
      button.disabled = true;
      status.textContent =
        "Working … The first answer at a layer takes some seconds more: its programs are compiled.";
      try {
        let said = "";
        await tfvis.stream(
          kind.path,
          question,
          (record) => {
            const answer = /** @type {any} */ (record);
            if ("error" in answer) throw new Error(answer.error);
            said = kind.said(asked, answer);
            status.textContent = `${said} More …`;
            place.replaceChildren(...kind.drawn(asked, answer));
          },
          mine.signal,
        );
        if (mine.signal.aborted) return;
        status.textContent = said;
      } catch (error) {
        if (mine.signal.aborted) return;
        status.className = "notice";
        status.textContent = parts.why(error);
      }
      button.disabled = false;
    }

    return {
      element,
      close: () => stop.abort(),
      show(next) {
        element.hidden = !next?.factors.length;
        if (!next?.factors.length) {
          // The server has one worker, which others wait for.
          stop.abort();
          key = "";
          return;
        }
        const now = JSON.stringify([
          ...[next.head, next.token, next.layer, next.factors, next.of],
        ]);
        if (now === key) return;
        key = now;
        view = next;
        title.replaceChildren(
          kind.title,
          " “",
          el("bdi", null, tfvis.tokenText(next.head, next.token)),
          `” at layer ${next.layer}`,
          ...(next.of === null ? [] : [" of “", el("bdi", null, next.of), "”"]),
        );
        factors.replaceChildren(
          ...next.factors.map(([factor]) =>
            el("option", { value: factor }, `Φ${factor} ${glyphs.name(factor)}`),
          ),
        );
        if (next.factors.some(([factor]) => factor === next.chosen)) {
          factors.value = String(next.chosen);
        }
        reset();
      },
    };
  };
}
