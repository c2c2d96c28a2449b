// The lens: one frame, one layer, and what it did under the mouse.
//   1 the kernel is asked for a layer of a frame; what came is kept here, not in the notebook
//   2 the stage shows the picture and, over it, what belongs to the place pointed at
//   3 beside it: the parts (kernels, heads, joints), each a small picture that can be chosen
const MORE = "#7b4dc4", LESS = "#a6611a";               // a positive and a negative weight; told apart also by the colour-blind
const HELP = "move the mouse over the picture, or: arrows move the point by one cell · n p next, previous part · home the middle";
const words = name => String(name).replaceAll("_", " ");
const clamp = (v, low, high) => Math.max(low, Math.min(high, v));
const rgb = hex => [1, 3, 5].map(i => parseInt(hex.slice(i, i + 2), 16));

// an array that came as bytes, with its shape; at(i, j, ...) reads it
function tensor(shape, buffer) {
  const data = new Float32Array(buffer), steps = shape.map((_, i) => shape.slice(i + 1).reduce((a, b) => a * b, 1));
  return { shape, data, at: (...index) => data[index.reduce((sum, i, d) => sum + i * steps[d], 0)], part(i) { return tensor(shape.slice(1), data.slice(i * steps[0], (i + 1) * steps[0]).buffer); } };
}

// ---------------------------------------------------------------- drawing
function sized(canvas, width, height) {                  // in CSS pixels; sharp on any screen
  const k = window.devicePixelRatio || 1;
  [canvas.width, canvas.height] = [Math.round(width * k), Math.round(height * k)];
  Object.assign(canvas.style, { width: `${width}px`, height: `${height}px` });
  const ctx = canvas.getContext("2d");
  ctx.setTransform(k, 0, 0, k, 0, 0);
  ctx.imageSmoothingEnabled = false;
  return ctx;
}

function cells(ctx, values, rows, columns, x, y, w, h, full, strength = 1) {   // a matrix as coloured cells: purple above 0, brown below, clear at 0
  for (let i = 0; i < rows; i++)
    for (let j = 0; j < columns; j++) {
      const v = values(i, j);
      if (!(Math.abs(v) > 0)) continue;
      const [r, g, b] = rgb(v > 0 ? MORE : LESS), x0 = Math.round(x + j * w / columns), y0 = Math.round(y + i * h / rows);
      ctx.fillStyle = `rgba(${r},${g},${b},${strength * Math.min(1, Math.abs(v) / full)})`;
      ctx.fillRect(x0, y0, Math.round(x + (j + 1) * w / columns) - x0, Math.round(y + (i + 1) * h / rows) - y0);
    }
}

function outline(ctx, x, y, w, h, width = 2) {           // seen on light and on dark
  for (const [more, colour] of [[2, "rgba(0,0,0,.8)"], [0, "#fff"]]) { ctx.lineWidth = width + more; ctx.strokeStyle = colour; ctx.strokeRect(x, y, w, h); }
}

function dot(ctx, x, y, r, fill, square = false) {
  ctx.beginPath();
  square ? ctx.rect(x - r, y - r, 2 * r, 2 * r) : ctx.arc(x, y, r, 0, 7);
  ctx.fillStyle = fill; ctx.fill();
  ctx.lineWidth = 1.5; ctx.strokeStyle = "#fff"; ctx.stroke();
}

function tag(ctx, text, x, y, align = "left") {
  ctx.font = "600 12px system-ui, sans-serif"; ctx.textAlign = align; ctx.lineJoin = "round";
  ctx.lineWidth = 3; ctx.strokeStyle = "rgba(0,0,0,.75)"; ctx.strokeText(text, x, y); ctx.fillStyle = "#fff"; ctx.fillText(text, x, y);
}

const largest = data => data.reduce((m, v) => Math.max(m, Math.abs(v)), 1e-12);
const percent = v => `${(100 * v).toFixed(v < 0.0995 ? 1 : 0)} %`;

