/* What stands in the panels and in the strip, drawn anew in every frame. */

/** A canvas as sharp as the screen: its context and size in CSS pixels. */
function prepare(canvas) {
  const width = canvas.clientWidth, height = canvas.clientHeight, ratio = window.devicePixelRatio || 1;
  const w = Math.round(width * ratio), h = Math.round(height * ratio);
  if (canvas.width !== w || canvas.height !== h) { canvas.width = w; canvas.height = h; }
  const pen = canvas.getContext("2d");
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, width, height);
  return { pen, width, height };
}

/** The vertical range of a quantity in a stretch of time, with some room; null where there is nothing. */
function heights(name, range, pixels, mode) {
  let low = Infinity, high = -Infinity;
  for (const [trace, column, k] of curvesOf(name)) {
    const parts = mode === "envelope" ? beatsIn(k, name, range).map(e => [e.low, e.high])
      : piecesOf(trace, range, mode).map(({ begin, end }) => {
        const rows = rowsFor(trace, column, begin, end, pixels);
        return extent(rows.column, rows.begin, rows.end);
      });
    for (const [l, h] of parts) { low = Math.min(low, l); high = Math.max(high, h); }
  }
  if (!(low <= high)) return null;
  const size = Math.max(Math.abs(low), Math.abs(high));
  const room = high - low > 1e-9 * size ? (high - low) * 0.06 : size * 0.05 || 1;
  return [low - room, high + room];
}

const beatsIn = (k, name, [a, b]) => envelope(k, name).filter(e => e.end >= a && e.begin <= b);

function drawCurves(name, pen, toX, toY, range, mode, width) {
  const pixels = toX(range[1]) - toX(range[0]);
  for (const [trace, column, k] of curvesOf(name)) {
    pen.strokeStyle = pen.fillStyle = style.colours[k % COLOURS];
    pen.setLineDash(k < COLOURS ? [] : [6, 3]);
    pen.lineJoin = "round";
    if (mode === "envelope") {
      drawEnvelope(beatsIn(k, name, range), pen, toX, toY);
      continue;
    }
    for (const { begin, end, shift, share } of piecesOf(trace, range, mode)) {
      const rows = rowsFor(trace, column, begin, end, pixels);
      pen.globalAlpha = share === 1 ? 1 : 0.18 + 0.4 * share;
      pen.lineWidth = share === 1 ? width : 1;
      pen.beginPath();
      traceCurve(rows.time, rows.column, rows.begin, rows.end, t => toX(t - shift), (x, y) => pen.moveTo(x, toY(y)),
                 (x, y) => pen.lineTo(x, toY(y)));
      pen.stroke();
    }
    pen.globalAlpha = 1;
  }
  pen.setLineDash([]);
}

function drawEnvelope(beats, pen, toX, toY) {
  pen.globalAlpha = 0.13;
  for (const e of beats) {
    pen.fillRect(toX(e.begin), toY(e.high), toX(e.end) - toX(e.begin), Math.max(1, toY(e.low) - toY(e.high)));
  }
  pen.globalAlpha = 1;
  pen.lineWidth = 1.5;
  for (const side of ["low", "high"]) {
    pen.beginPath();
    beats.forEach((e, k) => {
      pen[k ? "lineTo" : "moveTo"](toX(e.begin), toY(e[side]));
      pen.lineTo(toX(e.end), toY(e[side]));
    });
    pen.stroke();
  }
}

function drawPanel(panel, range) {
  const { pen, width, height } = prepare(panel.canvas), name = panel.variable.name, [a, b] = range;
  const right = width - BOX.right, bottom = height - BOX.bottom;
  const toX = t => BOX.left + (t - a) / (b - a) * (right - BOX.left);
  const found = heights(name, state.fit ? range : whole(), right - BOX.left, state.mode);
  pen.font = style.font;
  pen.textBaseline = "middle";
  pen.lineWidth = 1;
  if (!found) {
    pen.fillStyle = style.faint;
    pen.fillText(state.mode === "envelope" ? "no whole beat in view" : "nothing in view", BOX.left, height / 2);
    return;
  }
  const [low, high] = found, toY = y => bottom - (y - low) / (high - low) * (bottom - BOX.top);
  drawAxes(pen, range, found, toX, toY, right, bottom);
  pen.save();
  pen.beginPath();
  pen.rect(BOX.left, 0, right - BOX.left, bottom + 1);
  pen.clip();
  drawCurves(name, pen, toX, toY, range, state.mode, 1.5);
  pen.restore();
  if (hover !== null) {
    pen.strokeStyle = style.faint;
    pen.lineWidth = 1;
    pen.beginPath();
    pen.moveTo(toX(hover), BOX.top);
    pen.lineTo(toX(hover), bottom);
    pen.stroke();
  }
  if (drag && !drag.pan) {
    pen.fillStyle = style.veil;
    pen.fillRect(toX(Math.min(drag.from, drag.to)), BOX.top, Math.abs(toX(drag.to) - toX(drag.from)), bottom - BOX.top);
  }
}

