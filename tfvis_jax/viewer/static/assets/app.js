/* Opens the data and shows the page that the address names. */
(function (/** @type {Tfvis} */ tfvis) {
  "use strict";

  const { data, dom, format, route } = tfvis;
  const main = document.getElementById("main");
  /** @type {any} */
  let list = null;
  /** What main shows besides the list. @type {any} */
  let page = null;
  /** Counts routes, so that a slow answer to an old one is dropped. */
  let turn = 0;
  let listScroll = 0;

  function put(element) {
    list.element.hidden = element !== list.element;
    if (page) {
      page.element.remove();
      page.close?.();
      page = null;
    }
    if (element !== list.element) main.append(element);
  }

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
      dom.el("p", { class: "notice", role: "alert" }, error.message),
      again,
    );
    if (list) {
      put(element);
      page = { element };
    } else {
      main.replaceChildren(element);
    }
  }

  function showList(at) {
    const kept = !list.element.hidden ? window.scrollY : listScroll;
    const same = list.address() === (location.hash || "#/");
    put(list.element);
    list.show(at);
    window.scrollTo(0, same ? kept : 0);
    list.redraw();
  }

  async function showFactor(at) {
    const mine = turn;
    if (page?.update?.(at)) return;
    const next = await tfvis.factorPage(at, list);
    if (mine !== turn) return;
    if (!list.element.hidden) listScroll = window.scrollY;
    const stay = page?.keys && next.keys;
    put(next.element);
    page = next;
    document.title = next.title || data.manifest.title;
    next.mounted?.();
    if (!stay) window.scrollTo(0, 0);
    main.focus({ preventScroll: true });
  }

  async function show() {
    turn += 1;
    const at = route.current();
    try {
      if (at.page === "factor") await showFactor(at);
      else showList(at);
    } catch (error) {
      fail(error);
    }
  }

  function keys() {
    return {
      "/": () => {
        if (list.element.hidden) route.go(list.address());
        // The list appears with the address; the search box only then takes the focus.
        setTimeout(() => list.search.focus());
      },
      r: list.random,
      ...(page?.keys || {}),
    };
  }

  async function start() {
    history.scrollRestoration = "manual";
    tfvis.themeSwitch(document.getElementById("theme"));
    document.getElementById("skip").addEventListener("click", () => main.focus());
    await data.open();
    const { manifest } = data;
    list = tfvis.listPage();
    list.element.hidden = true;
    main.append(list.element);
    document.getElementById("brand").textContent = manifest.title;
    document.getElementById("provenance").textContent =
      `${manifest.model} · ${manifest.corpus} · ${format.layers(manifest.layers)} · ` +
      `${format.count(manifest.counts.factors)} factors · λ ${format.number(manifest.l1_penalty)} · ` +
      `${format.count(manifest.counts.contexts)} contexts`;
    tfvis.keys(keys);
    window.addEventListener("hashchange", show);
    await show();
    document.documentElement.dataset.ready = "true";
  }

  start().catch(fail);
})((window.tfvis = window.tfvis || /** @type {any} */ ({})));