async function bitmap(buffer, width, height) {           // RGB bytes -> something that can be drawn
  const from = new Uint8Array(buffer), to = new ImageData(width, height);
  for (let i = 0, j = 0; j < to.data.length; i += 3, j += 4) to.data.set([from[i], from[i + 1], from[i + 2], 255], j);
  return createImageBitmap(to);
}

// ---------------------------------------------------------------- what each kind of layer shows
// Every kind says: parts (names of the small pictures), place(view) -> what is under the point, stage(ctx, ...), small(ctx, part, ...), below(...), text(...)
const KINDS = {
  kernels: {                                             // involution: a kernel of its own at every pixel
    parts: e => Array.from({ length: e.kernels.shape[0] }, (_, g) => `group ${g + 1}`),
    mean: false,
    grid: e => e.kernels.shape.slice(3),
    value: (e, g, [i, j]) => {                           // eq. (3) again, here: the window of `before` gathered by the kernel
      let sum = 0;
      KINDS.window(e, i, j, (a, b, y, x) => { sum += e.kernels.at(g, a, b, i, j) * e.before.at(g, y, x); });
      return sum;
    },
    stage(ctx, e, s, { cell: [i, j], part }) {
      const [h, w] = e.before.shape.slice(1), K = e.kernels.shape[1], full = largest(KINDS.patch(e, part, i, j));
      for (let a = 0; a < K; a++) for (let b = 0; b < K; b++) {
        const [y, x] = KINDS.tap(e, i, j, a, b);
        cells(ctx, () => e.kernels.at(part, a, b, i, j), 1, 1, x * s / w, y * s / h, s / w, s / h, full, .85);
      }
      const [y, x] = KINDS.tap(e, i, j, 0, 0), [y1, x1] = KINDS.tap(e, i, j, K - 1, K - 1);
      outline(ctx, x * s / w, y * s / h, (x1 - x + 1) * s / w, (y1 - y + 1) * s / h, 1.5);
      outline(ctx, j * e.stride * s / w, i * e.stride * s / h, s / w, s / h);
    },
    small(ctx, e, s, { cell: [i, j], part }) {
      const K = e.kernels.shape[1], full = largest(KINDS.patch(e, part, i, j));
      cells(ctx, (a, b) => e.kernels.at(part, a, b, i, j), K, K, 0, 0, s, s, full);
    },
    caption: (e, view) => KINDS.kernels.value(e, view.part, view.cell).toFixed(2),
    below(make, e, view) {
      const { cell: [i, j], part } = view, K = e.kernels.shape[1], [h, w] = e.before.shape.slice(1), [ho, wo] = e.after.shape.slice(1), s = 132;
      const before = e.before.part(part), after = e.after.part(part), size = largest(before.data);
      make("the map before (mean of the group)", s, s, ctx => { cells(ctx, (y, x) => before.at(y, x), h, w, 0, 0, s, s, size); const [y, x] = KINDS.tap(e, i, j, 0, 0), [y1, x1] = KINDS.tap(e, i, j, K - 1, K - 1); outline(ctx, x * s / w, y * s / h, (x1 - x + 1) * s / w, (y1 - y + 1) * s / h, 1.5); });
      make("kernel × window, summed …", s, s, ctx => { const v = new Float32Array(K * K); KINDS.window(e, i, j, (a, b, y, x) => { v[a * K + b] = e.kernels.at(part, a, b, i, j) * e.before.at(part, y, x); }); cells(ctx, (a, b) => v[a * K + b], K, K, 0, 0, s, s, largest(v)); });
      make(`… is the map after: ${KINDS.kernels.value(e, part, [i, j]).toFixed(2)}`, s, s, ctx => { cells(ctx, (y, x) => after.at(y, x), ho, wo, 0, 0, s, s, largest(after.data)); outline(ctx, j * s / wo, i * s / ho, s / wo, s / ho, 1.5); });
    },
    text: (e, { cell: [i, j], part }) => { const p = KINDS.patch(e, part, i, j); return `row ${i}, column ${j}: kernel of group ${part + 1} from ${Math.min(...p).toFixed(2)} to ${Math.max(...p).toFixed(2)}; gathered ${KINDS.kernels.value(e, part, [i, j]).toFixed(3)}, the layer says ${e.after.at(part, i, j).toFixed(3)}`; },
  },
  tap: (e, i, j, a, b) => { const r = (e.kernels.shape[1] - 1) / 2; return [i * e.stride + (a - r) * e.dilation, j * e.stride + (b - r) * e.dilation]; },
  window: (e, i, j, f) => {                              // the taps that lie on the map; outside it is 0
    const K = e.kernels.shape[1], [h, w] = e.before.shape.slice(1);
    for (let a = 0; a < K; a++) for (let b = 0; b < K; b++) { const [y, x] = KINDS.tap(e, i, j, a, b); if (y >= 0 && x >= 0 && y < h && x < w) f(a, b, y, x); }
  },
  patch: (e, part, i, j) => { const K = e.kernels.shape[1], out = []; for (let a = 0; a < K; a++) for (let b = 0; b < K; b++) out.push(e.kernels.at(part, a, b, i, j)); return out; },

  attention: {                                           // PSTA: where a token looks in its frame, and when
    parts: e => Array.from({ length: (e.space ?? e.time).shape[0] }, (_, h) => `head ${h + 1}`),
    mean: true,
    grid: e => e.grid,
    over: (t, part, f) => part >= 0 ? f(part) : Array.from({ length: t.shape[0] }, (_, h) => f(h)).reduce((a, b) => a + b) / t.shape[0],
    space: (e, part, n, m) => KINDS.attention.over(e.space, part, h => e.space.at(h, n, m)),
    time: (e, part, n, t) => KINDS.attention.over(e.time, part, h => e.time.at(h, n, t)),
    row: (e, part, n) => Array.from({ length: e.space.shape[2] }, (_, m) => KINDS.attention.space(e, part, n, m)),
    stage(ctx, e, s, { cell: [i, j], part }) {
      const [h, w] = e.grid, n = i * w + j;
      if (e.space) { const row = KINDS.attention.row(e, part, n); cells(ctx, (y, x) => row[y * w + x], h, w, 0, 0, s, s, largest(row), .85); }
      outline(ctx, j * s / w, i * s / h, s / w, s / h);
    },
    small(ctx, e, s, { cell: [i, j], part }) {
      const [h, w] = e.grid, n = i * w + j;
      if (e.space) { const row = KINDS.attention.row(e, part, n); cells(ctx, (y, x) => row[y * w + x], h, w, 0, 0, s, s, largest(row)); }
      outline(ctx, j * s / w, i * s / h, s / w, s / h, 1);
    },
    below(make, e, view) { if (e.time) KINDS.strip(make, e, view, view.cell[0] * e.grid[1] + view.cell[1], view.cell, e.grid); },
    text: (e, { cell: [i, j], part, times }) => {
      const w = e.grid[1], n = i * w + j, out = [`token in row ${i}, column ${j}`];
      if (e.space) { const row = KINDS.attention.row(e, part, n), m = row.indexOf(Math.max(...row)); out.push(`looks most at row ${Math.floor(m / w)}, column ${m % w} (${percent(row[m])}; evenly it would be ${percent(1 / row.length)})`); }
      if (e.time) { const all = times.map((_, t) => KINDS.attention.time(e, part, n, t)), t = all.indexOf(Math.max(...all)); out.push(`most at ${Math.round(1000 * (times[t] - times.at(-1)))} ms (${percent(all[t])})`); }
      return out.join("; ");
    },
  },
  strip(make, e, { part, times, thumbs, wide }, n, cell, grid) {   // one bar for each frame that the token may look at
    const all = times.map((_, t) => KINDS.attention.time(e, part, n, t)), s = clamp(Math.floor(wide / times.length) - 4, 30, 64), high = 40, top = Math.max(...all);
    make("when it looks: attention over the frames", (s + 4) * times.length, s + high + 32, (ctx, look) => {
      all.forEach((v, t) => {
        const x = t * (s + 4);
        ctx.fillStyle = MORE; ctx.fillRect(x, 14 + high * (1 - v / top), s, high * v / top);
        ctx.fillStyle = look.ink; ctx.font = "11px system-ui, sans-serif"; ctx.textAlign = "center";
        ctx.fillText(percent(v), x + s / 2, 11 + high * (1 - v / top));
        ctx.drawImage(thumbs[t], x, high + 16, s, s);
        if (cell) outline(ctx, x + cell[1] * s / grid[1], high + 16 + cell[0] * s / grid[0], s / grid[1], s / grid[0], 1);
        ctx.fillStyle = look.ink; ctx.fillText(`${Math.round(1000 * (times[t] - times.at(-1)))} ms`, x + s / 2, high + s + 29);
      });
    });
  },

  maps: {                                                // a prediction block: where each joint may be
    parts: e => e.names.map(words),
    mean: false,
    grid: e => e.maps.shape.slice(1),
    stage(ctx, e, s, { part }) {
      const map = e.maps.part(part), [h, w] = map.shape, x = e.keypoints.at(part, 0) * s, y = e.keypoints.at(part, 1) * s;
      cells(ctx, (i, j) => map.at(i, j), h, w, 0, 0, s, s, largest(map.data), .9);
      dot(ctx, x, y, 5, MORE);
      tag(ctx, words(e.names[part]), clamp(x + 10, 4, s - 90), clamp(y - 8, 14, s - 6));
    },
    small(ctx, e, s, { part, picture }) {
      ctx.globalAlpha = .45; ctx.drawImage(picture, 0, 0, s, s); ctx.globalAlpha = 1;
      const map = e.maps.part(part), [h, w] = map.shape;
      cells(ctx, (i, j) => map.at(i, j), h, w, 0, 0, s, s, largest(map.data), .95);
    },
    below() {},
    text: (e, { cell: [i, j], part }) => {
      const map = e.maps.part(part), here = e.names.map((n, k) => [e.maps.at(k, i, j), n]).sort((a, b) => b[0] - a[0])[0];
      return `${words(e.names[part])} at ${Math.round(100 * e.keypoints.at(part, 0))} %, ${Math.round(100 * e.keypoints.at(part, 1))} % of the picture, its fullest cell ${percent(largest(map.data))}; row ${i}, column ${j} under the point: ${percent(map.at(i, j))} for this joint, the most for the ${words(here[1])} (${percent(here[0])})`;
    },
  },

  nodes: {                                               // a graph: whom a node hears, and how strongly
    parts: e => e.weights.shape[0] > 1 ? Array.from({ length: e.weights.shape[0] }, (_, h) => `head ${h + 1}`) : [],
    mean: true,
    grid: () => [40, 40],
    weight: (e, part, i, j) => KINDS.attention.over(e.weights, part, h => e.weights.at(h, i, j)),
    node: (e, [x, y]) => { let best = 0; e.to.forEach((_, i) => { const d = k => (e.at_to.at(k, 0) - x) ** 2 + (e.at_to.at(k, 1) - y) ** 2; if (d(i) < d(best)) best = i; }); return best; },
    stage(ctx, e, s, { node, part }) {
      const to = i => [e.at_to.at(i, 0) * s, e.at_to.at(i, 1) * s], of = i => [e.at_of.at(i, 0) * s, e.at_of.at(i, 1) * s], coarse = e.to.length !== e.of.length;
      ctx.lineCap = "round";
      for (const [i, j] of e.edges) { ctx.lineWidth = 1.5; ctx.strokeStyle = "rgba(0,0,0,.55)"; ctx.beginPath(); ctx.moveTo(...of(i)); ctx.lineTo(...of(j)); ctx.stroke(); }
      const row = e.of.map((_, j) => KINDS.nodes.weight(e, part, node, j)), full = largest(row);
      row.map((v, j) => [Math.abs(v), j]).sort((a, b) => a[0] - b[0]).forEach(([, j]) => {
        const v = row[j];
        ctx.globalAlpha = .15 + .85 * Math.abs(v) / full; ctx.lineWidth = 1 + 7 * Math.abs(v) / full; ctx.strokeStyle = v > 0 ? MORE : LESS;
        ctx.beginPath(); ctx.moveTo(...of(j)); ctx.lineTo(...to(node)); ctx.stroke();
      });
      ctx.globalAlpha = 1;
      row.forEach((v, j) => dot(ctx, ...of(j), 3 + 6 * Math.abs(v) / full, Math.abs(v) < .02 * full ? "#777" : v > 0 ? MORE : LESS));
      if (coarse) e.to.forEach((_, i) => dot(ctx, ...to(i), 5, i === node ? "#111" : "#777", true));
      const [x, y] = to(node);
      for (const [width, colour] of [[4, "rgba(0,0,0,.7)"], [2, "#fff"]]) { ctx.lineWidth = width; ctx.strokeStyle = colour; ctx.beginPath(); ctx.arc(x, y, 11, 0, 7); ctx.stroke(); }
      tag(ctx, words(e.to[node]), clamp(x + 14, 4, s - 100), clamp(y - 10, 14, s - 6));
    },
    small(ctx, e, s, { part, node }) {
      cells(ctx, (i, j) => KINDS.nodes.weight(e, part, i, j), e.to.length, e.of.length, 0, 0, s, s, largest(e.weights.data));
      outline(ctx, 0, node * s / e.to.length, s, s / e.to.length, 1);
    },
    below(make, e, view) {
      const { part, node } = view, side = Math.min(19, Math.max(15, 260 / e.of.length)), left = 104, top = 92, w = side * e.of.length, h = side * e.to.length;
      make("who (row) hears whom (column)", left + w + 4, top + h + 4, (ctx, look) => {
        const full = largest(e.weights.data);
        cells(ctx, (i, j) => KINDS.nodes.weight(e, part, i, j), e.to.length, e.of.length, left, top, w, h, full);
        ctx.font = "11px system-ui, sans-serif"; ctx.fillStyle = look.ink; ctx.textBaseline = "middle";
        e.to.forEach((n, i) => { ctx.textAlign = "right"; ctx.font = `${i === node ? "700 " : ""}11px system-ui, sans-serif`; ctx.fillText(words(n), left - 5, top + (i + .5) * side); });
        ctx.font = "11px system-ui, sans-serif";
        e.of.forEach((n, j) => { ctx.save(); ctx.translate(left + (j + .5) * side, top - 5); ctx.rotate(-Math.PI / 2); ctx.textAlign = "left"; ctx.fillText(words(n), 0, 0); ctx.restore(); });
        ctx.textBaseline = "alphabetic";
        ctx.lineWidth = 1; ctx.strokeStyle = look.rule; ctx.strokeRect(left + .5, top + .5, w, h);
        outline(ctx, left, top + node * side, w, side, 1.5);
      });
      if (e.time) KINDS.strip(make, e, view, node);
    },
    text: (e, { part, node }) => {
      const row = e.of.map((n, j) => [KINDS.nodes.weight(e, part, node, j), n]).sort((a, b) => Math.abs(b[0]) - Math.abs(a[0]));
      return `${words(e.to[node])} hears ${row.slice(0, 3).map(([v, n]) => `${words(n)} ${v.toFixed(2)}`).join(", ")}`;
    },
  },
};

