"use strict";
/* Everything that is computed; nothing here knows of the page. A trace is {name, words, time, beats, columns}; a column
   is {middle, values}: the value of row i is middle + values[i], NaN where there is none. */

function bytesOf(text) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(text).buffer;
  const letters = atob(text), bytes = new Uint8Array(letters.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = letters.charCodeAt(i);
  return bytes.buffer;
}

/** Decoded when it is first looked at. */
class Column {
  #packed; #values = null;
  constructor([middle, packed]) { this.middle = middle; this.#packed = packed; }
  get values() { return this.#values ??= new Float32Array(bytesOf(this.#packed)); }
}

function traceOf(packed) {
  const columns = new Map(Object.entries(packed.columns).map(([name, column]) => [name, new Column(column)]));
  return { name: packed.name, words: packed.words, beats: packed.beats, columns,
           time: new Float64Array(bytesOf(packed.time)) };
}

/** The first row whose time is not before t. */
function rowAt(time, t) {
  let low = 0, high = time.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (time[middle] < t) low = middle + 1; else high = middle;
  }
  return low;
}

/** The row nearest to t. */
function nearestRow(time, t) {
  const k = rowAt(time, t);
  if (k === time.length) return k - 1;
  return k > 0 && t - time[k - 1] < time[k] - t ? k - 1 : k;
}

/** [begin, end) of the rows that a window from a to b needs: those in it and one on either side. */
function rowsIn(time, a, b) {
  return [Math.max(0, rowAt(time, a) - 1), Math.min(time.length, rowAt(time, b) + 1)];
}

/** Smallest and largest value of rows, [Infinity, -Infinity] where there is none. */
function extent(column, begin, end) {
  let low = Infinity, high = -Infinity;
  const values = column.values;
  for (let i = begin; i < end; i++) {
    const v = values[i];
    if (v < low) low = v;
    if (v > high) high = v;
  }
  return [column.middle + low, column.middle + high];
}

const STEP = 16;

/** Of each STEP rows two: the smallest and the largest value, in the order in which they come; their times. */
function coarse(trace, column) {
  const n = trace.time.length, blocks = Math.ceil(n / STEP), { values } = column;
  trace.coarseTime ??= Float64Array.from({ length: 2 * blocks }, (_, k) =>
    trace.time[Math.min(n - 1, (k >> 1) * STEP + (k & 1) * (STEP >> 1))]);
  if (!column.coarse) {
    column.coarse = new Float32Array(2 * blocks).fill(NaN);
    for (let block = 0; block < blocks; block++) {
      let low = -1, high = -1;
      for (let i = block * STEP; i < Math.min(n, (block + 1) * STEP); i++) {
        const v = values[i];
        if (v !== v) continue;
        if (low < 0 || v < values[low]) low = i;
        if (high < 0 || v > values[high]) high = i;
      }
      if (low < 0) continue;
      column.coarse[2 * block] = values[Math.min(low, high)];
      column.coarse[2 * block + 1] = values[Math.max(low, high)];
    }
  }
  return { time: trace.coarseTime, column: { middle: column.middle, values: column.coarse } };
}

/** The rows [begin, end) as so many pixels can show them: themselves, or the coarse ones where they are plenty. */
function rowsFor(trace, column, begin, end, pixels) {
  if (end - begin < STEP * pixels) return { time: trace.time, column, begin, end };
  return { ...coarse(trace, column), begin: 2 * Math.floor(begin / STEP), end: 2 * Math.ceil(end / STEP) };
}

/**
 * A curve for the screen: no more than first, lowest, highest and last value of each pixel, whatever the number of rows.
 * moveTo and lineTo take x in pixels and y in the column's unit; where rows are missing the curve is broken.
 */
function traceCurve(time, column, begin, end, toX, moveTo, lineTo) {
  const { middle, values } = column;
  let pen = false, pixel = NaN, x = 0, first = 0, low = 0, high = 0, last = 0, lastX = 0;
  const flush = () => {
    if (low < Math.min(first, last)) lineTo(x, low + middle);
    if (high > Math.max(first, last)) lineTo(x, high + middle);
    if (lastX > x) lineTo(lastX, last + middle);
  };
  for (let i = begin; i < end; i++) {
    const v = values[i];
    if (v !== v) {
      if (pen) flush();
      pen = false;
      continue;
    }
    const at = toX(time[i]), here = Math.floor(at);
    if (pen && here === pixel) {
      if (v < low) low = v;
      if (v > high) high = v;
      last = v;
      lastX = at;
      continue;
    }
    if (pen) flush();
    (pen ? lineTo : moveTo)(at, v + middle);
    pen = true;
    pixel = here; x = lastX = at; first = low = high = last = v;
  }
  if (pen) flush();
}

/** The beats of a trace: begin and end, and whether it is whole. The last one ends where the one before it would have. */
function beatsOf(trace) {
  const { beats, time } = trace, end = time[time.length - 1];
  return beats.map((begin, k) => {
    if (k + 1 < beats.length) return { begin, end: beats[k + 1], whole: true };
    const length = k > 0 ? begin - beats[k - 1] : end - begin;
    return { begin, end: Math.min(end, begin + length), whole: k === 0 || end - begin > 0.95 * length };
  });
}

/** Smallest and largest value of each whole beat. */
function envelopeOf(trace, column) {
  return beatsOf(trace).filter(beat => beat.whole).map(({ begin, end }) => {
    const [low, high] = extent(column, rowAt(trace.time, begin), rowAt(trace.time, end));
    return { begin, end, low, high };
  });
}

/** How much the last beat's extremes differ from those before, as a share of its range; NaN with fewer than two. */
function driftOf(envelope) {
  const n = envelope.length;
  if (n < 2) return NaN;
  const last = envelope[n - 1], before = envelope[n - 2];
  const change = Math.max(Math.abs(last.low - before.low), Math.abs(last.high - before.high));
  return change === 0 ? 0 : change / (last.high - last.low);
}

/** Which beats of n are drawn over each other: all, or so many from the first to the last. */
function chosenBeats(n, most = 40) {
  if (n <= most) return Array.from({ length: n }, (_, k) => k);
  return Array.from({ length: most }, (_, k) => Math.round(k * (n - 1) / (most - 1)));
}

/** Round numbers from low to high, about so many. */
function ticks(low, high, about) {
  const span = high - low;
  if (!(span > 0) || !isFinite(span)) return { step: 1, values: [] };
  const rough = span / about, power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].find(m => m * power >= 0.7 * rough) * power;
  const values = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + 1e-9 * step; k++) values.push(k * step);
  return { step, values };
}

/** A tick's text: with as many digits as the step needs. */
function tickText(value, step, largest) {
  if (Math.abs(value) < step * 1e-6) return "0";
  if (largest >= 1e5 || largest < 1e-2) {
    const digits = Math.floor(Math.log10(Math.abs(value)) + 1e-9) - Math.floor(Math.log10(step) + 1e-9);
    return minus(value.toExponential(Math.max(0, Math.min(12, digits))));
  }
  return minus(value.toFixed(Math.max(0, -Math.floor(Math.log10(step) + 1e-9))));
}

function minus(text) {
  return text.replace("e+", "e").replaceAll("-", "\u2212");
}

/** A value to be read: five digits. */
function valueText(value) {
  if (!isFinite(value)) return "\u2013";
  const size = Math.abs(value);
  return minus(size !== 0 && (size < 1e-3 || size >= 1e5) ? value.toExponential(3) : String(+value.toPrecision(5)));
}

/** Whether a name fits what is searched: any of the words, in upper or lower case. */
function fits(name, search) {
  const words = search.toLowerCase().split(/[\s,;]+/).filter(Boolean);
  return !words.length || words.some(word => name.toLowerCase().includes(word));
}
