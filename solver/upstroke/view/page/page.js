"use strict";
// The page: what is shown (state), and what pointers, keys and buttons do to it.

const $ = id => document.getElementById(id);
const NOTHING = 65535, CURVES = ["#0072b2", "#d55e00", "#009e73", "#b0478c", "#c28a00", "#555b61"];
const state = {frame: 0, variable: 0, turn: [], zoom: 1, shift: [0, 0], isochrones: false, fibres: false, strips: true,
               cut: "", cutAt: 0.5, playing: false, picked: []};
let data, scene, drawing, asked = false, shownFrame = -1, shownVariable = -1;

async function unpacked(text, Type) {
  const bytes = Uint8Array.from(atob(text), c => c.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Type(await new Response(stream).arrayBuffer());
}

async function start() {
  data = JSON.parse($("data").textContent);
  try {
    scene = {colours: data.colours, radius: data.radius, points: await unpacked(data.points, Float32Array),
      triangles: await unpacked(data.triangles, Uint32Array), rods: await unpacked(data.rods, Uint32Array),
      thick: await unpacked(data.thick, Float32Array), which: await unpacked(data.which, Int32Array),
      activation: data.activation && await unpacked(data.activation, Float32Array),
      fibres: data.fibres && await unpacked(data.fibres, Float32Array)};
    for (const strip of data.strips) {
      for (const key of ["time", "values"]) strip[key] = await unpacked(strip[key], Float32Array);
    }
    for (const variable of data.variables) variable.frames = await unpacked(variable.values, Uint16Array);
    drawing = new Drawing($("scene"), scene);
  } catch (error) {
    $("problem").textContent = error.message;
    $("problem").hidden = false;
    document.body.dataset.ready = "failed";
    return;
  }
  data.variables.forEach((v, k) => $("variable").append(new Option(v.name, k)));
  $("pick").hidden = data.variables.length < 2;
  $("isochronesLabel").hidden = !scene.activation || !scene.triangles.length;
  $("fibresLabel").hidden = !scene.fibres;
  $("stripsLabel").hidden = !data.strips.length;
  $("isochrones").checked = state.isochrones = data.isochronesOn;
  $("fibres").checked = state.fibres = data.fibresOn;
  $("time").max = data.times.length - 1;
  $("notes").textContent = data.notes.join("; ");
  const wanted = parseFloat(new URLSearchParams(location.hash.slice(1)).get("t"));
  if (!isNaN(wanted)) state.frame = nearestFrame(wanted);
  resetView();
  listen();
  legend();
  new ResizeObserver(changed).observe($("scene"));
  changed();
  document.body.dataset.ready = "yes";
}

const count = () => scene.points.length / 3;
const shown = () => data.variables[state.variable];
const frameOf = k => shown().frames.subarray(k * count(), (k + 1) * count());
const valueOf = (variable, u) => u === NOTHING ? NaN : variable.low + u / (NOTHING - 1) * (variable.high - variable.low);
const numberText = x => isNaN(x) ? "\u2013" : String(+x.toPrecision(4)).replace("-", "\u2212");
const nearestFrame = t => data.times.reduce((best, x, k) => Math.abs(x - t) < Math.abs(data.times[best] - t) ? k : best, 0);

// ---------------------------------------------------------------------------------------------------------- the view
function resetView() {
  Object.assign(state, {turn: data.turn.slice(), zoom: 1, shift: [0, 0]});
}

function mmPerPixel() {
  const {clientWidth: w, clientHeight: h} = $("scene"), room = w > 500 ? 110 : 0;
  return Math.max(2 * data.half[0] / Math.max(w - 2 * room, 100), 2 * data.half[1] / Math.max(h - 70, 100)) / state.zoom;
}

function rotate(dx, dy) {                        // the ball under the pointer turns with it
  const [sx, cx, sy, cy] = [Math.sin(dy), Math.cos(dy), Math.sin(dx), Math.cos(dx)], t = state.turn;
  const about = [cy, 0, sy, sx * sy, cx, -sx * cy, -cx * sy, sx, cx * cy];
  state.turn = [0, 1, 2].flatMap(i => [0, 1, 2].map(j => about[3 * i] * t[j] + about[3 * i + 1] * t[3 + j]
    + about[3 * i + 2] * t[6 + j]));
}

function zoomBy(factor, x, y) {                  // what is under the pointer stays there
  const {left, top, width, height} = $("scene").getBoundingClientRect();
  const zoom = Math.min(Math.max(state.zoom * factor, 0.2), 500), real = zoom / state.zoom;
  const px = x - left - width / 2, py = y - top - height / 2;
  state.shift = [px - real * (px - state.shift[0]), py - real * (py - state.shift[1])];
  state.zoom = zoom;
}

function projected(k) {                          // pixels in the canvas, and mm towards the viewer
  const p = scene.points.subarray(3 * k, 3 * k + 3), t = state.turn, mm = mmPerPixel();
  const eye = [0, 1, 2].map(i => t[3 * i] * p[0] + t[3 * i + 1] * p[1] + t[3 * i + 2] * p[2]);
  const {clientWidth: w, clientHeight: h} = $("scene");
  return [w / 2 + state.shift[0] + eye[0] / mm, h / 2 + state.shift[1] - eye[1] / mm, eye[2]];
}

function cutPlane() {                            // normal and distance; what lies beyond is not drawn
  if (!state.cut) return [0, 0, 0, 1];
  const axis = "xyz".indexOf(state.cut[0]), sign = state.cut[2] === "<" ? 1 : -1, normal = [0, 0, 0];
  normal[axis] = sign;
  return [...normal, sign * cutPlace(axis)];
}

function cutPlace(axis) {                        // mm from the middle
  let low = Infinity, high = -Infinity;
  for (let k = axis; k < scene.points.length; k += 3) {
    low = Math.min(low, scene.points[k]); high = Math.max(high, scene.points[k]);
  }
  return low + state.cutAt * (high - low);
}

function nearest(x, y) {                         // the corner under the pointer that lies foremost, or -1
  const {clientWidth: w, clientHeight: h} = $("scene"), t = state.turn, p = scene.points, mm = mmPerPixel();
  const cut = cutPlane(), wx = (x - w / 2 - state.shift[0]) * mm, wy = (h / 2 + state.shift[1] - y) * mm;
  let best = -1, depth = -Infinity;
  for (let k = 0; k < p.length; k += 3) {
    const [a, b, c] = [p[k], p[k + 1], p[k + 2]], dx = t[0] * a + t[1] * b + t[2] * c - wx;
    if (Math.abs(dx) > 10 * mm) continue;
    const dy = t[3] * a + t[4] * b + t[5] * c - wy, z = t[6] * a + t[7] * b + t[8] * c;
    if (dx * dx + dy * dy > 100 * mm * mm || z <= depth) continue;
    if (cut[0] * a + cut[1] * b + cut[2] * c > cut[3]) continue;
    [best, depth] = [k / 3, z];
  }
  return best;
}

// ----------------------------------------------------------------------------------------------------------- drawing
function changed() {
  if (!asked) { asked = true; requestAnimationFrame(drawAll); }
}

function drawAll() {
  asked = false;
  const variable = shown(), mm = mmPerPixel(), part = x => (x - variable.low) / (variable.high - variable.low);
  if (shownFrame !== state.frame || shownVariable !== state.variable) drawing.frame(frameOf(state.frame));
  [shownFrame, shownVariable] = [state.frame, state.variable];
  drawing.draw({turn: state.turn, mm, shift: state.shift, cut: cutPlane(), low: part(variable.shown[0]),
                high: part(variable.shown[1]), step: state.isochrones && scene.activation ? data.step : 0,
                fibres: state.fibres});
  $("time").value = state.frame;
  $("now").textContent = `${numberText(data.times[state.frame])} ms`;
  $("cutAt").hidden = !state.cut;
  $("cutText").textContent = state.cut ? lengthText(cutPlace("xyz".indexOf(state.cut[0]))
    + data.middle["xyz".indexOf(state.cut[0])]) : "";
  ruler(mm);
  $("place").replaceChildren(...state.picked.map((k, i) => {
    const span = document.createElement("span");
    span.textContent = placeText(k);
    span.style.color = CURVES[i % CURVES.length];
    return span;
  }));
  $("strips").hidden = !data.strips.length || !state.strips;
  if (!$("strips").hidden) strips();
  $("curves").hidden = !state.picked.length;
  if (state.picked.length) curves();
}

function placeText(k) {
  const p = [0, 1, 2].map(i => lengthText(scene.points[3 * k + i] + data.middle[i])).join(", ");
  const name = scene.which.length && scene.which[k] >= 0 ? `${data.names[scene.which[k]]} ` : "", variable = shown();
  return `${name}(${p}): ${numberText(valueOf(variable, frameOf(state.frame)[k]))} ${variable.unit}`;
}

const small = () => data.radius < 1.5;           // neurons are measured in um
function lengthText(mm) { return small() ? `${numberText(1000 * mm)} um` : `${numberText(mm)} mm`; }

function ruler(mm) {
  const reach = 130 * mm, decade = 10 ** Math.floor(Math.log10(reach));
  const length = [1, 2, 5].map(f => f * decade).filter(x => x <= reach).pop();
  $("ruler").style.width = `${length / mm}px`;
  $("length").textContent = length < 0.999 ? `${+(1000 * length).toPrecision(3)} um` : `${+length.toPrecision(3)} mm`;
}

function legend() {
  const variable = shown(), bar = $("bar"), [low, high] = variable.shown;
  $("label").textContent = variable.unit ? `${variable.name} (${variable.unit})` : variable.name;
  [bar.width, bar.height] = [1, 256];
  for (let k = 0; k < 256; k++) {
    bar.getContext("2d").fillStyle = `rgb(${colourAt(data.colours, k / 255)})`;
    bar.getContext("2d").fillRect(0, 255 - k, 1, 1);
  }
  $("ticks").replaceChildren(...ticks(low, high, 7).map(value => {
    const mark = document.createElement("span");
    mark.textContent = numberText(value);
    mark.style.bottom = `${100 * (value - low) / (high - low)}%`;
    return mark;
  }));
}

function ticks(low, high, most) {
  const decade = 10 ** Math.floor(Math.log10((high - low) / most));
  const step = [1, 2, 5, 10].map(f => f * decade).find(s => (high - low) / s <= most);
  const first = Math.ceil(low / step - 1e-9), last = Math.floor(high / step + 1e-9);
  return Array.from({length: last - first + 1}, (_, k) => (first + k) * step);
}

// ------------------------------------------------------------------------------------------------- curves beneath it
const STRIP = {narrowest: 115, numbers: 46, high: 44, head: 14, foot: 18};

function strips() {                              // filled column by column, as twelve leads stand on paper
  const canvas = $("strips"), {columns, rows} = stripGrid(), {numbers, high, head, foot} = STRIP;
  canvas.style.height = `${rows * (head + high) + foot}px`;
  const c = paper(canvas), w = canvas.clientWidth / columns;
  data.strips.forEach((strip, k) => {
    const left = Math.floor(k / rows) * w, top = (k % rows) * (head + high) + head, last = k % rows === rows - 1;
    const at = panel(c, {left: left + numbers, top, width: w - numbers - 12, high}, strip,
                     last || k === data.strips.length - 1);
    c.fillStyle = "#1a1d21"; c.textAlign = "left"; c.font = "bold 11px system-ui, sans-serif";
    c.fillText(strip.label, left + numbers, top - 3);
    c.strokeStyle = "#1a1d21"; c.lineWidth = 1;
    line(c, Array.from(strip.time, (t, i) => at(t, strip.values[i])).filter(q => !isNaN(q[1])));
  });
}

function stripGrid() {
  const n = data.strips.length, fit = Math.floor($("strips").clientWidth / STRIP.narrowest);
  const columns = Math.max(1, Math.min(Math.ceil(n / 3), 4, fit || 4));
  return {columns, rows: Math.ceil(n / columns)};
}

function curves() {
  const canvas = $("curves"), c = paper(canvas), variable = shown(), [low, high] = variable.shown;
  const box = {left: STRIP.numbers, top: 6, width: canvas.clientWidth - STRIP.numbers - 4, high: canvas.clientHeight - 28};
  const at = panel(c, box, {low, high}, true);
  state.picked.forEach((k, i) => {
    c.strokeStyle = CURVES[i % CURVES.length]; c.lineWidth = 1.5;
    line(c, data.times.map((t, f) => at(t, valueOf(variable, variable.frames[f * count() + k]))).filter(q => !isNaN(q[1])));
  });
}

function paper(canvas) {                         // an empty one, in pixels of the page
  const ratio = window.devicePixelRatio || 1, {clientWidth: w, clientHeight: h} = canvas;
  [canvas.width, canvas.height] = [w * ratio, h * ratio];
  const c = canvas.getContext("2d");
  c.scale(ratio, ratio);
  return c;
}

function panel(c, {left, top, width, high: tall}, {low, high}, named) {     // axes and the time; gives place of (t, value)
  const {times} = data, span = times[times.length - 1] - times[0] || 1;
  const X = t => left + (t - times[0]) / span * width, Y = v => top + (high - v) / (high - low) * tall;
  c.font = "11px system-ui, sans-serif";
  c.fillStyle = "#687078"; c.strokeStyle = "#e4e7ea"; c.lineWidth = 1;
  for (const value of ticks(low, high, 3)) {
    line(c, [[left, Y(value)], [left + width, Y(value)]]);
    c.textAlign = "right"; c.fillText(numberText(value), left - 6, Y(value) + 4);
  }
  if (named) for (const value of ticks(times[0], times[times.length - 1], Math.max(1, Math.min(8, width / 70)))) {
    c.textAlign = "center"; c.fillText(`${numberText(value)} ms`, Math.min(X(value), left + width - 14), top + tall + 14);
  }
  const now = Math.round(X(times[state.frame])) + 0.5;
  c.strokeStyle = "#c8102e";
  line(c, [[now, top], [now, top + tall]]);
  return (t, v) => [X(t), Y(v)];
}

function line(c, points) {
  c.beginPath();
  points.forEach(([x, y], k) => k ? c.lineTo(x, y) : c.moveTo(x, y));
  c.stroke();
}

// ------------------------------------------------------------------------------------------------------- what users do
function goTo(frame) {
  state.frame = Math.min(Math.max(Math.round(frame), 0), data.times.length - 1);
  changed();
}

function play(on) {
  state.playing = on;
  $("play").innerHTML = on ? "&#10074;&#10074;" : "&#9654;";
  $("play").setAttribute("aria-label", on ? "pause" : "play");
  if (!on) return;
  if (state.frame === data.times.length - 1) goTo(0);
  let since = performance.now(), from = state.frame;
  const step = now => {
    if (!state.playing) return;
    if (Math.round(from) !== state.frame && Math.floor(from) !== state.frame) from = state.frame;    // the slider was moved
    from += (now - since) / 1000 * $("speed").value;
    since = now;
    if (from >= data.times.length) { goTo(data.times.length - 1); play(false); return; }
    if (Math.floor(from) !== state.frame) goTo(Math.floor(from));
    requestAnimationFrame(step);
  };
  requestAnimationFrame(step);
}

function listen() {
  const canvas = $("scene"), fingers = new Map();
  let moved = 0;
  canvas.addEventListener("pointerdown", event => {
    canvas.setPointerCapture(event.pointerId);
    fingers.set(event.pointerId, [event.clientX, event.clientY]);
    if (fingers.size === 1) moved = 0;
  });
  canvas.addEventListener("pointermove", event => {
    const before = fingers.get(event.pointerId);
    if (!before) return;
    const now = [event.clientX, event.clientY], dx = now[0] - before[0], dy = now[1] - before[1];
    moved += Math.hypot(dx, dy);
    if (fingers.size === 1) {
      if (event.shiftKey || event.buttons === 4) state.shift = [state.shift[0] + dx, state.shift[1] + dy];
      else rotate(dx / 150, dy / 150);
    } else {
      const other = [...fingers].find(([id]) => id !== event.pointerId)[1];
      const apart = q => Math.hypot(q[0] - other[0], q[1] - other[1]);
      state.shift = [state.shift[0] + dx / 2, state.shift[1] + dy / 2];
      zoomBy(apart(now) / Math.max(apart(before), 1), (now[0] + other[0]) / 2, (now[1] + other[1]) / 2);
    }
    fingers.set(event.pointerId, now);
    changed();
  });
  for (const kind of ["pointerup", "pointercancel"]) canvas.addEventListener(kind, event => {
    const alone = fingers.size === 1;
    fingers.delete(event.pointerId);
    if (kind === "pointerup" && alone && moved < 4) pick(event);
  });
  canvas.addEventListener("wheel", event => {
    event.preventDefault();
    zoomBy(Math.exp(-event.deltaY / 400), event.clientX, event.clientY);
    changed();
  }, {passive: false});
  $("time").addEventListener("input", () => goTo(+$("time").value));
  $("play").addEventListener("click", () => play(!state.playing));
  $("reset").addEventListener("click", () => { resetView(); changed(); });
  $("help").addEventListener("click", () => {
    $("helptext").hidden = !$("helptext").hidden;
    $("help").setAttribute("aria-expanded", !$("helptext").hidden);
  });
  $("variable").addEventListener("change", () => { state.variable = +$("variable").value; legend(); changed(); });
  $("stripsOn").addEventListener("change", () => { state.strips = $("stripsOn").checked; changed(); });
  for (const name of ["isochrones", "fibres"]) $(name).addEventListener("change", () => {
    state[name] = $(name).checked; changed();
  });
  $("cut").addEventListener("change", () => { state.cut = $("cut").value && $("cut").selectedOptions[0].text; changed(); });
  $("cutAt").addEventListener("input", () => { state.cutAt = $("cutAt").value / 1000; changed(); });
  for (const [id, columns, margin] of [["curves", () => 1, 4], ["strips", () => stripGrid().columns, 12]]) {
    for (const kind of ["pointerdown", "pointermove"]) $(id).addEventListener(kind, event => {
      if (!event.buttons) return;
      const {left, width} = $(id).getBoundingClientRect(), {times} = data, wide = width / columns();
      const part = ((event.clientX - left) % wide - STRIP.numbers) / (wide - STRIP.numbers - margin);
      goTo(nearestFrame(times[0] + part * (times[times.length - 1] - times[0])));
    });
  }
  document.addEventListener("keydown", event => {
    if (["SELECT", "INPUT", "BUTTON"].includes(event.target.tagName) && event.key !== "r") return;
    if (event.key === " ") play(!state.playing);
    else if (event.key === "ArrowLeft") goTo(state.frame - 1);
    else if (event.key === "ArrowRight") goTo(state.frame + 1);
    else if (event.key === "r" || event.key === "R") { resetView(); changed(); }
    else return;
    event.preventDefault();
  });
}

function pick(event) {
  const {left, top} = $("scene").getBoundingClientRect();
  const k = nearest(event.clientX - left, event.clientY - top);
  if (k < 0) state.picked = [];
  else if (!state.picked.includes(k)) state.picked.push(k);
  changed();
}
