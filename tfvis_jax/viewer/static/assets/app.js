/* Opens the data and shows the page that the address names. */
"use strict";
{
  const { data, dom, format, route } = tfvis;
  const main = dom.find("main", HTMLElement);
  /** The list, once the data is open. @type {List|null} */
  let opened = null;
  /** What main shows besides the list. @type {Page|null} */
  let page = null;
  /** Counts routes, so that a late answer to an old one is dropped. */
  let turn = 0;
  let listScroll = 0;

  /** Shows the list's element or another in its place. @param {List} list @param {HTMLElement} element */
  function put(list, element) {
    list.element.hidden = element !== list.element;
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
      { type: "button", class: "button", on: { click: () => location.reload() } },
      "Try again",
    );
    const element = dom.el(
      "div",
      { class: "page" },
      dom.el("h1", null, "This page could not be shown"),
      dom.el(
        "p",
        { class: "notice", role: "alert" },
        error instanceof Error ? error.message : String(error),
      ),
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

  /**
   * Shows a page in the place of the list. @param {List} list @param {Route} at
   * @param {(at: Route, list: List) => Promise<Page>} make
   */
  async function showPage(list, at, make) {
    const mine = turn;
    if (page?.update?.(at)) return;
    const next = await make(at, list);
    if (mine !== turn) return;
    if (!list.element.hidden) listScroll = window.scrollY;
    const stay = page?.keys && next.keys;
    put(list, next.element);
    page = next;
    document.title = next.title || data.manifest.title;
    next.mounted?.();
    if (!stay) window.scrollTo(0, 0);
    main.focus({ preventScroll: true });
  }

  /** @param {List} list */
  async function show(list) {
    turn += 1;
    const at = route.current();
    try {
      if (at.page === "factor") await showPage(list, at, tfvis.factorPage);
      else if (at.page === "sentence") await showPage(list, at, tfvis.sentencePage);
      else showList(list, at);
    } catch (error) {
      fail(error);
    }
  }

  /** The keys of the page shown. @param {List} list @returns {Actions} */
  function keys(list) {
    return {
      "/": () => {
        if (list.element.hidden) route.go(list.address());
        // The list appears after the address has changed; only then can it take the focus.
        setTimeout(() => list.search.focus());
      },
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
    dom.find("brand", HTMLElement).textContent = manifest.title;
    dom.find("provenance", HTMLElement).textContent =
      `${manifest.model} · ${manifest.corpus} · ${format.layers(manifest.layers)} · ` +
      `${format.count(manifest.counts.factors)} factors · λ ${format.number(manifest.l1_penalty)} · ` +
      `${format.count(manifest.counts.contexts)} examples`;
    tfvis.keys(() => keys(list));
    window.addEventListener("hashchange", () => show(list));
    await show(list);
    document.documentElement.dataset.ready = "true";
  }

  start().catch(fail);
}