// ---------------------------------------------------------------- the widget
function render({ model, el }) {
  let alive = true, shown = null, asking = false, again = false, drawing = 0, told = 0, telling = 0;
  const cleanups = [() => { alive = false; }];
  const listen = (target, event, f) => { target.addEventListener(event, f); cleanups.push(() => target.removeEventListener(event, f)); };
  const watch = (name, f) => { model.on(`change:${name}`, f); cleanups.push(() => model.off(`change:${name}`, f)); };
  const root = element("div", "snl", el, { tabindex: "0", role: "group", "aria-label": "lens: what a layer did", "data-lm-suppress-shortcuts": "true" });
  element("style", "", root, { text: CSS });
  const bar = element("div", "snl-bar", root);
  const select = label => element("select", "snl-select", element("label", "snl-label", bar, { text: `${label} ` }), { "aria-label": label });
  const [groups, layers] = [select("what"), select("layer")];
  element("span", "snl-help", bar, { text: "?", title: HELP, role: "img", "aria-label": `keys: ${HELP}` });
  const row = element("div", "snl-row", root), left = element("div", "snl-left", row), side = element("div", "snl-side", row);
  const stage = element("canvas", "snl-stage", left, { role: "img", "aria-label": "the crop that the network sees, with what belongs to the point" });
  const say = element("div", "snl-say", left, { role: "status", "aria-live": "polite" }), note = element("div", "snl-note", left, { role: "status", text: "waiting for the kernel …" });
  const parts = element("div", "snl-parts", side, { role: "group", "aria-label": "parts" }), below = element("div", "snl-below", side);

  function fill(list, options, value) {
    list.replaceChildren();
    for (const o of options) element("option", "", list, { value: o, text: o });
    list.value = value;
  }
  function dress() {
    const menu = model.get("menu"), group = model.get("group");
    fill(groups, Object.keys(menu), group);
    fill(layers, menu[group] ?? [], model.get("layer"));
  }
  listen(groups, "change", () => { const own = model.get("menu")[groups.value]; model.set({ group: groups.value, layer: own[0], part: -1 }); model.save_changes(); });
  listen(layers, "change", () => { model.set("layer", layers.value); model.save_changes(); });

  // one question at a time: while frames fly by, the last one is asked for when the answer to the one before is here
  async function look() {
    if (asking) { again = true; return; }
    asking = true;
    root.setAttribute("aria-busy", "true");
    const patience = setTimeout(() => { note.hidden = false; note.textContent = "waiting for the kernel … if it was restarted, run this cell again"; }, 15000);
    try {
      do {
        again = false;
        const answer = await ask(model, { want: "layer", frame: model.get("frame"), group: model.get("group"), layer: model.get("layer") });
        if (!alive) return;
        note.hidden = !answer.note;
        note.textContent = answer.note ?? "";
        stage.style.visibility = answer.note ? "hidden" : "";     // never an old frame under a new number
        if (!answer.note) await take(answer);
      } while (again && alive);
    } finally { asking = false; clearTimeout(patience); root.removeAttribute("aria-busy"); }
  }
  async function take({ entry, arrays, picture, thumbs, times, frame, group, layer, buffers }) {
    const e = { ...entry }, [w, h, n] = [picture[1], picture[0], thumbs[0]];
    arrays.forEach(([name, shape], k) => { e[name] = tensor(shape, buffers[k]); });
    const small = new Uint8Array(buffers.at(-1)), each = small.length / n;
    const images = await Promise.all([bitmap(buffers.at(-2), w, h), ...times.map((_, t) => bitmap(small.slice(t * each, (t + 1) * each).buffer, thumbs[2], thumbs[1]))]);
    const old = shown ? [shown.picture, ...shown.thumbs] : [];
    shown = { e, kind: KINDS[e.kind], picture: images[0], thumbs: images.slice(1), times, frame };
    old.forEach(b => b.close());
    root.dataset.shown = `${frame} | ${group} | ${layer}`;
    draw();
  }

  function view() {
    const { e, kind } = shown, [x, y] = model.get("point"), [h, w] = kind.grid(e);
    const names = kind.parts(e), part = clamp(model.get("part"), kind.mean ? -1 : 0, names.length - 1);
    return { ...shown, part, names, wide: side.clientWidth, cell: [clamp(Math.floor(y * h), 0, h - 1), clamp(Math.floor(x * w), 0, w - 1)], node: e.kind === "nodes" ? KINDS.nodes.node(e, [x, y]) : -1 };
  }
  function draw() { if (!drawing) drawing = requestAnimationFrame(() => { drawing = 0; if (alive && shown) paint(); }); }
  function paint() {
    const now = view(), { e, kind, picture, names, part } = now, style = getComputedStyle(root), look = { ink: style.color, rule: style.getPropertyValue("--rule") };
    const s = clamp(left.clientWidth, 200, 440), ctx = sized(stage, s, s);
    ctx.filter = "grayscale(1) contrast(.75) brightness(1.25)";
    ctx.imageSmoothingEnabled = true;
    ctx.drawImage(picture, 0, 0, s, s);
    ctx.filter = "none";
    ctx.imageSmoothingEnabled = false;
    kind.stage(ctx, e, s, now);
    const offered = names.length ? [...(kind.mean ? [[-1, "mean"]] : []), ...names.map((n, k) => [k, n])] : [], small = offered.length > 9 ? 62 : 78;
    if (parts.children.length !== offered.length || parts.dataset.kind !== e.kind) {
      parts.replaceChildren();
      parts.dataset.kind = e.kind;
      for (const [k] of offered) {
        const b = element("button", "snl-part", parts, { type: "button" });
        element("canvas", "", b); element("span", "", b);
        b.onclick = () => { model.set("part", k); model.save_changes(); };
      }
    }
    offered.forEach(([k, name], i) => {
      const b = parts.children[i], own = kind.caption ? `${name}: ${kind.caption(e, { ...now, part: k })}` : name;
      b.setAttribute("aria-pressed", String(k === part));
      b.lastChild.textContent = own;
      kind.small(sized(b.firstChild, small, small), e, small, { ...now, part: k });
    });
    const before = [...below.children];
    let used = 0;
    kind.below((title, w, h, f) => {
      const box = before[used] ?? element("figure", "snl-figure", below);
      if (!box.firstChild) { element("figcaption", "", box); element("canvas", "", box, { role: "img" }); }
      box.firstChild.textContent = title;
      box.lastChild.setAttribute("aria-label", title);
      f(sized(box.lastChild, w, h), look);
      used++;
    }, e, now);
    before.slice(used).forEach(b => b.remove());
    clearTimeout(telling);
    telling = setTimeout(() => { say.textContent = kind.text(e, now); }, 100);   // a screen reader is told where the point rests, not every pixel of the way
  }

    function point(x, y) {
    model.set("point", [clamp(x, 0, .9999), clamp(y, 0, .9999)]);
    clearTimeout(told);
    told = setTimeout(() => model.save_changes(), 120);   // the kernel hears where the mouse came to rest
    draw();
  }
  const follow = e => { const box = stage.getBoundingClientRect(); point((e.clientX - box.left) / box.width, (e.clientY - box.top) / box.height); };
  listen(stage, "pointerdown", e => { root.focus({ preventScroll: true }); follow(e); });
  listen(stage, "pointermove", follow);
  const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  listen(root, "keydown", e => {
    if (!shown || e.ctrlKey || e.metaKey || e.altKey || e.target.tagName === "SELECT") return;
    const { cell: [i, j], part, names, kind, e: layer } = { ...view(), e: shown.e };
    if (ARROWS[e.key]) {
      const [h, w] = kind.grid(layer), [dx, dy] = ARROWS[e.key];
      if (layer.kind === "nodes") {                       // from node to node, as the list says
        const k = clamp(view().node + dx + dy, 0, layer.to.length - 1);
        point(layer.at_to.at(k, 0), layer.at_to.at(k, 1));
      } else point((j + .5 + dx) / w, (i + .5 + dy) / h);
    } else if (e.key === "n" || e.key === "p") { model.set("part", clamp(part + (e.key === "n" ? 1 : -1), kind.mean ? -1 : 0, names.length - 1)); model.save_changes(); }
    else if (e.key === "Home") point(.5, .5);
    else return;
    e.preventDefault();
    e.stopPropagation();
  });
  watch("frame", look);
  watch("menu", dress);
  let due = false;
  const soon = () => { dress(); if (!due) { due = true; queueMicrotask(() => { due = false; look(); }); } };   // group and layer change together: one question
  watch("group", soon);
  watch("layer", soon);
  watch("part", draw);
  watch("point", draw);
  const resizing = new ResizeObserver(draw), theming = new MutationObserver(() => setTimeout(draw, 50));
  resizing.observe(left);
  theming.observe(document.body, { attributes: true, attributeFilter: ["data-jp-theme-light", "data-jp-theme-name", "class"] });
  cleanups.push(() => resizing.disconnect(), () => theming.disconnect(), () => clearTimeout(told), () => clearTimeout(telling));
  dress();
  look().catch(error => { note.hidden = false; note.textContent = `the lens could not start: ${error.message}`; console.error(error); });
  return () => cleanups.forEach(f => f());
}

