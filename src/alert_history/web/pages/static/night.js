// A button that copies the night as Markdown, and one that prints it. Without it the text can be copied by hand.
(() => {
  "use strict";

  const text = document.getElementById("markdown");
  const bar = document.querySelector(".bar");
  if (!text || !bar) return;

  // Below a proxy the service does not know its own address; the browser does.
  const here = new URL(text.dataset.here, location.href).href;
  text.value = text.value.replaceAll(`](${text.dataset.root}`, `](${here}`);

  function button(words, act) {
    const made = document.createElement("button");
    made.type = "button";
    made.className = "small quiet";
    made.textContent = words;
    made.addEventListener("click", () => act(made));
    bar.append(made);
  }

  function say(made, words) {
    const before = made.textContent;
    made.textContent = words;
    setTimeout(() => { made.textContent = before; }, 2000);
  }

  // The clipboard is there only on trusted addresses; elsewhere the old way is left.
  async function copy(made) {
    try {
      await navigator.clipboard.writeText(text.value);
      say(made, "Copied");
    } catch {
      text.closest("details").open = true;
      text.focus();
      text.select();
      say(made, document.execCommand("copy") ? "Copied" : "Selected below");
    }
  }

  button("Copy as Markdown", copy);
  button("Print", () => print());
})();
