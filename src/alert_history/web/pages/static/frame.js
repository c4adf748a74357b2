// What all pages do beside showing: keys, times that stay true, and the zone of the browser. Nothing needs it.
(() => {
  "use strict";

  const MINUTE = 60, HOUR = 3600, DAY = 86400;

  // --- keys -------------------------------------------------------------------------------------------------------

  let isGoing = 0; // until when, in ms, a letter after `g` counts

  const isTyping = (element) =>
    element.isContentEditable || ["INPUT", "TEXTAREA", "SELECT"].includes(element.tagName);

  const rows = () => [...document.querySelectorAll("[data-row]")];

  function choose(step) {
    const all = rows();
    if (!all.length) return;
    const at = all.findIndex((row) => row.classList.contains("is-chosen"));
    const next = all[Math.min(Math.max(at + step, 0), all.length - 1)];
    all[at]?.classList.remove("is-chosen");
    next.classList.add("is-chosen");
    (next.querySelector("a[href]") ?? next).focus({ preventScroll: true });
    next.scrollIntoView({ block: "nearest" });
  }

  function open() {
    document.querySelector("[data-row].is-chosen a[href]")?.click();
  }

  function go(key) {
    const link = document.querySelector(`.pages a[data-key="${CSS.escape(key)}"]`);
    if (link) location.assign(link.href);
  }

  const ACTIONS = {
    "/": () => (document.querySelector("[data-search]") ?? document.getElementById("find"))?.focus(),
    j: () => choose(1),
    k: () => choose(-1),
    o: open,
    "?": () => document.getElementById("keys")?.showModal(),
  };

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
    if (Date.now() < isGoing) {
      isGoing = 0;
      event.preventDefault();
      go(event.key);
    } else if (event.key === "g") {
      isGoing = Date.now() + 1500;
    } else if (ACTIONS[event.key]) {
      event.preventDefault();
      ACTIONS[event.key]();
    }
  });

  // --- the navigation, where it is a strip ---------------------------------------------------------------------------

  const strip = document.querySelector(".pages");
  const current = strip?.querySelector("[aria-current]");
  if (current && strip.scrollWidth > strip.clientWidth) {
    const [box, inner] = [strip.getBoundingClientRect(), current.getBoundingClientRect()];
    strip.scrollLeft += inner.left + inner.width / 2 - (box.left + box.width / 2);
  }

  // --- times ------------------------------------------------------------------------------------------------------

  function length(seconds) {
    const left = Math.round(seconds);
    for (const [size, unit, smaller, name] of [[DAY, "d", HOUR, "h"], [HOUR, "h", MINUTE, "min"], [MINUTE, "min", 1, "s"]]) {
      if (left < size) continue;
      const rest = Math.floor((left % size) / smaller);
      return rest && left < 10 * size ? `${Math.floor(left / size)} ${unit} ${rest} ${name}` : `${Math.floor(left / size)} ${unit}`;
    }
    return `${left} s`;
  }

  function tell() {
    for (const element of document.querySelectorAll("time[data-ago]")) {
      const seconds = (Date.now() - Date.parse(element.dateTime)) / 1000;
      const words = Math.abs(seconds) < 1 ? "now" : seconds > 0 ? `${length(seconds)} ago` : `in ${length(-seconds)}`;
      if (element.textContent !== words) element.textContent = words;
    }
  }
  setInterval(() => document.hidden || tell(), 10_000);

  // --- the zone of the browser ------------------------------------------------------------------------------------

  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const field = document.getElementById("tz");
  if (zone && field && field.value !== zone) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "small quiet";
    button.textContent = `Use ${zone}`;
    button.addEventListener("click", () => {
      field.value = zone;
      field.form.submit();
    });
    field.form.append(button);
  }
})();
