// The page's own behaviour: languages, themes, choosing a cell or a pair, printing. Works without WebGL.
// Belongs here: everything but the 3-D view (viewer.js). Data arrive by classic scripts, so that file:// works.
(() => {
  "use strict";
  const root = document.documentElement;
  const all = (query, from = document) => [...from.querySelectorAll(query)];
  const keep = (name, value) => { try { localStorage.setItem(`em2cryo-${name}`, value); } catch { /* file:// may refuse */ } };
  const kept = (name) => { try { return localStorage.getItem(`em2cryo-${name}`); } catch { return null; } };

  // Languages: en, ko, both.
  const setLanguage = (value) => {
    root.dataset.lang = value;
    root.lang = value === "ko" ? "ko" : "en";
    for (const button of all("[data-set-lang]")) button.setAttribute("aria-pressed", String(button.dataset.setLang === value));
    keep("lang", value);
  };
  for (const button of all("[data-set-lang]")) button.addEventListener("click", () => setLanguage(button.dataset.setLang));
  setLanguage(["en", "ko", "both"].includes(kept("lang")) ? kept("lang") : "both");

  // Light and dark.
  const theme = document.getElementById("theme");
  const dark = () => (root.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
  if (["light", "dark"].includes(kept("theme"))) root.dataset.theme = kept("theme");
  theme.setAttribute("aria-pressed", String(dark()));
  theme.addEventListener("click", () => {
    root.dataset.theme = dark() ? "light" : "dark";
    theme.setAttribute("aria-pressed", String(dark()));
    keep("theme", root.dataset.theme);
  });

  // The 3-D cell.
  const box = document.getElementById("viewer");
  const loaded = new Map();
  let viewer = null;
  window.em2cryoCell = (key, cell) => { loaded.set(key, cell); };
  const withCell = (option, act) => {
    const key = option.value;
    if (loaded.has(key)) { act(loaded.get(key)); return; }
    const script = document.createElement("script");
    script.src = option.dataset.script;
    script.onload = () => act(loaded.get(key));
    document.head.append(script);
  };
  if (box) {
    const select = document.getElementById("cell");
    const cut = document.getElementById("cut"), face = document.getElementById("face"), spin = document.getElementById("spin");
    const showFace = () => { if (viewer) viewer.setCut(cut.getAttribute("aria-pressed") === "true", face.value); };
    const say = (on) => spin.setAttribute("aria-pressed", String(on));
    const choose = () => {
      const option = select.selectedOptions[0];
      const crop = document.getElementById("hero-crop"), cutaway = document.getElementById("hero-cutaway");
      const still = document.getElementById("hero-still");
      crop.src = option.dataset.crop;
      still.src = option.dataset.still;
      document.getElementById("hero-entry").href = `#${option.dataset.anchor}`;
      if (cutaway) {
        cutaway.hidden = !option.dataset.cutaway;
        if (option.dataset.cutaway) cutaway.src = option.dataset.cutaway;
        document.getElementById("hero-caption").textContent = option.dataset.caption;
      }
      const faces = option.dataset.faces.split(" ").filter(Boolean);
      for (const one of face.options) one.disabled = one.hidden = !faces.includes(one.value);
      if (!faces.includes(face.value)) face.value = faces[0] || "";
      face.disabled = !faces.length;
      withCell(option, (cell) => {
        if (!viewer) return;
        viewer.show(cell);
        showFace();
        box.dataset.shown = option.value;
      });
    };
    try {
      viewer = new window.EM2CryoViewer(box);
      box.classList.add("live");
      viewer.canvas.addEventListener("turning", (event) => say(event.detail));
      say(viewer.turning);
    } catch {
      box.classList.add("still"); // no WebGL: the still picture stays, and the page says so
    }
    select.addEventListener("change", choose);
    cut.addEventListener("click", () => {
      cut.setAttribute("aria-pressed", String(cut.getAttribute("aria-pressed") !== "true"));
      showFace();
    });
    face.addEventListener("change", () => { cut.setAttribute("aria-pressed", "true"); showFace(); });
    spin.addEventListener("click", () => viewer && viewer.setTurning(!viewer.turning));
    for (const button of all("[data-show-cell]")) {
      button.addEventListener("click", () => {
        select.value = button.dataset.showCell;
        choose();
        box.scrollIntoView({ block: "center" });
        box.querySelector("canvas").focus({ preventScroll: true });
      });
    }
    choose();
  }

  // The pair of the first screen.
  const pair = document.getElementById("pair");
  if (pair) {
    pair.addEventListener("change", () => {
      const option = pair.selectedOptions[0];
      for (const step of ["before", "after", "tomogram"]) {
        const image = document.getElementById(`pair-${step}`);
        image.src = option.dataset[step];
        image.closest("figure").style.setProperty("--share", option.dataset[`${step}Share`]);
      }
    });
  }

  // Channels of the fused volume.
  for (const group of all("[data-channels]")) {
    for (const button of all("button", group)) {
      button.addEventListener("click", () => {
        for (const other of all("button", group)) other.setAttribute("aria-pressed", String(other === button));
        for (const image of all("img[data-density]", group)) image.src = image.dataset[button.dataset.channel];
        for (const key of all("[data-key]", group)) key.hidden = key.dataset.key !== button.dataset.channel;
      });
    }
  }

  // Where the Dagster UI answers.
  const address = document.getElementById("ui-address");
  if (address) {
    const point = (base) => { for (const link of all("[data-ui]")) link.href = base + link.dataset.ui; };
    const origin = () => {
      try {
        const given = new URL(address.value);
        return ["http:", "https:"].includes(given.protocol) ? given.origin : null;
      } catch { return null; }
    };
    address.addEventListener("change", () => {
      const base = origin();
      address.setAttribute("aria-invalid", String(base === null));
      if (base !== null) { point(base); keep("ui", base); }
    });
    if (kept("ui")) { address.value = kept("ui"); point(origin() || address.defaultValue); }
  }

  // A link to a verdict opens it; paper shows everything.
  const openTarget = () => {
    const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (target instanceof HTMLDetailsElement) target.open = true;
  };
  addEventListener("hashchange", openTarget);
  openTarget();
  let closed = [];
  addEventListener("beforeprint", () => {
    closed = all("details:not([open])");
    for (const one of closed) one.open = true;
    for (const image of all("img[loading=lazy]")) image.loading = "eager";
  });
  addEventListener("afterprint", () => { for (const one of closed) one.open = false; });
})();
