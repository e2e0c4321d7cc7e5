// The dashboard: one event a second from /api/v1/stream, shown as it is. Text only ever enters the page as text.
"use strict";

const HISTORY = 120;
const SERIES = ["offered", "admitted", "shed"];
const SVG = "http://www.w3.org/2000/svg";
const byId = (id) => document.getElementById(id);

// === small parts ===

function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name === "data") Object.assign(element.dataset, value);
    else element[name] = value;
  }
  element.append(...children);
  return element;
}

function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function chip(element, state, text = state) {
  element.className = "chip";
  element.dataset.state = state;
  say(element, text);
}

function number(value, digits) {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  const places = digits ?? (Math.abs(value) < 10 && value % 1 !== 0 ? 1 : 0);
  return value.toLocaleString("en", { minimumFractionDigits: places, maximumFractionDigits: places });
}

const millis = (value) => number(value, value !== null && value < 10 ? 2 : value !== null && value < 100 ? 1 : 0);
const percent = (share) => `${Math.round(share * 100)} %`;

function span(seconds) {
  if (seconds < 60) return `${Math.floor(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 172800) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86400)} days`;
}

const ago = (moment, now) => `${span(Math.max(0, (now - Date.parse(moment)) / 1000))} ago`;

// Keeps one child for each item, by key, in order: what stays is updated in place, so that a selection survives.
function reconcile(parent, items, key, build, update) {
  const known = new Map([...parent.children].filter((child) => child.dataset.key).map((child) => [child.dataset.key, child]));
  let cursor = parent.firstElementChild;
  const wanted = new Set();
  for (const item of items) {
    const name = key(item);
    if (wanted.has(name)) continue;
    wanted.add(name);
    let child = known.get(name);
    if (!child) {
      child = build(item);
      child.dataset.key = name;
    }
    if (child === cursor) cursor = cursor.nextElementSibling;
    else parent.insertBefore(child, cursor);
    update(child, item);
  }
  for (const child of [...parent.children]) {
    if (!wanted.has(child.dataset.key)) child.remove();
  }
}

function bar(kind = "") {
  return make("span", { className: `bar ${kind}` }, make("span"));
}

function fill(element, share) {
  element.firstElementChild.style.width = `${Math.max(0, Math.min(1, share)) * 100}%`;
}

// === header and tiles ===

function showHeader({ status, config, time }) {
  say(byId("version"), status.version);
  say(byId("config-hash"), config.hash);
  say(byId("config-revision"), `revision ${config.revision}`);
  say(byId("uptime"), span(status.uptime_seconds));
  chip(byId("readiness"), status.readiness);
  const reload = config.last_reload;
  say(byId("last-reload"), reload ? `${reload.result} ${ago(reload.at, time)}` : `none; started ${ago(config.applied_at, time)}`);
  const rejected = reload !== null && reload.result === "rejected";
  byId("config-error").hidden = !rejected;
  if (rejected) {
    const line = reload.line === null ? "" : ` (line ${reload.line})`;
    say(byId("config-error-title"), `The config file on disk was rejected${line}`);
    say(byId("config-error-text"), reload.error ?? "");
  }
  const wrong = config.wrong_files;
  byId("files-error").hidden = wrong.length === 0;
  reconcile(byId("files-error-list"), wrong, (one) => one.file,
    () => make("li", {}, make("code"), " ", make("span")),
    (item, one) => {
      say(item.children[0], one.file);
      say(item.children[1], `${one.why}; seen ${ago(one.since, time)}`);
    });
  const dot = rejected || wrong.length > 0 || status.readiness !== "ready" ? "● " : "";
  document.title = `${dot}Tidegate`;
}

function showTiles(frame) {
  for (const id of ["offered", "admitted", "goodput", "failed"]) say(byId(id), number(frame[id]));
  say(byId("shed"), number(frame.shed_total));
  say(byId("p50"), millis(frame.p50_ms));
  say(byId("p99"), millis(frame.p99_ms));
  say(byId("offered-total"), number(frame.totals.offered, 0));
  say(byId("admitted-total"), number(frame.totals.admitted, 0));
  say(byId("goodput-share"), frame.offered ? percent(Math.min(1, frame.goodput / frame.offered)) : "–");
}

