"use strict";
// What WebGL 2 draws: triangles by node, rods and balls as squares that face the viewer, fibres as lines.

const AMBIENT = 0.75, THINNEST = 0.8;           // as in output/raster.py

const SHADE = `#version 300 es
precision highp float;
uniform sampler2D colours; uniform float low, high, levelStep; uniform vec4 cut;
vec3 colourOf(float v) { return texture(colours, vec2(clamp((v - low) / (high - low), 0.001, 0.999), 0.5)).rgb; }
vec3 lined(vec3 rgb, float t) {
  float s = t / levelStep, w = max(fwidth(s), 1e-6), d = abs(fract(s + 0.5) - 0.5);
  float tone = (rgb.r + rgb.g + rgb.b) / 3.0 < 0.33 ? 1.0 : 0.0;
  return mix(rgb, vec3(tone), 1.0 - smoothstep(0.5 * w, 1.3 * w, d));
}
`;

const SURFACE = [`#version 300 es
in vec3 p; in float v, t;
uniform mat3 turn; uniform vec3 view, shift;
out vec3 eye, at; out float value, none, time, late;
void main() {
  eye = turn * p; at = p;
  none = v > 0.999992 ? 1.0 : 0.0; value = v;
  late = t != t ? 1.0 : 0.0; time = late > 0.0 ? 0.0 : t;
  gl_Position = vec4(eye.xy * view.xy + shift.xy, -eye.z * view.z, 1.0);
}`, SHADE + `
in vec3 eye, at; in float value, none, time, late;
out vec4 rgba;
void main() {
  vec3 normal = normalize(cross(dFdx(eye), dFdy(eye)));
  float light = ${AMBIENT} + ${(1 - AMBIENT).toFixed(2)} * abs(normal.z);
  vec3 rgb = none > 0.001 ? vec3(0.78) : colourOf(value);
  if (levelStep > 0.0) { vec3 with = lined(rgb, time); if (late < 0.001) rgb = with; }
  if (dot(cut.xyz, at) > cut.w) discard;
  rgba = vec4(rgb * light, 1.0);
}`];

const RODS = [`#version 300 es
in vec3 a, b; in vec4 thick; in vec2 v;
uniform mat3 turn; uniform vec3 view, shift; uniform float least;
out vec2 q; flat out vec3 ea, eb, pa, pb; flat out vec4 size; flat out vec2 ends;
void main() {
  ea = turn * a; eb = turn * b; pa = a; pb = b; ends = v;
  size.xy = max(thick.xy, vec2(least));
  size.z = thick.x < least ? least : thick.z;
  size.w = thick.y < least ? least : thick.w;
  vec2 along = eb.xy - ea.xy;
  along = length(along) > 1e-9 ? normalize(along) : vec2(1.0, 0.0);
  float reach = max(size.x, size.y);
  bool far = gl_VertexID > 1;
  float side = (gl_VertexID & 1) == 1 ? 1.0 : -1.0;
  q = (far ? eb.xy + reach * along : ea.xy - reach * along) + side * reach * vec2(-along.y, along.x);
  gl_Position = vec4(q * view.xy + shift.xy, 0.0, 1.0);
}`, SHADE + `
in vec2 q; flat in vec3 ea, eb, pa, pb; flat in vec4 size; flat in vec2 ends;
uniform vec3 view;
out vec4 rgba;
void main() {
  vec2 d = eb.xy - ea.xy;
  float free = dot(q - ea.xy, d) / max(dot(d, d), 1e-12), along = clamp(free, 0.0, 1.0);
  float off = length(q - ea.xy - along * d), r = mix(size.x, size.y, along);
  float end = free < 0.0 ? size.z : free > 1.0 ? size.w : 1e9;
  if (off > min(r, end) || dot(cut.xyz, mix(pa, pb, along)) > cut.w) discard;
  float rise = sqrt(max(0.0, 1.0 - off * off / (r * r)));
  bool none = max(ends.x, ends.y) > 0.999992;
  vec3 rgb = none ? vec3(0.78) : colourOf(mix(ends.x, ends.y, along));
  rgba = vec4(rgb * (${AMBIENT} + ${(1 - AMBIENT).toFixed(2)} * rise), 1.0);
  gl_FragDepth = 0.5 - 0.5 * (mix(ea.z, eb.z, along) + rise * r) * view.z;
}`];

