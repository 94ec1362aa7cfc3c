/* Opens the data and shows the page that the address names. */
"use strict";
{
  const { data, dom, format, route } = tfvis;
  const main = dom.find("main", HTMLElement);
  /** What a page is headed by until it is there. */
  const HEADINGS = new Map(
    Object.entries({
      factor: "Factor",
      word: "A word in factors",
      sentence: "A sentence in factors",
      compare: "Factors side by side",
      levels: "Levels",
      rate: "Ratings",
      about: "What the page shows, and what not to conclude",
      run: "How this run was made",
      runs: "Which factors were found twice?",
    }),
  );
  /** The list, once the data is open. @type {List|null} */
  let opened = null;
  /** What main shows besides the list. @type {Page|null} */
  let page = null;
  /** The first part of its address, once it is there. */
  let shown = "";
  /** Counts routes, so that a late answer to an old one is dropped. */
  let turn = 0;
  let listScroll = 0;
  /** The search box, once the data is open. @type {ReturnType<Tfvis["searchBox"]>|null} */
  let box = null;

  /** Shows the list's element or another in its place. @param {List} list @param {HTMLElement} element */
  function put(list, element) {
    list.element.hidden = element !== list.element;
    shown = "";
    if (page) {
      page.element.remove();
      page.close?.();
      page = null;
    }
    if (element !== list.element) main.append(element);
  }

  /** @param {unknown} error */
  function fail(error) {
    const again = dom.el(
      "button",
      {
        type: "button",
        class: "button",
        on: { click: () => (opened ? show(opened) : location.reload()) },
      },
      "Try again",
    );
    const element = dom.el(
      "div",
      { class: "page" },
      dom.el("h1", null, "This page could not be shown"),
      dom.el("p", { class: "notice", role: "alert" }, tfvis.parts.why(error)),
      again,
    );
    if (opened) {
      put(opened, element);
      page = { element };
    } else {
      main.replaceChildren(element);
    }
  }

  /** @param {List} list @param {Route} at */
  function showList(list, at) {
    const kept = !list.element.hidden ? window.scrollY : listScroll;
    const same = list.address() === (location.hash || "#/");
    put(list, list.element);
    list.show(at);
    window.scrollTo(0, same ? kept : 0);
    list.redraw();
  }

  /** What stands in the place of a page. @param {List} list @param {...Child} says */
  function instead(list, ...says) {
    if (!list.element.hidden) listScroll = window.scrollY;
    const element = dom.el("div", { class: "page" }, says);
    put(list, element);
    page = { element };
  }

  /** @param {List} list */
  function showNone(list) {
    instead(
      list,
      dom.el("h1", null, "There is no such page"),
      dom.el(
        "p",
        { class: "notice" },
        "No page of this run has the address ",
        dom.el("bdi", null, location.hash),
        ". ",
        dom.el("a", { href: route.list() }, "To the first page"),
      ),
    );
    document.title = `No such page · ${data.manifest.title}`;
    main.focus({ preventScroll: true });
  }

  /** Shows a page in the place of the list. @param {List} list @param {Route} at */
  async function showPage(list, at) {
    const mine = turn;
    if (at.page === "") {
      showList(list, at);
      return;
    }
    if (!HEADINGS.has(at.page)) {
      showNone(list);
      return;
    }
    // Another factor takes the place of the one before it, without a flicker.
    if (at.page !== shown) {
      const heading =
        at.page === "factor" ? `Factor ${at.number}` : HEADINGS.get(at.page);
      instead(
        list,
        dom.el("h1", null, heading),
        dom.el("p", { class: "muted", role: "status" }, "Loading …"),
      );
      window.scrollTo(0, 0);
    }
    await tfvis.need(at.page);
    if (mine !== turn) return;
    if (page?.update?.(at)) return;
    const make = tfvis.pages[at.page];
    if (!make) {
      throw new Error(
        "The scripts of this page are damaged. Export the site again with tfvis export.",
      );
    }
    const next = await make(at, list);
    if (mine !== turn) return;
    const stay = page?.keys && next.keys;
    put(list, next.element);
    page = next;
    shown = at.page;
    document.title = next.title || data.manifest.title;
    next.mounted?.();
    if (!stay) window.scrollTo(0, 0);
    main.focus({ preventScroll: true });
  }

  /** @param {List} list */
  async function show(list) {
    turn += 1;
    const at = route.current();
    // The query of the list; on another page the box begins empty.
    box?.show(at.page === "" ? (at.params.get("q") ?? "") : "");
    for (const link of document.querySelectorAll("#top nav a")) {
      const here = link.getAttribute("href") === `#/${at.page}`;
      if (here) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    const mine = turn;
    main.ariaBusy = "true";
    try {
      await showPage(list, at);
    } catch (error) {
      if (mine === turn) fail(error);
    }
    if (mine === turn) main.ariaBusy = null;
  }

  /** The keys of the page shown. @param {List} list @returns {Actions} */
  function keys(list) {
    return {
      "/": () => box?.focus(),
      r: list.random,
      ...page?.keys,
    };
  }

  async function start() {
    history.scrollRestoration = "manual";
    tfvis.themeSwitch(dom.find("theme", HTMLButtonElement));
    dom.find("skip", HTMLElement).addEventListener("click", () => main.focus());
    await data.open();
    const { manifest } = data;
    const list = tfvis.listPage();
    list.element.hidden = true;
    main.append(list.element);
    opened = list;
    box = tfvis.searchBox(list);
    dom.find("brand", HTMLElement).textContent = manifest.title;
    const { factors, contexts } = manifest.counts;
    dom
      .find("provenance", HTMLElement)
      .append(
        ...tfvis.parts.inARow([
          manifest.model,
          manifest.corpus,
          format.layers(manifest.layers),
          `${format.count(factors)} factors`,
          format.codes(manifest.l1_penalty),
          `${format.count(contexts)} examples`,
        ]),
      );
    dom.find("to-runs", HTMLElement).hidden = !manifest.beside;
    tfvis.keys(() => keys(list));
    window.addEventListener("hashchange", () => show(list));
    await show(list);
    document.documentElement.dataset.ready = "true";
  }

  // After the scripts of the other pages too, where a page in one file has them inside.
  document.addEventListener("DOMContentLoaded", () => start().catch(fail));
}
