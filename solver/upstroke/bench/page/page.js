/* The page: panels, and what is shown in them. All panels show the same stretch of time: state.time, or in the mode of
   beats state.phase, [from, to] in ms or null for all. */

const data = JSON.parse(document.getElementById("data").textContent);
const traces = data.traces.map(traceOf);
const variables = data.variables;
const $ = id => document.getElementById(id);
const COLOURS = 7, BOX = { left: 56, right: 10, top: 5, bottom: 18 };
const state = { mode: "time", time: null, phase: null, show: null, off: [], search: "", order: "model", fit: true,
                theme: null, large: [] };
let hover = null;               // time under the pointer, in all panels
let drag = null;                // {panel, from, to, pan}
let style = {};

// ------------------------------------------------------------------------------------------------ what is remembered
const KEEP = `upstroke view ${location.pathname}`;

function remember() {
  const words = Object.entries(state).filter(([k, v]) => v !== null && v !== "" && (k === "show" || v.length !== 0))
    .map(([k, v]) => `${k}=${encodeURIComponent(Array.isArray(v) ? v.join(",") : v)}`);
  history.replaceState(null, "", `#${words.join("&")}`);
  try { localStorage.setItem(KEEP, words.join("&")); } catch { /* private windows have none */ }
}

function recall() {
  let text = location.hash.slice(1);
  try { text ||= localStorage.getItem(KEEP) ?? ""; } catch { /* private windows have none */ }
  const said = Object.fromEntries(text.split("&").map(word => word.split("=")).filter(([k, v]) => k in state && v !== undefined)
    .map(([k, v]) => [k, decodeURIComponent(v)]));
  const list = word => word.split(",").filter(Boolean);
  const stretch = word => {
    const [a, b] = list(word).map(Number);
    return b > a ? [a, b] : null;
  };
  const known = names => names.filter(name => variables.some(v => v.name === name));
  if (["time", "beats", "envelope"].includes(said.mode) && (said.mode === "time" || hasBeats())) state.mode = said.mode;
  if (said.time) state.time = stretch(said.time);
  if (said.phase) state.phase = stretch(said.phase);
  if (said.show !== undefined) state.show = known(list(said.show));
  if (said.off) state.off = list(said.off).map(Number).filter(k => k in traces);
  if (said.large) state.large = known(list(said.large));
  if (["model", "name", "drift"].includes(said.order)) state.order = said.order;
  if (["light", "dark"].includes(said.theme)) state.theme = said.theme;
  state.fit = said.fit !== "false";
  state.search = said.search ?? "";
}

// ------------------------------------------------------------------------------------------------------ what there is
function hasBeats() {
  return traces.some(trace => trace.beats.length > 0);
}

/** [trace, its column, its number] of those that are not hidden and have the quantity. */
function curvesOf(name) {
  return traces.map((trace, k) => [trace, trace.columns.get(name), k])
    .filter(([, column, k]) => column && !state.off.includes(k));
}

const envelopes = new Map();
function envelope(k, name) {
  const key = `${k} ${name}`;
  if (!envelopes.has(key)) envelopes.set(key, envelopeOf(traces[k], traces[k].columns.get(name)));
  return envelopes.get(key);
}

function drift(name) {
  const all = curvesOf(name).map(([, , k]) => driftOf(envelope(k, name))).filter(d => !Number.isNaN(d));
  return all.length ? Math.max(...all) : NaN;
}

/** Pieces of a trace that are drawn: rows [begin, end), how far they are moved in time, and their place among all. */
function piecesOf(trace, [a, b], mode = state.mode) {
  if (mode !== "beats") {
    const [begin, end] = rowsIn(trace.time, a, b);
    return [{ begin, end, shift: 0, share: 1 }];
  }
  const beats = beatsOf(trace), n = beats.length;
  return chosenBeats(n).map(k => {
    const zero = beats[k].begin + data.lead;
    const [begin, end] = rowsIn(trace.time, Math.max(beats[k].begin, zero + a), Math.min(beats[k].end, zero + b));
    return { begin, end, shift: zero, share: n > 1 ? k / (n - 1) : 1 };
  });
}

function whole() {
  const shown = traces.filter((_, k) => !state.off.includes(k)), some = shown.length ? shown : traces;
  if (state.mode !== "beats") {
    return [Math.min(...some.map(t => t.time[0])), Math.max(...some.map(t => t.time[t.time.length - 1]))];
  }
  const lengths = some.flatMap(t => beatsOf(t).map(beat => beat.end - beat.begin));
  return [-data.lead, Math.max(1, ...lengths) - data.lead];
}

const key = () => (state.mode === "beats" ? "phase" : "time");
const stretch = () => state[key()] ?? whole();

/** Show a stretch of time, as far as there is any. */
function goTo(a, b) {
  const [first, last] = whole(), all = last - first;
  const span = Math.min(Math.max(b - a, all * 1e-6), all);
  a = Math.min(Math.max(a, first), last - span);
  state[key()] = span >= all * (1 - 1e-9) ? null : [+a.toPrecision(10), +(a + span).toPrecision(10)];
  changed();
}