// === shed by reason ===

function showShed(shed) {
  const most = Math.max(1, ...Object.values(shed).map((rate) => rate ?? 0));
  const rows = Object.entries(shed);
  reconcile(
    byId("shed-reasons").tBodies[0],
    rows,
    ([reason]) => reason,
    ([reason]) => make("tr", { data: { reason } },
      make("td", { textContent: reason.replaceAll("_", " ") }), make("td", {}, bar("shed")), make("td", { className: "number" })),
    (row, [, rate]) => {
      fill(row.cells[1].firstElementChild, (rate ?? 0) / most);
      say(row.cells[2], rate === null ? "–" : `${number(rate)}/s`);
    },
  );
}

// === upstreams ===

function buildUpstream(upstream) {
  const head = make("div", { className: "upstream-head" },
    make("h3", { textContent: upstream.name }),
    make("div", { className: "load" }, bar(), make("span", { className: "faint" })),
    make("span", { className: "faint waiting" }));
  const columns = ["Endpoint", "State", "Why", "Weight", "In flight"].map((name, index) =>
    make("th", { scope: "col", textContent: name, className: index > 2 ? "number" : "" }));
  const table = make("table", {}, make("thead", {}, make("tr", {}, ...columns)), make("tbody"));
  return make("div", { className: "upstream", data: { upstream: upstream.name } },
    head, make("ul", { className: "names" }), make("div", { className: "scroll" }, table),
    make("p", { className: "empty", textContent: "No endpoint.", hidden: true }));
}

function updateUpstream(box, upstream) {
  const load = box.querySelector(".load");
  const limit = upstream.limit;
  fill(load.firstElementChild, limit ? upstream.in_flight / limit : 0);
  load.firstElementChild.hidden = limit === null;
  load.firstElementChild.dataset.level = limit && upstream.in_flight >= limit ? "low" : "";
  say(load.lastElementChild, limit === null ? `${upstream.in_flight} in flight, no limit` : `${upstream.in_flight} of ${limit} in flight`);
  say(box.querySelector(".waiting"), `${upstream.waiting} of ${upstream.max_waiting} waiting`);
  reconcile(box.querySelector(".names"), upstream.names, (name) => name.name,
    () => make("li", {}, make("span", { className: "mono" }), " ", make("span"), " ", make("span")),
    (item, name) => {
      const [label, state, why] = item.children;
      say(label, name.name);
      chip(state, name.stale ? "stale" : "resolved", `${name.addresses} ${name.addresses === 1 ? "address" : "addresses"}${name.stale ? ", stale" : ""}`);
      say(why, name.why);
      item.title = name.in_force;
    });
  const table = box.querySelector("table");
  reconcile(table.tBodies[0], upstream.endpoints, (endpoint) => endpoint.address,
    (endpoint) => make("tr", { data: { endpoint: endpoint.address } },
      make("td", { className: "mono", textContent: endpoint.address }),
      make("td", {}, make("span")), make("td", { className: "why" }),
      make("td", { className: "number" }), make("td", { className: "number" })),
    (row, endpoint) => {
      row.dataset.state = endpoint.state;
      chip(row.cells[1].firstElementChild, endpoint.state);
      say(row.cells[2], endpoint.sentence);
      say(row.cells[3], number(endpoint.weight, 0));
      say(row.cells[4], endpoint.limit === null ? number(endpoint.in_flight, 0) : `${endpoint.in_flight} of ${endpoint.limit}`);
    });
  const none = upstream.endpoints.length === 0;
  table.hidden = none;
  box.lastElementChild.hidden = !none;
}

function showUpstreams(upstreams, leftOut) {
  const box = byId("upstreams");
  const all = upstreams.flatMap((upstream) => upstream.endpoints);
  const serving = all.filter((endpoint) => ["in", "warming", "trial"].includes(endpoint.state)).length;
  const more = leftOut > 0 ? `, ${number(leftOut, 0)} more not shown` : "";
  say(byId("upstreams-note"), all.length ? `${serving} of ${all.length} endpoints serve${more}` : "");
  if (upstreams.length === 0) {
    box.replaceChildren(make("p", { className: "empty", textContent: "The config names no upstream." }));
    return;
  }
  reconcile(box, upstreams, (upstream) => upstream.name, buildUpstream, updateUpstream);
}

