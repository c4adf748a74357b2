// The timeline that is brushed: uPlot in the place of the SVG. A drag goes to the same page with that span.
// Where fingers point, the SVG stays: each of its bars is a link.
(() => {
  "use strict";

  const HEIGHT = 200;
  const place = document.querySelector("[data-timeline]");
  if (!place || !window.uPlot || !matchMedia("(pointer: fine)").matches) return;
  const data = JSON.parse(place.dataset.timeline);
  if (!data.begins.length || !data.layers.length) return;

  const style = getComputedStyle(document.body);
  const token = (name) => style.getPropertyValue(name).trim();

  function colour(mark) {
    const probe = document.createElement("span");
    probe.className = mark;
    place.append(probe);
    const value = getComputedStyle(probe).getPropertyValue("--fill").trim();
    probe.remove();
    return value || token("--fill-grey");
  }

  // Bars stand on each other: each series is the sum of the layers up to it, and the highest is drawn first.
  const sums = data.layers.reduce((all, layer) => {
    const below = all.at(-1) ?? layer.counts.map(() => 0);
    return [...all, layer.counts.map((count, at) => count + below[at])];
  }, []);
  const order = data.layers.map((_, at) => at).reverse();
  const ends = [...data.begins.slice(1), data.end];
  const shown = (counts) => (_, value, __, at) => (at == null ? "–" : counts[at]);

  // All bars are as wide as a whole bucket; one that the span cuts is cut by the edge of the plot.
  const whole = Math.max(...ends.map((end, at) => end - data.begins[at]).slice(0, 3));
  const times = data.begins.map((begin, at) => (at ? begin : Math.min(begin, ends[0] - whole)));
  const paths = uPlot.paths.bars({
    align: 1,
    disp: { size: { unit: 1, values: () => [whole * 0.88] } },
  });

  const font = `11px ${token("--sans")}`;
  const axis = { stroke: token("--quiet"), font, grid: { stroke: token("--line"), width: 1 }, ticks: { show: false } };

  function go(since, until) {
    const target = new URL(location.href);
    const text = (seconds) => new Date(seconds * 1000).toISOString().slice(0, 19) + "Z";
    target.searchParams.set("since", text(since));
    target.searchParams.set("until", text(until));
    target.searchParams.delete("part");
    target.hash = document.getElementById("lately") ? "lately" : "";
    location.assign(target);
  }

  // From the bucket in which the drag began to the end of the one in which it ended; a click is one bucket.
  function brushed(plot) {
    const { left, width } = plot.select;
    if (width < 1) return;
    const first = plot.posToVal(left, "x"), last = plot.posToVal(left + width, "x");
    const from = data.begins.findLastIndex((begin) => begin <= first);
    const to = ends.findIndex((end) => end >= last);
    go(data.begins[Math.max(from, 0)], ends[to < 0 ? ends.length - 1 : to]);
  }

  function clicked(plot) {
    const at = plot.posToVal(plot.cursor.left, "x");
    const bucket = data.begins.findLastIndex((begin) => begin <= at);
    if (bucket >= 0) go(data.begins[bucket], ends[bucket]);
  }

  const plot = new uPlot(
    {
      width: place.clientWidth,
      height: HEIGHT,
      tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), data.tz),
      fmtDate: (template) => uPlot.fmtDate(template),
      scales: {
        x: { time: true, range: () => [data.begins[0], data.end] },
        y: { range: (_, __, highest) => [0, Math.max(highest, 1) * 1.05] },
      },
      cursor: { drag: { x: true, y: false, setScale: false }, points: { show: false } },
      legend: { live: true },
      axes: [
        { ...axis, values: [
          [86400 * 28, "{D} {MMM}", "\n{YYYY}", null, null, null, null, null, 1],
          [86400, "{D} {MMM}", null, null, null, null, null, null, 1],
          [60, "{HH}:{mm}", "\n{D} {MMM}", null, "\n{D} {MMM}", null, null, null, 1],
          [1, "{HH}:{mm}:{ss}", "\n{D} {MMM}", null, "\n{D} {MMM}", null, null, null, 1],
        ] },
        { ...axis, size: 44, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 2e4, 5e4, 1e5, 2e5, 5e5, 1e6] },
      ],
      series: [
        { label: "When", value: (_, value, __, at) => (at == null ? "–" : data.when[at]) },
        ...order.map((at) => ({
          label: data.layers[at].name,
          fill: colour(data.layers[at].mark),
          width: 0,
          paths,
          points: { show: false },
          value: shown(data.layers[at].counts),
        })),
      ],
      hooks: {
        setSelect: [brushed],
        ready: [(made) => made.over.addEventListener("click", () => made.select.width < 1 && clicked(made))],
      },
    },
    [times, ...order.map((at) => sums[at])],
    place,
  );
  place.prepend(plot.root);
  plot.root.setAttribute("aria-hidden", "true"); // the table behind says all of it
  place.classList.add("is-brushed");
  for (const hint of document.querySelectorAll(".for-brush")) hint.hidden = false;
  new ResizeObserver(() => plot.setSize({ width: place.clientWidth, height: HEIGHT })).observe(place);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => location.reload());
})();