function zoom(factor, around) {
  const [a, b] = stretch(), at = around ?? (a + b) / 2;
  goTo(at - (at - a) * factor, at + (b - at) * factor);
}

function pan(share) {
  const [a, b] = stretch(), by = (b - a) * share;
  goTo(a + by, b + by);
}

// ------------------------------------------------------------------------------------------------------------- panels
const panels = variables.map(variable => {
  const article = document.createElement("article");
  article.innerHTML = `<h2><button class="name" title="enlarge"></button><span class="unit"></span>
    <span class="values"></span><button class="close" title="take off the list">&times;</button></h2><canvas></canvas>`;
  const find = selector => article.querySelector(selector);
  const panel = { variable, article, canvas: find("canvas"), values: find(".values"), inView: false };
  article.dataset.name = variable.name;
  find(".name").textContent = variable.name;
  find(".unit").textContent = variable.unit && `(${variable.unit})`;
  panel.canvas.setAttribute("role", "img");
  panel.canvas.setAttribute("aria-label", `${variable.name} ${variable.unit} over time`);
  find(".name").onclick = () => { toggle(state.large, variable.name); changed(); };
  find(".close").onclick = () => show(shown().filter(name => name !== variable.name));
  listen(panel);
  article.panel = panel;
  return panel;
});
const seen = new IntersectionObserver(entries => {
  for (const entry of entries) entry.target.panel.inView = entry.isIntersecting;
  schedule();
}, { rootMargin: "100px" });
const sized = new ResizeObserver(() => schedule());

function toggle(list, item) {
  const k = list.indexOf(item);
  if (k < 0) list.push(item); else list.splice(k, 1);
}

const shown = () => state.show ?? variables.map(v => v.name);

function show(names) {
  state.show = names.length === variables.length ? null : names;
  changed();
}

function arrange() {
  const listed = new Set(shown());
  const list = panels.filter(p => listed.has(p.variable.name) && fits(p.variable.name, state.search));
  if (state.order === "name") list.sort((p, q) => p.variable.name.localeCompare(q.variable.name));
  if (state.order === "drift") {
    const of = new Map(list.map(p => [p, drift(p.variable.name)]));
    list.sort((p, q) => (of.get(q) || -1) - (of.get(p) || -1));
  }
  const grid = $("grid"), now = [...grid.children];
  if (now.length !== list.length || list.some((p, k) => p.article !== now[k])) {
    grid.replaceChildren(...list.map(p => p.article));
  }
  for (const p of panels) p.article.classList.toggle("large", state.large.includes(p.variable.name));
  $("empty").hidden = list.length > 0;
  $("choose").textContent = `Panels: ${list.length} of ${variables.length}`;
}

// ------------------------------------------------------------------------------------------------- the hand on it all
function listen(panel) {
  const { canvas } = panel;
  const at = event => {
    const box = canvas.getBoundingClientRect(), [a, b] = stretch();
    const share = (event.clientX - box.left - BOX.left) / (box.width - BOX.left - BOX.right);
    return a + Math.min(1, Math.max(0, share)) * (b - a);
  };
  canvas.onpointerdown = event => {
    if (event.button > 1) return;
    canvas.setPointerCapture(event.pointerId);
    drag = { from: at(event), to: at(event), x: event.clientX, pan: event.shiftKey || event.button === 1 };
  };
  canvas.onpointermove = event => {
    if (drag?.pan) {
      const [a, b] = stretch(), box = canvas.getBoundingClientRect();
      const by = (drag.x - event.clientX) / (box.width - BOX.left - BOX.right) * (b - a);
      drag.x = event.clientX;
      goTo(a + by, b + by);
      return;
    }
    hover = at(event);
    if (drag) drag.to = hover;
    schedule();
  };
  canvas.onpointerup = event => {
    const done = drag;
    drag = null;
    if (done && !done.pan && Math.abs(event.clientX - done.x) > 4) {
      goTo(Math.min(done.from, done.to), Math.max(done.from, done.to));
    }
    schedule();
  };
  canvas.onpointercancel = () => { drag = null; schedule(); };
  canvas.onpointerleave = () => { hover = null; schedule(); };
  canvas.ondblclick = () => goTo(-Infinity, Infinity);
  canvas.addEventListener("wheel", event => {
    if (event.ctrlKey || event.metaKey) zoom(Math.exp(Math.max(-50, Math.min(50, event.deltaY)) / 120), at(event));
    else if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) pan((event.deltaX || event.deltaY) / 800);
    else return;
    event.preventDefault();
  }, { passive: false });
}

function listenStrip() {
  const strip = $("strip");
  const move = event => {
    const box = strip.getBoundingClientRect(), [first, last] = whole(), [a, b] = stretch();
    const at = first + (event.clientX - box.left) / box.width * (last - first);
    goTo(at - (b - a) / 2, at + (b - a) / 2);
  };
  strip.onpointerdown = event => { strip.setPointerCapture(event.pointerId); move(event); };
  strip.onpointermove = event => { if (event.buttons) move(event); };
  strip.ondblclick = () => goTo(-Infinity, Infinity);
}

