#!/usr/bin/env bash
# htmx 4.0.1 with its own extension hx-sse, each in a `<script>` of its own, as both say: htmx begins by itself as soon as
# its script has run and the document is parsed (`setTimeout`). An extension that has registered by then connects what
# carries `hx-sse:connect`. One whose script comes later, as a deferred script on a slow line does, registers without a
# word, and the element is never connected: no request, no error, no event.
#
# So a page that must be live can't load htmx and its extensions as files apart. Alert History joins them when it is
# built; before, a live page said "Connecting" for good where one file was late.
#
# Needs node, npm and the network; takes ten seconds. Exits 0 if that is so, 1 if not.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

echo '{"private": true}' >package.json
npm install --silent --no-audit --no-fund --ignore-scripts htmx.org@4.0.1 jsdom@26.1.0

cat >look.cjs <<'JAVASCRIPT'
const { readFileSync } = require("fs");
const { JSDOM } = require("jsdom");

const dist = "node_modules/htmx.org/dist/";
const htmx = readFileSync(`${dist}htmx.min.js`, "utf8");
const extension = readFileSync(`${dist}ext/hx-sse.min.js`, "utf8");
const rest = (ms) => new Promise((done) => setTimeout(done, ms));

// The requests that a page makes whose extension comes so many milliseconds after htmx.
async function requests(late) {
  const html = '<meta name="htmx-config" content=\'{"extensions": "sse"}\'><div hx-sse:connect="/events"></div>';
  const { window } = new JSDOM(html, { runScripts: "outside-only", url: "http://127.0.0.1/", pretendToBeVisual: true });
  const asked = [];
  const evaluate = window.XPathExpression.prototype.evaluate; // jsdom wants a type that browsers don't need
  window.XPathExpression.prototype.evaluate = function (node, type = 0, result = null) {
    return evaluate.call(this, node, type, result);
  };
  window.CSS = { escape: (text) => text.replace(/[^\w-]/g, "\\$&"), supports: () => false };
  window.fetch = (address) => {
    asked.push(String(address.url ?? address));
    return new Promise(() => {});
  };
  await new Promise((done) => (window.document.readyState === "complete" ? done() : window.addEventListener("load", done)));
  window.eval(htmx + ";globalThis.htmx = htmx;");
  if (late) await rest(late);
  window.eval(extension);
  await rest(500);
  window.close();
  return asked;
}

(async () => {
  const together = await requests(0), apart = await requests(100);
  console.log(`htmx 4.0.1, hx-sse in the same turn: asked for ${JSON.stringify(together)}`);
  console.log(`htmx 4.0.1, hx-sse 100 ms later:     asked for ${JSON.stringify(apart)}`);
  process.exit(together.length === 1 && apart.length === 0 ? 0 : 1);
})();
JAVASCRIPT
node look.cjs