const CSS = `
.snl { --ink: var(--jp-ui-font-color1, #1c1f23); --soft: var(--jp-ui-font-color2, #5c636b); --raised: var(--jp-layout-color2, #eef0f2); --rule: var(--jp-border-color2, #d4d8dc); --accent: var(--jp-brand-color1, #1976d2);
  color: var(--ink); font: 13px/1.35 var(--jp-ui-font-family, system-ui, sans-serif); outline: none; min-width: 280px; }
.snl *, .snl *::before { box-sizing: border-box; }
.snl [hidden] { display: none !important; }
.snl-bar { display: flex; flex-wrap: wrap; gap: 4px 14px; align-items: center; margin-bottom: 8px; }
.snl-label { color: var(--soft); }
.snl-select { color: var(--ink); background: var(--raised); border: 1px solid var(--rule); border-radius: 6px; height: 26px; font: inherit; padding: 0 2px; max-width: 260px; }
.snl-help { color: var(--soft); border: 1px solid var(--rule); border-radius: 50%; width: 20px; height: 20px; text-align: center; cursor: help; font-size: 12px; line-height: 18px; margin-left: auto; }
.snl-row { display: flex; flex-wrap: wrap; gap: 14px; align-items: flex-start; }
.snl-left { flex: 1 1 300px; max-width: 440px; min-width: 240px; position: relative; }
.snl-stage { display: block; border-radius: 8px; cursor: crosshair; touch-action: none; }
.snl:focus-visible .snl-stage { box-shadow: 0 0 0 2px var(--accent); }
.snl[aria-busy] .snl-stage { opacity: .75; }
.snl-say { margin-top: 6px; color: var(--ink); font-variant-numeric: tabular-nums; min-height: 3.9em; }
.snl-note { position: absolute; left: 8px; right: 8px; top: 40px; padding: 6px 10px; border-radius: 6px; background: rgba(18,20,24,.85); color: #fff; }
.snl-side { flex: 2 1 380px; min-width: 280px; overflow-x: auto; }
.snl-parts { display: flex; flex-wrap: wrap; gap: 6px; }
.snl-part { border: 1px solid var(--rule); background: none; color: inherit; font: inherit; font-size: 11px; border-radius: 6px; padding: 4px; cursor: pointer; display: flex; flex-direction: column; align-items: center; gap: 3px; font-variant-numeric: tabular-nums; }
.snl-part[aria-pressed="true"] { border-color: var(--accent); box-shadow: 0 0 0 1px var(--accent); font-weight: 600; }
.snl-part:focus-visible, .snl-select:focus-visible { outline: 2px solid var(--accent); outline-offset: 1px; }
.snl-part canvas, .snl-below canvas { background: color-mix(in srgb, var(--raised) 60%, transparent); }
.snl-below { display: flex; flex-wrap: wrap; gap: 10px 16px; margin-top: 10px; }
.snl-figure { margin: 0; width: min-content; }
.snl-figure figcaption { font-size: 12px; color: var(--ink); margin-bottom: 4px; }
`;

export default { render };