function drawAxes(pen, [a, b], [low, high], toX, toY, right, bottom) {
  const y = ticks(low, high, Math.max(2, (bottom - BOX.top) / 32));
  const x = ticks(a, b, Math.max(2, (right - BOX.left) / 70));
  pen.strokeStyle = style.grid;
  pen.fillStyle = style.faint;
  pen.textAlign = "right";
  const largest = Math.max(Math.abs(low), Math.abs(high));
  for (const value of y.values) {
    line(pen, BOX.left, toY(value), right, toY(value));
    pen.fillText(tickText(value, y.step, largest), BOX.left - 5, toY(value), BOX.left - 6);
  }
  const unit = "ms", room = right - pen.measureText(unit).width - 6;
  for (const value of x.values) {
    const text = tickText(value, x.step, Math.max(Math.abs(a), Math.abs(b), 1)), half = pen.measureText(text).width / 2;
    line(pen, toX(value), BOX.top, toX(value), bottom);
    pen.textAlign = "center";
    if (toX(value) + half < room) pen.fillText(text, toX(value), bottom + 10);
  }
  pen.textAlign = "right";
  pen.fillText(unit, right, bottom + 10);
  pen.strokeStyle = style.line;
  line(pen, BOX.left, bottom, right, bottom);
  line(pen, BOX.left, BOX.top, BOX.left, bottom);
}

function line(pen, x0, y0, x1, y1) {
  pen.beginPath();
  pen.moveTo(Math.round(x0) + 0.5, Math.round(y0) + 0.5);
  pen.lineTo(Math.round(x1) + 0.5, Math.round(y1) + 0.5);
  pen.stroke();
}

function drawStrip() {
  const { pen, width, height } = prepare($("strip")), all = whole(), [a, b] = stretch();
  const name = (variables.find(v => v.name === "V") ?? variables[0]).name;
  const mode = state.mode === "beats" ? "beats" : "time", found = heights(name, all, width, mode);
  if (!found) return;
  const toX = t => (t - all[0]) / (all[1] - all[0]) * width;
  const toY = y => height - 1 - (y - found[0]) / (found[1] - found[0]) * (height - 2);
  drawCurves(name, pen, toX, toY, all, mode, 1);
  if (a > all[0] || b < all[1]) {
    pen.fillStyle = style.page;
    pen.globalAlpha = 0.65;
    pen.fillRect(0, 0, toX(a), height);
    pen.fillRect(toX(b), 0, width - toX(b), height);
    pen.globalAlpha = 1;
  }
  pen.strokeStyle = style.accent;
  pen.strokeRect(Math.max(0, toX(a)) + 0.5, 0.5, Math.max(2, Math.min(width, toX(b)) - Math.max(0, toX(a)) - 1), height - 1);
}

/** What stands in a panel's head: the values at the pointer, or how the quantity drifts. */
function read(panel) {
  const name = panel.variable.name, texts = [];
  for (const [trace, column, k] of curvesOf(name)) {
    let text = "";
    if (state.mode === "envelope") {
      const all = envelope(k, name), beat = hover === null ? null : all.find(e => e.begin <= hover && hover < e.end);
      const d = driftOf(all);
      if (beat) text = `${valueText(beat.low)} \u2026 ${valueText(beat.high)}`;
      else if (hover === null && !Number.isNaN(d)) text = `drift ${+(100 * d).toPrecision(2)} %`;
    } else if (hover !== null) {
      const pieces = piecesOf(trace, [hover, hover]).filter(p => p.end > p.begin), piece = pieces[pieces.length - 1];
      const t = piece ? hover + piece.shift : NaN, { time } = trace;
      if (t >= time[0] && t <= time[time.length - 1]) {
        const row = nearestRow(time, t);
        text = valueText(column.middle + column.values[row]);
      }
    }
    if (text) {
      const span = document.createElement("span");
      span.textContent = text;
      span.style.color = style.colours[k % COLOURS];
      texts.push(span);
    }
  }
  panel.values.replaceChildren(...texts);
}

let asked = false;
function schedule() {
  if (asked) return;
  asked = true;
  requestAnimationFrame(() => {
    asked = false;
    const range = stretch();
    for (const panel of panels) {
      if (panel.article.isConnected && panel.inView) { drawPanel(panel, range); read(panel); }
    }
    drawStrip();
    const digits = Math.max(0, 3 - Math.floor(Math.log10(range[1] - range[0])));
    const text = t => minus(String(+t.toFixed(Math.min(6, digits))));
    const told = hover === null ? `${text(range[0])} to ${text(range[1])} ms` : `${text(hover)} ms`;
    $("now").textContent = state.mode === "beats" ? `${told} after upstroke` : told;
  });
}
