// What fires now stays true: the part is asked for anew every 20 s, and title and icon follow.
(() => {
  "use strict";

  const EVERY_MS = 20_000;
  const place = document.getElementById("firing");
  if (!place || "past" in place.dataset) return;
  const words = place.dataset.icons.trim().split(/\s+/);
  const icons = Object.fromEntries(words.filter((_, at) => at % 2 === 0).map((name, at) => [name, words[2 * at + 1]]));

  function follow() {
    const part = place.querySelector("[data-firing]");
    if (!part) return;
    const { firing, worst } = part.dataset;
    document.title = (Number(firing) ? `(${firing}) ` : "") + document.title.replace(/^\(\d+\) /, "");
    const icon = document.getElementById("icon");
    if (icon && icons[worst]) icon.href = icons[worst];
    const count = document.getElementById("firing-count");
    if (count) [count.textContent, count.className] = [firing, `count is-${worst}`];
  }

  async function renew() {
    if (document.hidden || place.contains(document.activeElement) || place.querySelector("details[open]")) return;
    const target = new URL(location.href);
    target.searchParams.set("part", "firing");
    const answer = await fetch(target);
    if (!answer.ok) return;
    place.innerHTML = await answer.text();
    follow();
  }

  setInterval(() => renew().catch(() => {}), EVERY_MS);
})();
