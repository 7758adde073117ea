// What the page does beyond being a document: the stop as a dialogue, a refused form as it was typed, and two charts
// that follow the desk.
"use strict";
(function () {
  const dialogue = document.getElementById("halt-dialogue");
  const stop = document.getElementById("halt");

  function ask(event) {
    event.preventDefault();
    dialogue.showModal();
    dialogue.querySelector("button[type=submit]").focus();
  }

  if (dialogue && stop && dialogue.showModal) {
    stop.addEventListener("click", ask);
    dialogue.querySelector("[data-close]").addEventListener("click", () => dialogue.close());
    document.addEventListener("keydown", (event) => {
      const typing = event.target.closest("input, textarea, select");
      if (event.shiftKey && event.key === "H" && !typing) ask(event);
    });
  }

  // What is focused stays so when the part around it is replaced: the same link, or whatever stands in its place.
  const REACHED = "a[href], button, input, select, textarea, summary, [tabindex]";
  let held = null;

  function hold(event) {
    const at = document.activeElement, part = event.target;
    held = part !== at && part.contains(at) ? { link: at.getAttribute("href"), place: [...part.querySelectorAll(REACHED)].indexOf(at), id: part.id } : null;
  }

  function giveBack(event) {
    if (!held) return;
    const all = [...(document.getElementById(held.id) || event.target).querySelectorAll(REACHED)];
    const same = all.find((each) => held.link && each.getAttribute("href") === held.link) || all[held.place];
    held = null;
    if (same) same.focus({ preventScroll: true });
  }

  for (const name of ["htmx:sseBeforeMessage", "htmx:beforeSwap"]) document.body.addEventListener(name, hold);
  for (const name of ["htmx:sseMessage", "htmx:afterSwap"]) document.body.addEventListener(name, giveBack);

  // A form that was refused comes back as it was typed, each fault beside its field.
  const refused = document.querySelector("[data-typed]");
  if (refused) putBack(JSON.parse(refused.dataset.typed));

  function putBack(typed) {
    const sent = (name) => [typed.fields[name] ?? []].flat();
    const isIt = (form) => [...form.querySelectorAll("input[type=hidden]")].every(
      (field) => field.name.startsWith("_") || sent(field.name).includes(field.value));
    const form = [...document.forms].find((each) => each.getAttribute("action") === typed.action && isIt(each));
    if (!form) return;
    for (const field of form.elements) {
      if (!field.name || field.type === "hidden") continue;
      if (field.type === "checkbox") field.checked = sent(field.name).includes(field.value);
      else if (field.name in typed.fields) field.value = sent(field.name)[0];
    }
    for (let at = form.closest("details"); at; at = at.parentElement.closest("details")) at.open = true;
    const marked = Object.entries(typed.wrong).map(([name, said], number) => beside(form, name, said, number));
    (marked[0] || form.querySelector("input:not([type=hidden]), select, textarea, button")).focus();
  }

  // Says what is wrong beside a field, or above the button for what is no single field's; returns the field.
  function beside(form, name, said, number) {
    const fields = name ? form.querySelectorAll('[name="' + CSS.escape(name) + '"]') : [];
    const button = form.querySelector("button[type=submit]"), at = fields[0] || button;
    const words = document.createElement("small");
    words.className = "wrong";
    words.id = "wrong-" + number;
    words.textContent = said;
    if (fields.length > 1) at.closest("fieldset").append(words);
    else if (fields.length) at.after(words);
    else (button.closest(".buttons") || button).before(words);
    at.setAttribute("aria-describedby", words.id);
    if (fields.length) at.setAttribute("aria-invalid", "true");
    return fields[0];
  }

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
      axes: axes(), series: [{ value: "{YYYY}-{MM}-{DD} {HH}:{mm}:{ss}" }, ...series], legend: { live: true },
      cursor: { drag: { x: true, y: false }, sync: { key: "desk" } }, ...own,
      hooks: { setSelect: [zoomed], ready: [(u) => u.over.addEventListener("dblclick", whole)], ...own.hooks },
    };
  }

  function zoomed(u) {
    if (u.select.width < 4) return;
    stretch = [u.posToVal(u.select.left, "x"), u.posToVal(u.select.left + u.select.width, "x")];
    u.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
    fetchCurves();
  }

  function whole() {
    stretch = null;
    fetchCurves();
  }

  function joined(drawn) {
    const at = (points) => [points[0], points[1]];
    return uPlot.join([at(drawn.price), at(drawn.buys), at(drawn.sells)]);
  }

  function draw(drawn) {
    if (!drawn.price[0].length && stretch) return whole(); // a stretch in which the market was closed
    if (!drawn.price[0].length) {
      priceAt.textContent = "Nothing has happened yet.";
      place.classList.add("bare");
      return;
    }
    place.classList.remove("bare");
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
    } else {
      charts.fills = drawn;
      charts.price.setData(data);
      charts.equity.setData(drawn.equity);
    }
    priceAt.setAttribute("aria-label", inWords(drawn));
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
    const query = new URLSearchParams({ symbol: symbol, columns: String(Math.max(200, priceAt.clientWidth)) });
    if (stretch) { query.set("from_s", stretch[0]); query.set("to_s", stretch[1]); }
    try {
      const answer = await fetch(priceAt.dataset.curves + "?" + query);
      if (answer.ok) draw(await answer.json());
    } finally {
      asked = false;
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
