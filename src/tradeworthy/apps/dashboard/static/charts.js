// Two charts that follow the desk: price with decisions and fills, and equity; looked at closer with mouse, keys, fingers.
"use strict";
(function () {
  const place = document.getElementById("charts");
  if (!place) return;
  const priceAt = document.getElementById("price");
  const equityAt = document.getElementById("equity");
  const pick = document.getElementById("symbol");
  const charts = {}, colours = {};
  let symbol = place.dataset.symbol;
  let stretch = null; // the seconds looked at; all of them where it is null
  let asked = false, again = false;

  function colour(name) {
    return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  }

  // Times are written in one way, the largest unit first, as everywhere on the page.
  const DAY = 86400, YEAR = 365 * DAY;
  const times = [
    [YEAR, "{YYYY}", null, null, null, null, null, null, 1],
    [28 * DAY, "{YYYY}-{MM}", null, null, null, null, null, null, 1],
    [DAY, "{MM}-{DD}", "\n{YYYY}", null, null, null, null, null, 1],
    [60, "{HH}:{mm}", "\n{YYYY}-{MM}-{DD}", null, "\n{MM}-{DD}", null, null, null, 1],
    [1, "{HH}:{mm}:{ss}", "\n{YYYY}-{MM}-{DD}", null, "\n{MM}-{DD}", null, null, null, 1],
  ];

  function axes() {
    const line = { stroke: colour("--quiet"), grid: { stroke: colour("--grid") }, ticks: { stroke: colour("--grid") } };
    return [{ ...line, values: times }, { ...line, size: 70 }];
  }

  function triangles(u, series, up) {
    const context = u.ctx, times = u.data[0], values = u.data[series];
    const many = values.filter((value) => value != null).length > 400;
    const size = (many ? 2.5 : 5) * devicePixelRatio;
    context.save();
    context.globalAlpha = many ? 0.55 : 0.95;
    context.fillStyle = colour(up ? "--s3" : "--s2");
    context.beginPath();
    for (let i = 0; i < times.length; i++) {
      if (values[i] == null || times[i] < u.scales.x.min || times[i] > u.scales.x.max) continue;
      const x = u.valToPos(times[i], "x", true), y = u.valToPos(values[i], "y", true);
      const sign = up ? 1 : -1;
      context.moveTo(x, y - sign * size);
      context.lineTo(x - size, y + sign * size);
      context.lineTo(x + size, y + sign * size);
    }
    context.fill();
    context.restore();
    return null;
  }

  // What every decision wanted: a band of shares at the foot of the price, and a dot for each where they are few.
  const WANTS = [["long", "--s3"], ["flat", "--s5"], ["short", "--s2"], ["refused", "--bad"]];
  const BAND = 20, APART = 7; // pixels

  function decided(u) {
    const drawn = charts.fills, context = u.ctx, ratio = devicePixelRatio;
    if (!drawn || !drawn.decisions[0].length) return;
    const times = drawn.decisions[0], foot = u.bbox.top + u.bbox.height, right = u.bbox.left + u.bbox.width;
    const places = times.map((at) => u.valToPos(at, "x", true));
    const few = (right - u.bbox.left) / times.length > APART * ratio;
    context.save();
    for (let i = 0; i < times.length; i++) {
      if (places[i] < u.bbox.left || places[i] > right) continue;
      const counts = WANTS.map((_, kind) => drawn.decisions[kind + 1][i]);
      const all = counts.reduce((sum, count) => sum + count, 0);
      const wide = Math.min(few ? APART * ratio : 1, 9 * ratio);
      let from = foot;
      WANTS.forEach(([, tone], kind) => {
        const high = BAND * ratio * counts[kind] / all;
        context.fillStyle = colours[tone];
        context.fillRect(places[i] - wide / 2, from - high, Math.max(wide, 1), high);
        from -= high;
        if (few && counts[kind]) dot(u, priceNear(drawn, times[i]), places[i]);
      });
    }
    context.restore();
  }

  function dot(u, price, x) {
    u.ctx.beginPath();
    u.ctx.arc(x, u.valToPos(price, "y", true), 3 * devicePixelRatio, 0, 2 * Math.PI);
    u.ctx.fill();
  }

  function priceNear(drawn, time) {
    const [times, values] = drawn.price;
    let low = 0, high = times.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (times[middle] < time) low = middle + 1; else high = middle;
    }
    return values[low];
  }

  function inWords(drawn) {
    const sums = WANTS.map(([name], kind) => name + " " + drawn.decisions[kind + 1].reduce((sum, n) => sum + n, 0));
    return "Price of " + drawn.symbol + " with decisions (" + sums.join(", ") + "), " + drawn.buys[0].length +
      " buys and " + drawn.sells[0].length + " sales";
  }

  function options(at, height, own, series) {
    return {
      width: at.clientWidth, height: height, tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1e3), "UTC"),
      axes: axes(), series: [{ value: "{YYYY}-{MM}-{DD} {HH}:{mm}:{ss}" }, ...series], legend: { live: true, markers: { width: 0, fill: (u, at) => u.series[at].stroke(u, at) } },
      cursor: { drag: { x: true, y: false }, sync: { key: "desk" } }, ...own,
      hooks: { setSelect: [zoomed], ready: [(u) => u.over.addEventListener("dblclick", whole)], ...own.hooks },
    };
  }

  // Looking closer, with whatever one has: a drag, keys, buttons, two fingers. All of it ends in `look`.
  const STEP = 0.5; // of the stretch, by which it moves along
  const looks = place.querySelector("[role=group]"), told = document.getElementById("stretch");
  const WHOLE = told.textContent; // as the page says it when nothing is looked at closer
  const fingers = new Map(); // where each finger on the chart began and is now
  let shown = [0, 0]; // the seconds that the chart showed when they began
  let dragged = null; // those that they have made of it
  let span = [0, 0]; // the seconds that there are
  let seen = null; // the stretch that was drawn last
  let instead = back; // what is done where the stretch that is looked at holds hardly a price

  function look(from, to, otherwise = back) {
    const wide = Math.min(to - from, span[1] - span[0]);
    const first = Math.min(Math.max(from, span[0]), span[1] - wide);
    stretch = wide < span[1] - span[0] ? [first, first + wide] : null;
    instead = otherwise;
    return fetchCurves();
  }

  function closer(factor, at) {
    const [from, to] = stretch || span, still = at ?? (from + to) / 2;
    look(still - (still - from) * factor, still + (to - still) * factor, () => closer(2, at));
  }

  function along(stretches) {
    if (!stretch) return;
    const [from, to] = stretch, far = (to - from) * stretches;
    look(from + far, to + far, ([first, last]) => stretch[0] > first && stretch[1] < last ? along(2 * stretches) : back());
  }

  // Whoever looks too close comes as close as there are prices, who moves along to where the market opens; others see
  // what they saw.
  function back() {
    stretch = seen;
    fetchCurves();
  }

  function whole() {
    stretch = null;
    fetchCurves();
  }

  const LOOKS = {
    closer: () => closer(0.5), wider: () => closer(2), earlier: () => along(-STEP), later: () => along(STEP), whole: whole,
  };
  const KEYS = {
    "+": "closer", "=": "closer", "-": "wider", ArrowLeft: "earlier", ArrowRight: "later", Home: "whole",
  };

  looks.addEventListener("click", (event) => {
    const button = event.target.closest("[data-look]");
    if (button) LOOKS[button.dataset.look]();
  });
  priceAt.addEventListener("keydown", (event) => {
    if (!charts.price || event.ctrlKey || event.metaKey || event.altKey || !(event.key in KEYS)) return;
    event.preventDefault();
    LOOKS[KEYS[event.key]]();
  });

  // The chart is announced as something to work with once there is something to see.
  function reach(chart) {
    looks.hidden = false;
    priceAt.tabIndex = 0;
    priceAt.setAttribute("role", "application");
    priceAt.setAttribute("aria-roledescription", "chart");
    chart.over.addEventListener("wheel", (event) => pinched(chart, event), { passive: false });
    chart.over.addEventListener("pointerdown", touched);
    chart.over.addEventListener("pointermove", (event) => moved(chart, event));
    for (const end of ["pointerup", "pointercancel"]) chart.over.addEventListener(end, lifted);
  }

  function tellStretch() {
    const fine = stretch && stretch[1] - stretch[0] < 600 ? 19 : 16; // letters: to the second within ten minutes
    const words = stretch ? stretch.map((at) => new Date(at * 1e3).toISOString().slice(0, fine).replace("T", " ")).join(" to ") + " UTC" : WHOLE;
    if (told.textContent !== words) told.textContent = words;
    for (const each of looks.querySelectorAll("[data-look]")) {
      each.setAttribute("aria-disabled", String(!stretch && each.dataset.look !== "closer"));
    }
  }

  function zoomed(u) {
    if (u.select.width < 4) return;
    const ends = [u.select.left, u.select.left + u.select.width].map((at) => u.posToVal(at, "x"));
    u.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
    look(...ends);
  }

  function pinched(chart, event) { // on a trackpad two fingers are a wheel with the control key
    if (!event.ctrlKey) return;
    event.preventDefault();
    closer(event.deltaY < 0 ? 0.8 : 1.25, chart.posToVal(event.offsetX, "x"));
  }

  function touched(event) {
    if (event.pointerType !== "touch") return;
    fingers.set(event.pointerId, { from: event.offsetX, to: event.offsetX });
    beginHere();
  }

  function beginHere() {
    for (const finger of fingers.values()) finger.from = finger.to;
    shown = [charts.price.scales.x.min, charts.price.scales.x.max];
  }

  // One finger moves the curve along, two keep under them what was there: the stretch that this makes of the one shown.
  function moved(chart, event) {
    const finger = fingers.get(event.pointerId);
    if (!finger) return;
    finger.to = event.offsetX;
    const [one, other] = [...fingers.values()], [from, to] = shown, wide = chart.over.clientWidth;
    const second = (px) => from + (px / wide) * (to - from);
    const apart = other ? Math.max(Math.abs(other.to - one.to), 8) : 0;
    const each = other ? Math.abs(second(other.from) - second(one.from)) / apart : (to - from) / wide;
    const min = second(one.from) - one.to * each, max = min + wide * each;
    dragged = [min, max];
    for (const drawn of [charts.price, charts.equity]) drawn.setScale("x", { min: min, max: max });
  }

  function lifted(event) {
    if (!fingers.delete(event.pointerId)) return;
    if (fingers.size) return beginHere();
    if (dragged) look(...dragged);
    dragged = null;
  }

  function joined(drawn) {
    const at = (points) => [points[0], points[1]];
    return uPlot.join([at(drawn.price), at(drawn.buys), at(drawn.sells)]);
  }

  function draw(drawn) {
    if (fingers.size) return;
    if (drawn.price[0].length < 2 && stretch) return instead(drawn.span_s);
    if (!drawn.price[0].length) {
      priceAt.textContent = "Nothing has happened yet.";
      place.classList.add("bare");
      return;
    }
    place.classList.remove("bare");
    const spoken = document.activeElement === priceAt && seen === stretch; // as a name is that changes under the focus
    [span, seen, instead] = [drawn.span_s, stretch, back];
    tellStretch();
    const data = joined(drawn);
    if (!charts.price) {
      priceAt.textContent = "";
      const bare = { width: 0, points: { show: false }, spanGaps: true };
      for (const [, tone] of WANTS) colours[tone] = colour(tone);
      const foot = { range: (u, low, high) => [low - 0.14 * (high - low || 1), high + 0.04 * (high - low || 1)] };
      const over = { scales: { y: foot }, hooks: { draw: [decided] } };
      charts.fills = drawn;
      charts.price = new uPlot(options(priceAt, 340, over, [
        { label: drawn.symbol, stroke: colour("--s1"), width: 1.25, spanGaps: true, points: { show: false } },
        { label: "bought", stroke: colour("--s3"), ...bare, paths: (u, s) => triangles(u, s, true) },
        { label: "sold", stroke: colour("--s2"), ...bare, paths: (u, s) => triangles(u, s, false) },
      ]), data, priceAt);
      charts.equity = new uPlot(options(equityAt, 150, {}, [
        { label: "equity after costs", stroke: colour("--s4"), fill: colour("--s4") + "22", width: 1.25, points: { show: false } },
      ]), drawn.equity, equityAt);
      charts.price.over.addEventListener("click", clicked);
      for (const chart of [charts.price, charts.equity]) reach(chart);
    } else {
      charts.fills = drawn;
      charts.price.setData(data);
      charts.equity.setData(drawn.equity);
    }
    if (!spoken) priceAt.setAttribute("aria-label", inWords(drawn));
    document.body.dataset.drawn = String(drawn.points);
  }

  let clicks = null; // a single click opens a decision, a double one shows all of the curve

  function clicked(event) {
    const time = charts.price.posToVal(charts.price.cursor.left, "x");
    clearTimeout(clicks);
    clicks = event.detail > 1 ? null : setTimeout(() => openDecision(time), 300);
  }

  function openDecision(time) {
    const u = charts.price, drawn = charts.fills;
    const near = (u.scales.x.max - u.scales.x.min) * 0.004;
    let best = null;
    for (const fills of [drawn.buys, drawn.sells]) {
      fills[0].forEach((at, i) => {
        const away = Math.abs(at - time);
        if (away < near && (!best || away < best.away)) best = { away: away, order: fills[2][i] };
      });
    }
    if (!best) drawn.decisions[0].forEach((at, i) => {
      const away = Math.abs(at - time);
      if (away < near && (!best || away < best.away)) best = { away: away, order: drawn.decisions[5][i] };
    });
    if (best) window.location.href = "/decisions/" + best.order;
  }

  async function fetchCurves() {
    if (asked) { again = true; return; }
    asked = true;
    place.dataset.asked = "";
    const wanted = stretch;
    const query = new URLSearchParams({ symbol: symbol, columns: String(Math.max(200, priceAt.clientWidth)) });
    if (stretch) { query.set("from_s", stretch[0]); query.set("to_s", stretch[1]); }
    try {
      const answer = await fetch(priceAt.dataset.curves + "?" + query);
      const drawn = answer.ok && await answer.json();
      if (drawn && wanted === stretch) draw(drawn); // else another stretch was asked for meanwhile
    } finally {
      asked = false;
      delete place.dataset.asked;
      if (again) { again = false; fetchCurves(); }
    }
  }

  function fresh() {
    for (const name of ["price", "equity"]) { if (charts[name]) charts[name].destroy(); delete charts[name]; }
    fetchCurves();
  }

  let waiting = null;
  document.body.addEventListener("htmx:sseMessage", (event) => {
    if (event.detail.type === "figures" && !waiting) waiting = setTimeout(() => { waiting = null; fetchCurves(); }, 300);
  });
  window.addEventListener("resize", () => {
    for (const [name, at] of [["price", priceAt], ["equity", equityAt]]) {
      if (charts[name]) charts[name].setSize({ width: at.clientWidth, height: charts[name].height });
    }
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", fresh);
  if (pick) pick.addEventListener("change", () => { symbol = pick.value; fresh(); });
  fetchCurves();
})();