// === limits ===

const PERIODS = new Map([[1, "s"], [60, "m"], [3600, "h"]]);

function showLimits(limits, leftOut) {
  byId("limits").hidden = limits.length === 0;
  byId("limits-empty").hidden = limits.length > 0;
  say(byId("limits-note"), leftOut > 0 ? `${number(leftOut, 0)} more not shown` : "");
  reconcile(
    byId("limits").tBodies[0],
    limits,
    (limit) => JSON.stringify([limit.route, limit.name]),
    (limit) => make("tr", { data: { route: limit.route, limit: limit.name } },
      make("td", { textContent: limit.route }), make("td", {}, make("span"), " ", make("span")),
      make("td"), make("td"), make("td", { className: "mono" }), make("td"),
      make("td", {}, make("div", { className: "fill" }, bar(), make("span", { className: "value" })))),
    (row, limit) => {
      const [name, shadow] = row.cells[1].children;
      say(name, limit.name);
      if (limit.shadow) chip(shadow, "shadow");
      shadow.hidden = !limit.shadow;
      const period = PERIODS.get(limit.per_seconds) ?? `${limit.per_seconds} s`;
      say(row.cells[2], `${number(limit.count, 0)}/${period}`);
      say(row.cells[3], number(limit.burst, 0));
      say(row.cells[4], limit.key);
      say(row.cells[5], `${number(limit.keys, 0)} of ${number(limit.max_keys, 0)}`);
      const [gauge, value] = row.cells[6].firstElementChild.children;
      gauge.dataset.level = limit.fill < 0.1 ? "low" : "";
      fill(gauge, limit.fill);
      say(value, percent(limit.fill));
    },
  );
}

// === pressure ===

const SIGNALS = new Map([
  ["memory", "Memory in use"], ["memory_some", "Some wait for memory"], ["memory_full", "All wait for memory"],
  ["cpu_some", "Some wait for a processor"], ["cpu_full", "All wait for a processor"],
  ["cpu_throttled", "Throttled"], ["runtime_lag", "Timers late by"], ["descriptors", "Descriptors in use"],
]);
const ORDER = [...SIGNALS.keys()];
// The only signal that is no share, but seconds.
const LAG = "runtime_lag";

function showPressure({ level, enforced, words, signals }) {
  const held = level > enforced ? ", in shadow" : "";
  chip(byId("pressure"), level === 0 ? "calm" : level === 1 ? "sparing" : "shedding", `pressure ${level}${held}`);
  say(byId("pressure-words"), `Level ${level} of 4${held}: ${words}`);
  const rows = Object.entries(signals).sort(([one], [other]) => ORDER.indexOf(one) - ORDER.indexOf(other));
  byId("signals").hidden = rows.length === 0;
  byId("signals-empty").hidden = rows.length > 0;
  reconcile(
    byId("signals").tBodies[0],
    rows,
    ([signal]) => signal,
    ([signal]) => make("tr", { data: { signal } },
      make("td", { textContent: SIGNALS.get(signal) ?? signal }), make("td", {}, bar()), make("td", { className: "number" })),
    (row, [signal, value]) => {
      const gauge = row.cells[1].firstElementChild;
      gauge.hidden = signal === LAG;
      fill(gauge, value);
      say(row.cells[2], signal === LAG ? `${millis(value * 1000)} ms` : percent(value));
    },
  );
}

// === recommendations ===

// They are reckoned when they are asked for, so they are not part of the stream.
const ADVICE = { every: 30000, patience: 20000, most: 200 };
let advisedOn = null;
let nextAdvice;