const LINES = [`#version 300 es
in vec3 p;
uniform mat3 turn; uniform vec3 view, shift;
out vec3 at;
void main() {
  vec3 eye = turn * p; at = p;
  gl_Position = vec4(eye.xy * view.xy + shift.xy, -eye.z * view.z - 0.004, 1.0);
}`, SHADE + `
in vec3 at; out vec4 rgba;
void main() { if (dot(cut.xyz, at) > cut.w) discard; rgba = vec4(0.0, 0.0, 0.0, 0.55); }`];

class Drawing {
  constructor(canvas, scene) {
    const gl = canvas.getContext("webgl2", {antialias: true, alpha: false});
    if (!gl) throw new Error("This browser has no WebGL 2, which draws the picture. Any browser since 2021 has it; where "
      + "it is switched off, about:gpu or chrome://gpu says why.");
    this.gl = gl; this.canvas = canvas; this.scene = scene;
    gl.enable(gl.DEPTH_TEST);
    this.colours = this.texture(scene.colours);
    this.parts = [];
    if (scene.triangles.length) this.surface();
    if (scene.rods.length) this.rods();
    if (scene.fibres) this.fibres();
  }

  texture(stops) {
    const gl = this.gl, bytes = new Uint8Array(256 * 4);
    for (let k = 0; k < 256; k++) bytes.set([...colourAt(stops, k / 255), 255], 4 * k);
    gl.bindTexture(gl.TEXTURE_2D, gl.createTexture());
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, 256, 1, 0, gl.RGBA, gl.UNSIGNED_BYTE, bytes);
    for (const side of [gl.TEXTURE_WRAP_S, gl.TEXTURE_WRAP_T]) gl.texParameteri(gl.TEXTURE_2D, side, gl.CLAMP_TO_EDGE);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, gl.LINEAR);
  }

  part(sources) {
    const gl = this.gl, program = gl.createProgram();
    sources.forEach((source, k) => {
      const shader = gl.createShader(k ? gl.FRAGMENT_SHADER : gl.VERTEX_SHADER);
      gl.shaderSource(shader, source);
      gl.compileShader(shader);
      if (!gl.getShaderParameter(shader, gl.COMPILE_STATUS)) throw new Error(gl.getShaderInfoLog(shader));
      gl.attachShader(program, shader);
    });
    gl.linkProgram(program);
    if (!gl.getProgramParameter(program, gl.LINK_STATUS)) throw new Error(gl.getProgramInfoLog(program));
    const part = {program, vao: gl.createVertexArray(), place: name => gl.getUniformLocation(program, name)};
    gl.bindVertexArray(part.vao);
    this.parts.push(part);
    return part;
  }

  attribute(part, name, data, size, type, normalized, each) {
    const gl = this.gl, at = gl.getAttribLocation(part.program, name), buffer = gl.createBuffer();
    gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
    gl.bufferData(gl.ARRAY_BUFFER, data, name === "v" ? gl.DYNAMIC_DRAW : gl.STATIC_DRAW);
    gl.enableVertexAttribArray(at);
    gl.vertexAttribPointer(at, size, type, normalized, 0, 0);
    if (each) gl.vertexAttribDivisor(at, 1);
    return buffer;
  }

  surface() {
    const gl = this.gl, scene = this.scene, n = scene.points.length / 3, part = this.part(SURFACE);
    this.attribute(part, "p", scene.points, 3, gl.FLOAT);
    this.attribute(part, "t", scene.activation || new Float32Array(n).fill(NaN), 1, gl.FLOAT);
    const values = this.attribute(part, "v", new Uint16Array(n), 1, gl.UNSIGNED_SHORT, true);
    gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, gl.createBuffer());
    gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, scene.triangles, gl.STATIC_DRAW);
    part.set = frame => { gl.bindBuffer(gl.ARRAY_BUFFER, values); gl.bufferSubData(gl.ARRAY_BUFFER, 0, frame); };
    part.draw = () => gl.drawElements(gl.TRIANGLES, scene.triangles.length, gl.UNSIGNED_INT, 0);
  }

  rods() {
    const gl = this.gl, {points, rods, thick} = this.scene, count = rods.length / 2, part = this.part(RODS);
    const end = k => Float32Array.from({length: 3 * count}, (_, i) => points[3 * rods[2 * Math.floor(i / 3) + k] + i % 3]);
    this.attribute(part, "a", end(0), 3, gl.FLOAT, false, true);
    this.attribute(part, "b", end(1), 3, gl.FLOAT, false, true);
    this.attribute(part, "thick", thick, 4, gl.FLOAT, false, true);
    const both = new Uint16Array(2 * count);
    const values = this.attribute(part, "v", both, 2, gl.UNSIGNED_SHORT, true, true);
    part.set = frame => {
      for (let k = 0; k < both.length; k++) both[k] = frame[rods[k]];
      gl.bindBuffer(gl.ARRAY_BUFFER, values); gl.bufferSubData(gl.ARRAY_BUFFER, 0, both);
    };
    part.draw = () => gl.drawArraysInstanced(gl.TRIANGLE_STRIP, 0, 4, count);
  }

  fibres() {
    const gl = this.gl, part = this.part(LINES);
    this.attribute(part, "p", this.scene.fibres, 3, gl.FLOAT);
    part.set = () => {};
    part.draw = look => {
      if (!look.fibres) return;
      gl.enable(gl.BLEND); gl.blendFunc(gl.SRC_ALPHA, gl.ONE_MINUS_SRC_ALPHA);
      gl.drawArrays(gl.LINES, 0, this.scene.fibres.length / 3);
      gl.disable(gl.BLEND);
    };
  }

  frame(values) { for (const part of this.parts) { this.gl.bindVertexArray(part.vao); part.set(values); } }

  // look: turn (3 rows), mm (per pixel), shift (pixels), cut (normal and distance), low, high (0 to 1), step, fibres
  draw(look) {
    const gl = this.gl, ratio = window.devicePixelRatio || 1, {clientWidth: w, clientHeight: h} = this.canvas;
    if (this.canvas.width !== Math.round(w * ratio)) this.canvas.width = Math.round(w * ratio);
    if (this.canvas.height !== Math.round(h * ratio)) this.canvas.height = Math.round(h * ratio);
    gl.viewport(0, 0, this.canvas.width, this.canvas.height);
    gl.clearColor(1, 1, 1, 1);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    for (const part of this.parts) {
      gl.useProgram(part.program);
      gl.bindVertexArray(part.vao);
      gl.uniformMatrix3fv(part.place("turn"), true, look.turn);
      gl.uniform3f(part.place("view"), 2 / (look.mm * w), 2 / (look.mm * h), 0.9 / this.scene.radius);
      gl.uniform3f(part.place("shift"), 2 * look.shift[0] / w, -2 * look.shift[1] / h, 0);
      gl.uniform4fv(part.place("cut"), look.cut);
      gl.uniform1f(part.place("low"), look.low);
      gl.uniform1f(part.place("high"), look.high);
      gl.uniform1f(part.place("levelStep"), look.step);
      gl.uniform1f(part.place("least"), THINNEST * look.mm);
      part.draw(look);
    }
  }
}

function colourAt(stops, s) {
  const x = s * (stops.length - 1), k = Math.min(Math.floor(x), stops.length - 2), w = x - k;
  const rgb = stop => [0, 2, 4].map(i => parseInt(stop.slice(i, i + 2), 16));
  const a = rgb(stops[k]), b = rgb(stops[k + 1]);
  return a.map((c, i) => Math.round(c + w * (b[i] - c)));
}