/** What a run was told, less what all runs were told. */
function ownWords(trace) {
  const options = t => t.words.split(/ (?=-)/), others = traces.filter(t => t.words !== trace.words);
  return options(trace).filter(option => !others.length || others.some(t => !options(t).includes(option))).join(" ");
}

function buildLegend() {
  $("legend").replaceChildren(...traces.map((trace, k) => {
    const button = document.createElement("button");
    button.innerHTML = `<svg viewBox="0 0 22 4"><line x1="0" y1="2" x2="22" y2="2" stroke="var(--c${k % COLOURS})"
      stroke-width="3" ${k < COLOURS ? "" : 'stroke-dasharray="6 3"'}/></svg><span></span><small></small>`;
    button.querySelector("span").textContent = trace.name;
    button.querySelector("small").textContent = ownWords(trace);
    button.title = `${trace.words}\n${trace.time.length} rows, ${trace.beats.length} beats; click to hide or show`;
    button.onclick = () => { toggle(state.off, k); changed(); };
    return button;
  }));
}

function buildChooser() {
  const kinds = [["state", "States"], ["current", "Currents"], ["other", "Others"]];
  const all = document.createElement("button");
  all.textContent = "Show all";
  all.onclick = () => show(variables.map(v => v.name));
  $("chooser").replaceChildren(all, ...kinds.filter(([kind]) => variables.some(v => v.kind === kind)).map(([kind, title]) => {
    const set = document.createElement("fieldset"), own = variables.filter(v => v.kind === kind).map(v => v.name);
    set.innerHTML = `<legend>${title}</legend><button>all</button><button>none</button><button>only these</button>`;
    const [every, none, only] = set.querySelectorAll("button");
    every.onclick = () => show([...new Set([...shown(), ...own])]);
    none.onclick = () => show(shown().filter(name => !own.includes(name)));
    only.onclick = () => show(own);
    for (const name of own) {
      const label = document.createElement("label"), box = document.createElement("input");
      box.type = "checkbox";
      box.dataset.name = name;
      box.onchange = () => show(box.checked ? [...shown(), name] : shown().filter(n => n !== name));
      label.append(box, name);
      set.append(label);
    }
    return set;
  }));
}

/** Everything follows from state. */
function changed() {
  for (const button of $("modes").children) {
    button.setAttribute("aria-pressed", button.dataset.mode === state.mode);
    button.disabled = button.dataset.mode !== "time" && !hasBeats();
  }
  [...$("legend").children].forEach((button, k) => button.setAttribute("aria-pressed", !state.off.includes(k)));
  const listed = new Set(shown());
  for (const box of $("chooser").querySelectorAll("input")) box.checked = listed.has(box.dataset.name);
  if ($("search").value !== state.search) $("search").value = state.search;
  $("order").value = state.order;
  $("order").options[2].disabled = !hasBeats();
  $("fit").checked = state.fit;
  arrange();
  remember();
  schedule();
}

const darkness = matchMedia("(prefers-color-scheme: dark)");
function dress() {
  document.documentElement.dataset.theme = state.theme ?? (darkness.matches ? "dark" : "light");
  const now = getComputedStyle(document.documentElement), get = name => now.getPropertyValue(`--${name}`).trim();
  style = { colours: Array.from({ length: COLOURS }, (_, k) => get(`c${k}`)), font: "11px system-ui, sans-serif" };
  for (const name of ["page", "faint", "line", "grid", "accent", "veil"]) style[name] = get(name);
  schedule();
}

function start() {
  recall();
  dress();
  darkness.onchange = dress;
  buildLegend();
  buildChooser();
  listenStrip();
  for (const button of $("modes").children) button.onclick = () => { state.mode = button.dataset.mode; changed(); };
  $("search").oninput = () => { state.search = $("search").value; changed(); };
  $("order").onchange = () => { state.order = $("order").value; changed(); };
  $("fit").onchange = () => { state.fit = $("fit").checked; changed(); };
  $("theme").onclick = () => {
    state.theme = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
    dress();
    changed();
  };
  for (const [button, drawer] of [["choose", "chooser"], ["help", "helptext"]]) {
    $(button).onclick = () => {
      $(drawer).hidden = !$(drawer).hidden;
      $(button).setAttribute("aria-expanded", !$(drawer).hidden);
    };
  }
  const keys = { ArrowLeft: () => pan(-0.2), ArrowRight: () => pan(0.2), "+": () => zoom(0.5), "=": () => zoom(0.5),
                 "-": () => zoom(2), 0: () => goTo(-Infinity, Infinity), "/": () => $("search").focus() };
  for (const [id, name] of [["back", "ArrowLeft"], ["on", "ArrowRight"], ["in", "+"], ["out", "-"], ["all", "0"]]) {
    $(id).onclick = keys[name];
  }
  document.onkeydown = event => {
    if (event.target.matches("input, select") || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key in keys) { keys[event.key](); event.preventDefault(); }
  };
  addEventListener("hashchange", () => { recall(); dress(); changed(); });
  for (const panel of panels) { seen.observe(panel.article); sized.observe(panel.canvas); }
  sized.observe($("strip"));
  $("notes").textContent = data.notes.join("; ");
  changed();
}