function adviceRows({ limits, upstreams }) {
  const rates = limits.map((limit) => ({
    key: JSON.stringify(["rate", limit.route, limit.name]),
    where: `route ${limit.route}, ${limit.name}`,
    now: `${limit.rate}, burst ${number(limit.burst, 0)}`,
    toml: limit.proposed?.toml,
    why: limit.proposed
      ? `would have refused ${number(limit.proposed.refused * 100, 1)} % of ${number(limit.proposed.seen, 0)} requests`
      : "nothing was asked for",
  }));
  const gates = upstreams.map((gate) => ({
    key: JSON.stringify(["concurrency", gate.upstream]),
    where: `upstream ${gate.upstream}`,
    now: gate.limit === null ? "learned" : `fixed, ${number(gate.limit, 0)} at once`,
    toml: gate.proposed?.toml,
    why: gate.proposed ? `the highest found in ${span(gate.minutes * 60)}` : "nothing was found yet: it takes a minute with traffic",
  }));
  return [...rates, ...gates];
}

function showAdvice(advice) {
  const rows = adviceRows(advice);
  const leftOut = rows.length - ADVICE.most;
  say(byId("advice-note"), `${leftOut > 0 ? `${number(leftOut, 0)} more not shown, ` : ""}as of ${new Date().toLocaleTimeString()}`);
  byId("advice").hidden = rows.length === 0;
  byId("advice-empty").hidden = rows.length > 0;
  say(byId("advice-empty"), "No limit is set, so there is none to propose another for.");
  reconcile(
    byId("advice").tBodies[0],
    rows.slice(0, ADVICE.most),
    (row) => row.key,
    (row) => make("tr", {}, make("td", { textContent: row.where }), make("td"),
      make("td", {}, make("pre", { tabIndex: 0, ariaLabel: `Lines to paste for ${row.where}` }), make("span", { textContent: "–" })), make("td", { className: "why" })),
    (element, row) => {
      say(element.cells[1], row.now);
      const [lines, none] = element.cells[2].children;
      say(lines, row.toml ?? "");
      lines.hidden = !row.toml;
      none.hidden = Boolean(row.toml);
      say(element.cells[3], row.why);
    },
  );
}

async function advise() {
  clearTimeout(nextAdvice);
  nextAdvice = setTimeout(advise, ADVICE.every);
  if (document.hidden) return;
  try {
    const answer = await fetch("/api/v1/recommendations", { signal: AbortSignal.timeout(ADVICE.patience), headers: { accept: "application/json" } });
    if (answer.ok) showAdvice(await answer.json());
  } catch {
    // The stream tells that the gateway is gone; what is shown says from when it is.
  }
}

// Another config has other limits.
function adviseOn(revision) {
  if (revision === advisedOn) return;
  advisedOn = revision;
  advise();
}

// === events ===

// The stream tells the id of the newest; what is new is asked for then.
const EVENTS = { shown: 20, patience: 5000 };
let happened = null;
let asksEvents = false;

function showEvents({ events, last }) {
  happened = last;
  const newestFirst = events.toReversed();
  byId("events-log").hidden = events.length === 0;
  byId("events-empty").hidden = events.length > 0;
  say(byId("events-empty"), "Nothing has happened yet.");
  reconcile(
    byId("events"),
    newestFirst,
    (event) => String(event.id),
    (event) => make("li", {},
      make("time", { dateTime: event.time, textContent: new Date(event.at_ms).toLocaleString() }),
      make("span", { className: "chip", data: { state: event.severity }, textContent: event.severity }),
      make("span", { textContent: event.sentence })),
    () => {},
  );
}

async function followEvents(last) {
  if (last === happened || asksEvents || document.hidden) return;
  asksEvents = true;
  try {
    const answer = await fetch(`/api/v1/events?limit=${EVENTS.shown}`, { signal: AbortSignal.timeout(EVENTS.patience), headers: { accept: "application/json" } });
    if (answer.ok) showEvents(await answer.json());
  } catch {
    // The next frame asks again.
  } finally {
    asksEvents = false;
  }
}

// === incidents ===

const INCIDENTS = { every: 5000, patience: 4000, path: "/api/v1/incidents?since=86400&most=20" };

