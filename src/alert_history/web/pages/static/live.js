// Live rows: says whether the line stands, pauses it, and keeps the table short. hx-sse brings the rows.
(() => {
  "use strict";

  const MOST_ROWS = 300, MOST_HELD = 200, SILENT_MS = 40_000;

  function follow(body) {
    const bar = document.querySelector("[data-live-bar]");
    const words = bar?.querySelector("[data-live-words]");
    const button = bar?.querySelector("[data-live-pause]");
    if (!bar || !words || !button) return;

    const held = []; // rows that wait while paused, the oldest first
    let heldRows = 0, lostRows = 0, isPaused = false, heardAt = 0, brokenAt = null;

    const clock = (time) => time.toLocaleTimeString("en-GB");

    function tell() {
      const kind = brokenAt ? "broken" : isPaused ? "paused" : heardAt ? "live" : "";
      bar.className = `live${kind ? ` is-${kind}` : ""}`;
      const waiting = heldRows + lostRows;
      const text = brokenAt
        ? `The line is broken since ${clock(brokenAt)}. Trying again.`
        : isPaused ? (waiting ? `Paused: ${waiting} new wait` : "Paused")
        : heardAt ? "Live" : "Connecting …";
      if (words.textContent !== text) words.textContent = text;
      button.textContent = isPaused ? "Go on" : "Pause";
      button.setAttribute("aria-pressed", String(isPaused));
    }

    function heard() {
      heardAt = Date.now();
      brokenAt = null;
      tell();
    }

    function broken() {
      brokenAt ??= new Date();
      tell();
    }

    // A row that says what an alert was in says what it is in now, once a row above knows better.
    function age(newer) {
      const { alert, state } = newer.dataset;
      if (!alert || !state) return;
      for (const row of body.querySelectorAll(`tr[data-alert="${CSS.escape(alert)}"]`)) {
        if (row.dataset.state === state || !(newer.compareDocumentPosition(row) & Node.DOCUMENT_POSITION_FOLLOWING)) continue;
        row.dataset.state = state;
        const hint = document.createElement("span");
        hint.className = "hint";
        hint.textContent = `now ${state}`;
        row.querySelector("[data-live-state]")?.replaceChildren(hint);
      }
    }

    // A row for an alert that has one already takes its place.
    function settle(rows) {
      for (const row of [...rows].reverse()) age(row); // the oldest first
      for (const row of rows) {
        row.classList.add("is-new");
        if (!row.id) continue;
        for (const other of body.querySelectorAll(`#${CSS.escape(row.id)}`)) if (other !== row) other.remove();
      }
      while (body.rows.length > MOST_ROWS) body.rows[body.rows.length - 1].remove();
    }

    function hold(html) {
      const template = document.createElement("template");
      template.innerHTML = html; // rows that our server wrote, as htmx would put them in
      held.push(template.content);
      heldRows += template.content.children.length;
      while (heldRows > MOST_HELD && held.length > 1) {
        const oldest = held.shift().children.length;
        heldRows -= oldest;
        lostRows += oldest;
      }
    }

    function goOn() {
      isPaused = false;
      if (lostRows) return location.reload(); // more than a table holds: a fresh one is shorter
      for (const rows of held.splice(0)) {
        const added = [...rows.children];
        body.prepend(rows);
        settle(added);
      }
      heldRows = 0;
      mark();
      tell();
    }

    button.addEventListener("click", () => {
      if (isPaused) return goOn();
      isPaused = true;
      tell();
    });

    body.addEventListener("htmx:sse:before:message", (event) => {
      heard();
      if (!isPaused || event.detail.message.event) return;
      event.preventDefault();
      hold(event.detail.message.data);
      tell();
    });
    body.addEventListener("htmx:sse:after:message", (event) => {
      if (event.detail.message.event) return;
      const before = body.querySelector("tr[data-live-old]");
      const rows = [];
      for (const row of body.rows) {
        if (row === before) break;
        rows.push(row);
      }
      settle(rows);
      mark();
    });
    body.addEventListener("htmx:sse:after:connection", heard);
    body.addEventListener("htmx:sse:before:connection", () => heardAt && broken()); // it connects again
    body.addEventListener("htmx:sse:error", broken);
    body.addEventListener("htmx:sse:close", () => document.hidden || broken());
    addEventListener("offline", broken);
    setInterval(() => {
      if (!document.hidden && heardAt && Date.now() - heardAt > SILENT_MS) broken();
    }, 5_000);
    document.addEventListener("visibilitychange", () => { heardAt &&= Date.now(); });

    // The topmost row is marked, so that the next message shows which rows are new.
    function mark() {
      body.querySelector("tr[data-live-old]")?.removeAttribute("data-live-old");
      body.rows[0]?.setAttribute("data-live-old", "");
    }

    mark();
    bar.hidden = false;
    tell();
  }

  document.querySelectorAll("[data-live]").forEach(follow);
})();