function showIncidents(incidents) {
  const open = incidents.filter((incident) => incident.ended === null).length;
  say(byId("incidents-note"), open > 0 ? `${open} ${open === 1 ? "goes" : "go"} on` : "");
  byId("incidents").hidden = incidents.length === 0;
  byId("incidents-empty").hidden = incidents.length > 0;
  reconcile(
    byId("incidents").tBodies[0],
    incidents,
    (incident) => incident.id,
    (incident) => make("tr", { data: { incident: incident.id } },
      make("td", { textContent: new Date(incident.began_ms).toLocaleString() }), make("td", {}, make("span")), make("td"),
      make("td", {}, make("span"), " ", make("span", { className: "why" }))),
    (row, incident) => {
      const { ended } = incident;
      const lasted = span((incident.last_fault_ms - incident.began_ms) / 1000);
      chip(row.cells[1].firstElementChild, ended ? "over" : incident.severity === "low" ? "stale" : "lost", ended ? `over after ${lasted}` : `open, ${incident.severity}`);
      say(row.cells[2], `${number(incident.faulted, 0)} of ${number(incident.requests, 0)} requests`);
      const [what, by] = row.cells[3].children;
      say(what, incident.sentence);
      say(by, ended?.by ?? incident.after?.sentence ?? "");
    },
  );
}

async function lookForIncidents() {
  setTimeout(lookForIncidents, INCIDENTS.every);
  if (document.hidden) return;
  try {
    const answer = await fetch(INCIDENTS.path, { signal: AbortSignal.timeout(INCIDENTS.patience), headers: { accept: "application/json" } });
    if (answer.ok) showIncidents(await answer.json());
  } catch {
    // The stream tells that the gateway is gone.
  }
}

// === the chart ===

const history = [];
let cursorAt = null;

function remember(frame) {
  history.push({ time: frame.time, offered: frame.offered, admitted: frame.admitted, shed: frame.shed_total });
  if (history.length > HISTORY) history.shift();
}

function node(tag, attributes, text) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  if (text !== undefined) element.textContent = text;
  return element;
}

// The least of 1, 2, 5, 10, 20 … that is not below the value.
function roundUp(value) {
  const power = 10 ** Math.floor(Math.log10(Math.max(1, value)));
  return [1, 2, 5, 10].map((step) => step * power).find((step) => step >= value) ?? 1;
}

function scales(svg) {
  const width = Math.max(200, svg.clientWidth);
  const height = svg.clientHeight || 220;
  const edge = { left: 48, right: 8, top: 8, bottom: 20 };
  const top = roundUp(Math.max(1, ...history.flatMap((sample) => SERIES.map((name) => sample[name] ?? 0))));
  const x = (index) => edge.left + ((HISTORY - history.length + index) / (HISTORY - 1)) * (width - edge.left - edge.right);
  const y = (value) => height - edge.bottom - (value / top) * (height - edge.top - edge.bottom);
  return { width, height, edge, top, x, y };
}

function line(name, { x, y }) {
  let path = "";
  let gap = true;
  history.forEach((sample, index) => {
    const value = sample[name];
    if (value === null) {
      gap = true;
      return;
    }
    path += `${gap ? "M" : "L"}${x(index).toFixed(1)} ${y(value).toFixed(1)}`;
    gap = false;
  });
  return path;
}

function area(name, { x, y }) {
  const known = history.map((sample, index) => [x(index), sample[name]]).filter(([, value]) => value !== null);
  if (known.length < 2) return "";
  const points = known.map(([at, value]) => `${at.toFixed(1)} ${y(value).toFixed(1)}`).join("L");
  return `M${points}L${known.at(-1)[0].toFixed(1)} ${y(0)}L${known[0][0].toFixed(1)} ${y(0)}Z`;
}

function draw() {
  const svg = byId("traffic");
  const scale = scales(svg);
  const { width, height, edge, top, x, y } = scale;
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  const parts = [0, 0.5, 1].flatMap((share) => {
    const value = top * share;
    return [
      node("line", { class: "grid", x1: edge.left, x2: width - edge.right, y1: y(value), y2: y(value) }),
      node("text", { x: edge.left - 8, y: y(value) + 4, "text-anchor": "end" }, number(value)),
    ];
  });
  for (const [share, text] of [[0, "2 min ago"], [0.5, "1 min"], [1, "now"]]) {
    const anchor = share === 0 ? "start" : share === 1 ? "end" : "middle";
    const at = edge.left + share * (width - edge.left - edge.right);
    parts.push(node("text", { x: at, y: height - 4, "text-anchor": anchor }, text));
  }
  parts.push(node("path", { class: "shed-area", d: area("shed", scale) }));
  for (const name of SERIES) parts.push(node("path", { class: name, d: line(name, scale) }));
  const index = cursorIndex(scale);
  if (index !== null) parts.push(node("line", { class: "cursor", x1: x(index), x2: x(index), y1: edge.top, y2: height - edge.bottom }));
  svg.replaceChildren(...parts);
  describe(svg, index);
}

function cursorIndex({ width, edge }) {
  if (cursorAt === null || history.length === 0) return null;
  const share = (cursorAt - edge.left) / (width - edge.left - edge.right);
  const index = Math.round(share * (HISTORY - 1)) - (HISTORY - history.length);
  return index >= 0 && index < history.length ? index : null;
}

function describe(svg, index) {
  const sample = history[index ?? history.length - 1];
  const words = sample ? SERIES.map((name) => `${name} ${number(sample[name])}/s`).join(", ") : "No traffic seen yet";
  svg.setAttribute("aria-label", words);
  say(byId("traffic-readout"), index === null ? "" : `${new Date(sample.time).toLocaleTimeString()}: ${words}`);
}

// === the stream ===

function show(frame) {
  link("live");
  remember(frame);
  showHeader(frame);
  showTiles(frame);
  showShed(frame.shed);
  showUpstreams(frame.upstreams, frame.left_out.endpoints);
  showLimits(frame.limits, frame.left_out.limits);
  showPressure(frame.status.pressure);
  adviseOn(frame.config.revision);
  followEvents(frame.last_event);
  draw();
}

function link(state, text = "") {
  document.documentElement.dataset.link = state;
  chip(byId("link"), state, state === "lost" ? "disconnected" : state);
  byId("link-error").hidden = text === "";
  say(byId("link-error-text"), text);
}

const AGAIN_MS = { first: 1000, most: 15000 };
let again = AGAIN_MS.first;
let silence;

// A stream that says nothing for a while is dead even where the connection does not know it yet.
function watchdog(source) {
  clearTimeout(silence);
  silence = setTimeout(() => {
    source.close();
    lost("Nothing came for 10 seconds.");
  }, 10000);
}

function listen() {
  const source = new EventSource("/api/v1/stream");
  watchdog(source);
  source.onmessage = (event) => {
    again = AGAIN_MS.first;
    watchdog(source);
    try {
      show(JSON.parse(event.data));
    } catch (error) {
      console.error(error);
      link("lost", "This page does not fit the gateway that answers; reload it.");
    }
  };
  source.onerror = async () => {
    source.close();
    clearTimeout(silence);
    lost(await reason());
  };
}

async function reason() {
  try {
    const answer = await fetch("/api/v1/stream", { signal: AbortSignal.timeout(3000), headers: { accept: "application/json" } });
    await answer.body?.cancel();
    if (answer.status === 401) return "The session ended: reload this page to sign in.";
    if (answer.status === 503) return "Too many dashboards are watching; this one waits for a place.";
    return answer.ok ? "The stream was cut." : `The gateway answers ${answer.status}.`;
  } catch {
    return "The gateway does not answer.";
  }
}

function lost(why) {
  const wait = again * (0.75 + Math.random() / 2);
  again = Math.min(again * 2, AGAIN_MS.most);
  history.push({ time: Date.now(), offered: null, admitted: null, shed: null });
  if (history.length > HISTORY) history.shift();
  link("lost", `${why} What is shown is old. Trying again.`);
  setTimeout(listen, wait);
}

const chart = byId("traffic");
chart.addEventListener("pointermove", (event) => {
  cursorAt = event.clientX - chart.getBoundingClientRect().left;
  draw();
});
chart.addEventListener("pointerleave", () => {
  cursorAt = null;
  draw();
});
new ResizeObserver(draw).observe(chart);
document.addEventListener("visibilitychange", () => document.hidden || advise());
lookForIncidents();
listen();
