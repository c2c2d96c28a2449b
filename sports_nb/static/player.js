// The player: scrub a clip frame by frame with skeletons over it, without asking the kernel again.
//   1 the kernel is asked once, by custom messages, for the poses and for the proxy video (nothing is stored in the notebook)
//   2 a frame source decodes the proxy around the playhead: WebCodecs, or <video> where WebCodecs is missing
//   3 the stage draws picture and skeletons of one and the same frame
//   4 controls, keyboard, and the cursor in a plotly figure beside the player

// ---------------------------------------------------------------- 1 asking the kernel
async function fetchVideo(model, size, progress, alive) {
  const parts = [];
  for (let got = 0; got < size && alive();) {
    const { buffers } = await ask(model, { want: "video", start: got });
    parts.push(buffers[0]);
    got += buffers[0].byteLength;
    progress(got / size);
  }
  return new Blob(parts, { type: "video/mp4" });
}

// ---------------------------------------------------------------- 2 decoded frames around the playhead
class FrameCache {                                      // target: the frame asked for last; goal: the one being fetched
  constructor(n, capacity, reach, onframe) {
    Object.assign(this, { n, capacity, reach, onframe, frames: new Map(), coming: new Set(), target: 0, goal: 0 });
  }
  get(i) { return this.frames.get(i); }
  want(i) {                                             // a goal underway is finished first, so that a fast drag shows pictures
    this.target = i;
    if (this.frames.has(i) || this.frames.has(this.goal)) this.goal = i;
    this.work();
  }
  missing() {                                           // the goal, then what follows it, then what lies before it
    const absent = i => !this.frames.has(i) && !this.coming.has(i), { goal, reach } = this;
    for (let i = goal; i < Math.min(this.n, goal + reach); i++) if (absent(i)) return i;
    for (let i = goal - 1; i >= Math.max(0, goal - reach); i--) if (absent(i)) return i;
    return null;
  }
  keep(i, frame) {
    if (this.frames.has(i)) { frame.close(); return; }
    this.frames.set(i, frame);
    while (this.frames.size > this.capacity) {          // let go of the frame farthest from the goal
      let far = i;
      for (const k of this.frames.keys()) if (Math.abs(k - this.goal) > Math.abs(far - this.goal)) far = k;
      this.frames.get(far).close();
      this.frames.delete(far);
    }
    if (i !== this.goal) return;
    this.onframe(i);
    if (this.goal === this.target) return;
    this.goal = this.target;
    if (this.frames.has(this.goal)) this.onframe(this.goal);
  }
  close() { for (const f of this.frames.values()) f.close(); this.frames.clear(); }
}

// Each packet carries its frame number as timestamp, so a decoded frame says itself which one it is:
// no seeking by time, nothing to round, variable frame rate and edit lists do not matter.
// Software decoding: hardware decoders lend only a handful of frames, and we hold dozens.
class CodecFrames extends FrameCache {
  static config(video) {
    const description = new Uint8Array(video.extradata);
    const codec = "avc1." + [...description.slice(1, 4)].map(b => b.toString(16).padStart(2, "0")).join("");
    return { codec, description, codedWidth: video.width, codedHeight: video.height,
             optimizeForLatency: true, hardwareAcceleration: "prefer-software" };
  }
  static async make(video, blob, onframe, onfail) {
    if (!("VideoDecoder" in globalThis)) return null;   // older browsers, and pages that are not https or localhost
    const config = CodecFrames.config(video);
    if (!(await VideoDecoder.isConfigSupported(config)).supported) return null;
    const capacity = Math.max(48, Math.min(400, Math.floor(48e6 / (1.5 * video.width * video.height))));
    const self = new CodecFrames(video.n, capacity, Math.floor(capacity / 4), onframe);
    Object.assign(self, { data: await blob.arrayBuffer(), table: video.table, fed: -1, stopped: false });
    self.keyOf = new Int32Array(video.n);
    for (let i = 0; i < video.n; i++) self.keyOf[i] = self.table[3 * i + 2] ? i : self.keyOf[i - 1];
    self.decoder = new VideoDecoder({
      output: frame => {
        self.coming.delete(frame.timestamp);
        if (self.stopped) return frame.close();
        self.keep(frame.timestamp, frame);
        self.work();
      },
      error: e => { if (!self.stopped) onfail(e); },
    });
    self.decoder.configure(config);
    return self;
  }
  work() {
    while (!this.stopped && !this.flushing && this.coming.size < 4) {   // a short queue, so that a jump is served at once
      const wanted = this.missing();
      if (wanted === null) break;
      const key = this.keyOf[wanted];
      this.feed(this.fed >= key && this.fed < wanted ? this.fed + 1 : key);
    }
    clearTimeout(this.timer);
    if (this.coming.size) this.timer = setTimeout(() => this.flush(), 250);
  }
  feed(i) {
    const [start, size, key] = this.table.subarray(3 * i, 3 * i + 3);
    this.decoder.decode(new EncodedVideoChunk({ type: key ? "key" : "delta", timestamp: i, data: new Uint8Array(this.data, start, size) }));
    this.fed = i;
    this.coming.add(i);
  }
  async flush() {                                       // for decoders that hold frames back; a key frame must follow
    if (this.stopped || this.flushing) return;
    this.flushing = true;
    try { await this.decoder.flush(); } catch { return; }
    Object.assign(this, { flushing: false, fed: -1 });
    this.coming.clear();
    if (!this.stopped) this.work();
  }
  close() {
    this.stopped = true;
    clearTimeout(this.timer);
    if (this.decoder.state !== "closed") this.decoder.close();
    super.close();
  }
}

// <video>: seek to the middle of the frame, copy what is shown.
class ElementFrames extends FrameCache {
  static async make(video, blob, onframe, onfail) {
    const self = new ElementFrames(video.n, 32, 6, onframe), v = document.createElement("video");
    Object.assign(self, { video: v, times: video.times, onfail });
    v.muted = true; v.playsInline = true; v.preload = "auto"; v.src = URL.createObjectURL(blob);
    await new Promise((resolve, reject) => { v.onloadeddata = resolve; v.onerror = () => reject(new Error("this browser does not play H.264")); });
    return self;
  }
  async work() {
    if (this.busy) return;
    this.busy = true;
    for (let i; !this.stopped && (i = this.missing()) !== null;) {
      if (!await this.seek(i)) return this.stopped || this.onfail(new Error(`the browser does not show frame ${i}`));
      this.keep(i, await createImageBitmap(this.video));
    }
    this.busy = false;
  }
  async seek(i) {                                       // `seeked` may come before the picture: wait until the frame is presented
    const v = this.video, t = this.times, length = i + 1 < t.length ? t[i + 1] - t[i] : 0.01;
    for (let attempt = 0; attempt < 5 && !this.stopped; attempt++) {
      const presented = new Promise(resolve => {
        const look = (_, { mediaTime }) => Math.abs(mediaTime - t[i]) < length / 2 ? resolve(true) : v.requestVideoFrameCallback?.(look);
        v.requestVideoFrameCallback?.(look);
        setTimeout(resolve, 500, !v.requestVideoFrameCallback);
      });
      const seeked = new Promise(resolve => { v.onseeked = resolve; });
      v.currentTime = t[i] + length / 2;
      await seeked;
      if (await presented) return true;
    }
    return this.stopped;
  }
  close() { this.stopped = true; URL.revokeObjectURL(this.video.src); this.video.removeAttribute("src"); super.close(); }
}

// ---------------------------------------------------------------- 3 drawing
const clamp = (x, low, high) => Math.min(high, Math.max(low, x));
const clock = s => `${Math.floor(s / 60)}:${(s % 60).toFixed(3).padStart(6, "0")}`;

// x, y, confidence of one keypoint; a layer is [lead, time, individual, keypoint, 3] in one float32 buffer
function at(layer, lead, t, person, k) {
  const o = layer.offset + 3 * (((lead * layer.n + t) * layer.individuals + person) * layer.keypoints + k);
  return layer.points.subarray(o, o + 3);
}

function drawSpread(ctx, layer, lead, t, place, look) {   // discs in which each joint lies as often as not
  ctx.fillStyle = ctx.strokeStyle = layer.colour;
  ctx.lineWidth = 1;
  for (let person = 0; person < layer.individuals; person++)
    for (let k = 0; k < layer.keypoints; k++) {
      const r = layer.spreads[layer.spread + ((lead * layer.n + t) * layer.individuals + person) * layer.keypoints + k], [x, y] = at(layer, lead, t, person, k);
      if (!Number.isFinite(r + x + y)) continue;
      ctx.beginPath(); ctx.arc(...place(x, y), r * look.scale, 0, 7);
      ctx.globalAlpha = 0.2; ctx.fill();
      ctx.globalAlpha = 0.6; ctx.stroke();
    }
  ctx.globalAlpha = 1;
}

function drawLayer(ctx, layer, lead, t, place, look) {
  for (let person = 0; person < layer.individuals; person++) {
    const joints = Array.from({ length: layer.keypoints }, (_, k) => {
      const [x, y, c] = at(layer, lead, t, person, k);
      return Number.isFinite(x + y) ? [...place(x, y), Number.isFinite(c) ? 0.12 + 0.88 * clamp(c, 0, 1) : 1] : null;
    });
    const left = k => layer.joints[k].startsWith("left_");   // left limbs are lighter
    const bones = layer.edges.map(([a, b]) => [joints[a], joints[b], left(a) && left(b)]).filter(([a, b]) => a && b);
    ctx.lineCap = "round";
    for (const casing of [true, false]) {               // a pale edge keeps the colour legible on any picture
      ctx.strokeStyle = casing ? look.casing : layer.colour;
      ctx.lineWidth = casing ? look.width + 2 : look.width;
      ctx.setLineDash(layer.dashed ? [2.2 * look.width, 2 * look.width] : []);
      for (const [a, b, left] of bones) {
        if (!casing) ctx.strokeStyle = left ? layer.left_colour : layer.colour;
        ctx.globalAlpha = Math.min(a[2], b[2]) * (casing ? 0.75 : 1);
        ctx.beginPath(); ctx.moveTo(a[0], a[1]); ctx.lineTo(b[0], b[1]); ctx.stroke();
      }
    }
    ctx.setLineDash([]);
    ctx.lineWidth = 1.5;
    for (const j of joints.filter(Boolean)) {
      ctx.globalAlpha = j[2];
      ctx.beginPath(); ctx.arc(j[0], j[1], 0.5 * look.width + 1.4, 0, 7);
      ctx.fillStyle = layer.dashed ? look.casing : layer.colour; ctx.fill();
      ctx.strokeStyle = layer.dashed ? layer.colour : look.casing; ctx.stroke();
    }
    ctx.globalAlpha = 1;
  }
}

function drawTrails(ctx, layer, lead, t, from, place, look) {
  ctx.strokeStyle = layer.colour;
  ctx.lineCap = "round";
  for (let person = 0; person < layer.individuals; person++)
    for (const k of layer.ends)
      for (let s = from + 1; s <= t; s++) {
        const [x0, y0] = at(layer, lead, s - 1, person, k), [x1, y1] = at(layer, lead, s, person, k);
        if (!Number.isFinite(x0 + y0 + x1 + y1)) continue;
        const age = (s - from) / (t - from);
        ctx.globalAlpha = 0.9 * age;
        ctx.lineWidth = look.width * (0.3 + 0.6 * age);
        ctx.beginPath(); ctx.moveTo(...place(x0, y0)); ctx.lineTo(...place(x1, y1)); ctx.stroke();
      }
  ctx.globalAlpha = 1;
}

// an empty court for poses that come without a clip: a floor under the lowest point, and a quiet grid
function drawCourt(ctx, scene, place, colour) {
  const [left, top] = place(scene.x, scene.y), [right, bottom] = place(scene.x + scene.width, scene.y + scene.height);
  ctx.strokeStyle = ctx.fillStyle = colour;
  ctx.lineWidth = 1;
  ctx.globalAlpha = 0.13;
  const step = scene.grid;
  for (let x = Math.ceil(scene.x / step) * step; x < scene.x + scene.width; x += step) {
    const [px] = place(x, 0);
    ctx.beginPath(); ctx.moveTo(px, top); ctx.lineTo(px, bottom); ctx.stroke();
  }
  for (let y = scene.floor; y > scene.y; y -= step) {
    const [, py] = place(0, y);
    ctx.beginPath(); ctx.moveTo(left, py); ctx.lineTo(right, py); ctx.stroke();
  }
  const [, floor] = place(0, scene.floor);
  ctx.globalAlpha = 0.07; ctx.fillRect(left, floor, right - left, bottom - floor);
  ctx.globalAlpha = 0.5; ctx.lineWidth = 1.5;
  ctx.beginPath(); ctx.moveTo(left, floor); ctx.lineTo(right, floor); ctx.stroke();
  ctx.globalAlpha = 0.75; ctx.font = "11px system-ui, sans-serif"; ctx.textAlign = "right";
  ctx.fillText(`grid ${step} ${scene.unit}`, right - 8, bottom - 8);
  ctx.globalAlpha = 1;
}

// ---------------------------------------------------------------- 4 the widget
const ICONS = {
  play: "M4 2.5v11l9-5.5z", pause: "M3.5 2.5h3.2v11H3.5zM9.3 2.5h3.2v11H9.3z",
  back: "M11.5 3v10L5 8zM3.2 3h1.8v10H3.2z", forward: "M4.5 3v10L11 8zM11 3h1.8v10H11z",
  loop: "M4 5h6.5V2.8L14 6l-3.5 3.2V7H5.5v3H4zM12 11H5.5v2.2L2 10l3.5-3.2V9h5V6H12z",
  in: "M7 3h2v4h4v2H9v4H7V9H3V7h4z", out: "M3 7h10v2H3z", fit: "M2 2h5v1.8H3.8V7H2zM9 2h5v5h-1.8V3.8H9zM2 9h1.8v3.2H7V14H2zM12.2 9H14v5H9v-1.8h3.2z",
};
const SPEEDS = [0.1, 0.25, 0.5, 1, 2];
const HELP = "space play · ← → step · shift+← → ten frames · home end · [ ] lead · + − 0 zoom · ctrl+wheel zoom · drag to pan";
const EDIT_HELP = "drag a joint · n p next, previous joint · alt+arrows nudge (shift: ten px) · v visible or hidden · x remove · enter put it in the middle · c copy the frame before · i interpolate the joint (I: all) · b draw a box (B: none) · ctrl+z undo, ctrl+shift+z redo";

async function render({ model, el }) {
  let alive = true;
  const cleanups = [() => { alive = false; }];
  const listen = (target, event, f, options) => { target.addEventListener(event, f, options); cleanups.push(() => target.removeEventListener(event, f, options)); };
  const watch = (name, f) => { model.on(`change:${name}`, f); cleanups.push(() => model.off(`change:${name}`, f)); };

  // data-lm-suppress-shortcuts: JupyterLab leaves our keys to us
  const root = element("div", "snp", el, { tabindex: "0", role: "group", "aria-label": "clip player", "data-lm-suppress-shortcuts": "true" });
  element("style", "", root, { text: CSS + FIGURE_CSS });
  const stage = element("div", "snp-stage", root);
  const note = element("div", "snp-note", stage, { text: "waiting for the kernel …", role: "status" });
  const patience = setTimeout(() => { note.textContent = "waiting for the kernel … if it was restarted, run this cell again"; }, 15000);
  cleanups.push(() => clearTimeout(patience));
  load().catch(e => { note.textContent = `the player could not start: ${e.message}`; console.error(e); });
  return () => cleanups.forEach(f => f());

  async function load() {
    const { buffers, ...data } = await ask(model, { want: "poses" });
    clearTimeout(patience);
    if (!alive) return;
    const points = new Float32Array(buffers[0]), times = new Float64Array(buffers[1]);
    const lost = new Uint8Array(buffers[2]), actions = new Float32Array(buffers[3]);
    const spreads = new Float32Array(buffers[4]);
    const layers = data.layers.map(l => ({ ...l, points, spreads, n: data.n }));
    build({ ...data, times, lost, actions, layers }, data.video && { ...data.video, n: data.n, table: new Int32Array(buffers[5]), extradata: buffers[6], times: new Float64Array(buffers[7]) });
  }

  function build(data, video) {
    const { n, times, scene, layers } = data;
    let target = clamp(model.get("frame"), 0, n - 1), drawn = -1, pictured = -1, source = null, view = { zoom: 1, x: 0, y: 0 };
    const shows = name => model.get("visible").includes(name);

    // ---- stage
    stage.style.aspectRatio = `${scene.width} / ${scene.height}`;
    stage.style.setProperty("--aspect", scene.width / scene.height);
    const picture = element("canvas", "snp-video", stage), overlay = element("canvas", "snp-overlay", stage);
    if (video) [picture.width, picture.height] = [video.width, video.height];
    const pen = picture.getContext("2d", { alpha: false }), ctx = overlay.getContext("2d");
    const hud = element("div", "snp-hud", stage), tip = element("div", "snp-tip", stage, { hidden: "" });
    const alarm = element("div", "snp-lost", stage, { text: "athlete lost: nothing is estimated here" });
    stage.append(note);
    note.hidden = !video;

    const place = (x, y) => {
      const w = stage.clientWidth, h = stage.clientHeight, half = video ? 0.5 : 0;   // keypoints sit on pixel centres
      return [(x - scene.x + half) / scene.width * w * view.zoom + view.x, (y - scene.y + half) / scene.height * h * view.zoom + view.y];
    };

    function paint() {                                  // overlay of the frame that the picture shows
      const w = stage.clientWidth, h = stage.clientHeight, ratio = globalThis.devicePixelRatio || 1;
      if (!w || drawn < 0) return;
      if (overlay.width !== Math.round(w * ratio) || overlay.height !== Math.round(h * ratio)) [overlay.width, overlay.height] = [Math.round(w * ratio), Math.round(h * ratio)];
      ctx.setTransform(ratio, 0, 0, ratio, 0, 0);
      ctx.clearRect(0, 0, w, h);
      picture.style.transform = `translate(${view.x}px, ${view.y}px) scale(${view.zoom})`;
      const onVideo = video && shows("video");
      picture.style.visibility = onVideo ? "visible" : "hidden";
      stage.classList.toggle("snp-court", !onVideo);
      const ink = getComputedStyle(stage).color;
      const look = { width: clamp(w / 250, onVideo ? 2 : 3, 4.5), scale: w / scene.width * view.zoom, casing: onVideo ? "rgba(255,255,255,0.92)" : getComputedStyle(stage).backgroundColor };
      if (!onVideo) drawCourt(ctx, scene, place, ink);
      const lead = Math.max(0, data.leads.indexOf(model.get("lead")));
      if (shows("trails")) {
        let from = drawn;
        while (from > 0 && times[drawn] - times[from - 1] <= 0.5) from--;
        const layer = layers.findLast(l => !l.dashed && shows(l.name));
        if (layer) drawTrails(ctx, layer, 0, drawn, from, place, look);
      }
      if (shows("spread")) for (const layer of layers) if (shows(layer.name) && layer.spread >= 0) drawSpread(ctx, layer, layer.leads ? lead : 0, drawn, place, look);
      for (const layer of layers) if (shows(layer.name)) drawLayer(ctx, layer, layer.leads ? lead : 0, drawn, place, look);
      editor?.paint();
      alarm.hidden = !data.lost[drawn];
      readout.textContent = `${clock(times[drawn])}  ·  frame ${drawn} / ${n - 1}`;
      if (data.actions.length) {
        const row = [...data.actions.subarray(drawn * data.classes.length, (drawn + 1) * data.classes.length)];
        const best = row.indexOf(Math.max(...row.filter(Number.isFinite)));
        hud.textContent = best < 0 ? "" : `${data.classes[best]}  ${Math.round(100 * row[best])} %`;
      }
      hud.hidden = !hud.textContent;
    }

    // Pixels are put, not drawn: a browser without a graphics card keeps a copy of every picture that was drawn, half a gigabyte of them.
    let pixels = null, putting = false, waiting = null, later = 0;
    async function put(frame) {                         // on the canvas; false: the frame was let go of meanwhile
      const { width, height } = picture;
      try {
        if (pixels !== "unable") {
          pixels ??= new ImageData(width, height);
          await frame.copyTo(pixels.data, { format: "RGBA", rect: { x: 0, y: 0, width, height } });
          pen.putImageData(pixels, 0, 0);
          return true;
        }
      } catch (e) {                                     // no such frame any more; or a browser, or a picture, that cannot
        if (e.name === "InvalidStateError") return false;
        pixels = "unable";
      }
      pen.drawImage(frame, 0, 0, width, height);
      return true;
    }
    async function show(i = target) {                   // draw frame i if its picture is here; else keep the old pair
      clearTimeout(later);
      slider.value = target;
      const frame = source?.get(i);
      if (video && shows("video") && !frame) return;
      if (frame && (putting || pictured !== i)) {
        if (putting) { waiting = i; return; }           // one at a time: the one underway is finished, then comes the last that was asked for
        putting = true;
        const there = await put(frame).catch(() => false), next = waiting;
        [putting, waiting] = [false, null];
        if (!alive) return;
        if (next !== null && next !== i) later = setTimeout(show, 0, next);
        if (!there) return;
        pictured = i;
        if (i !== target && !shows("video")) return;    // the skeletons went on without the picture
      }
      const moved = drawn !== i;
      drawn = i;
      paint();
      cursor();
      if (!moved) return;
      root.dispatchEvent(new CustomEvent("drawn", { bubbles: true, detail: { frame: drawn } }));
      if (leads && model.get("group")) document.dispatchEvent(new CustomEvent("snp-moved", { detail: { from: root, group: model.get("group"), time: times[drawn] - model.get("shift") } }));
    }

    let settle, leads = false;                          // leads: moved by its own user; the players of its group go where it goes
    function seek(i, fromKernel = false, follows = false) {
      leads = !follows;
      target = clamp(Math.round(i), 0, n - 1);
      source?.want(target);
      show();
      clearTimeout(settle);                             // the kernel hears where the playhead came to rest
      if (!fromKernel && !playing) settle = setTimeout(tell, 120);
    }
    function tell() {
      if (!alive || model.get("frame") === target) return;
      model.set("frame", target);
      model.save_changes();
    }
    const set = (name, value) => { model.set(name, value); model.save_changes(); };

    // ---- play: the wall clock decides which frame is due, so variable frame rate plays in true time
    let playing = false, anchor = 0;
    const end = () => times[n - 1] + (n > 1 ? times[n - 1] - times[n - 2] : 0.04);
    function play(on) {
      if (on === playing) return;
      playing = on;
      button.play.firstChild.firstChild.setAttribute("d", ICONS[on ? "pause" : "play"]);
      button.play.title = on ? "pause (space)" : "play (space)";
      if (model.get("playing") !== on) set("playing", on);
      if (!on) return tell();
      if (target === n - 1) target = 0;
      restart();
      requestAnimationFrame(tick);
    }
    const restart = () => { anchor = performance.now() - 1000 * (times[target] - times[0]) / model.get("speed"); };
    function tick(now) {
      if (!playing || !alive) return;
      let t = times[0] + (now - anchor) * model.get("speed") / 1000;
      if (t >= end()) {
        if (!model.get("loop")) { seek(n - 1); return play(false); }
        anchor = now; t = times[0];
      }
      let i = t < times[target] ? 0 : target;
      while (i + 1 < n && times[i + 1] <= t) i++;
      if (i !== target) seek(i);
      requestAnimationFrame(tick);
    }

    // ---- players of one group show the same moment, here in the browser; shift: this one's clock is so much ahead
    listen(document, "snp-moved", ({ detail }) => {
      if (detail.from === root || detail.group !== model.get("group")) return;
      play(false);
      seek(nearest(detail.time + model.get("shift")), false, true);
    });

    // ---- controls
    const bar = element("div", "snp-bar", root), button = {};
    const icon = (name, title, action, parent = bar) => {
      const b = button[name] = element("button", "snp-icon", parent, { title, "aria-label": title, type: "button" });
      b.innerHTML = `<svg viewBox="0 0 16 16" width="16" height="16"><path d="${ICONS[name]}"/></svg>`;
      listen(b, "click", action);
      return b;
    };
    icon("back", "one frame back (←)", () => { play(false); seek(target - 1); });
    icon("play", "play (space)", () => play(!playing));
    icon("forward", "one frame forward (→)", () => { play(false); seek(target + 1); });
    const track = element("div", "snp-track", bar);
    for (let i = 0; i < n;) {                           // where the athlete is lost, on the scrub bar
      let j = i;
      while (j < n && data.lost[j] === data.lost[i]) j++;
      if (data.lost[i]) Object.assign(element("div", "snp-gap", track, { title: "athlete lost" }).style, { left: `${100 * i / n}%`, width: `${100 * (j - i) / n}%` });
      i = j;
    }
    const slider = element("input", "snp-slider", track, { type: "range", min: 0, max: n - 1, step: 1, "aria-label": "frame" });
    listen(slider, "input", () => { play(false); seek(+slider.value); });
    const readout = element("div", "snp-readout", bar);
    const speed = element("select", "snp-select", bar, { title: "speed", "aria-label": "speed" });
    for (const s of SPEEDS) element("option", "", speed, { value: s, text: `${s}×` });
    listen(speed, "change", () => set("speed", +speed.value));
    icon("loop", "loop", () => set("loop", !model.get("loop")));
    icon("out", "zoom out (−)", () => zoom(1 / 1.5)); icon("fit", "fit (0)", () => zoom(0)); icon("in", "zoom in (+)", () => zoom(1.5));

    const legend = element("div", "snp-legend", root);
    const chips = ["video", ...layers.map(l => l.name), "spread", "trails"].filter(name => data.names.includes(name)).map(name => {
      const layer = layers.find(l => l.name === name), chip = element("span", "snp-chip", legend);
      const label = name === "spread" ? "50 % radius" : name;
      const b = element("button", "", chip, { type: "button", title: `show or hide ${label}` });
      if (layer) b.innerHTML = `<svg width="26" height="8"><line x1="2" x2="24" y1="4" y2="4" stroke="${layer.colour}" stroke-width="3.4" stroke-linecap="round" ${layer.dashed ? 'stroke-dasharray="4 6.5"' : ""}/></svg>`;
      const text = element("span", "", b, { text: label });
      listen(b, "click", () => set("visible", data.names.filter(v => v === name ? !shows(v) : shows(v))));
      if (layer?.leads) for (const [d, sign] of [[-1, "‹"], [1, "›"]])
        listen(element("button", "snp-step", chip, { type: "button", text: sign, title: d < 0 ? "shorter lead ([)" : "longer lead (])" }), "click", () => stepLead(d));
      return { name, layer, b, text };
    });
    element("span", "snp-help", legend, { text: "?", title: model.get("edit") ? `${HELP}\n${EDIT_HELP}` : HELP });

    function stepLead(d) {
      const i = data.leads.indexOf(model.get("lead"));
      if (data.leads.length) set("lead", data.leads[clamp(i + d, 0, data.leads.length - 1)]);
    }
    function dress() {                                  // controls say what the state is
      for (const { name, layer, b, text } of chips) {
        b.setAttribute("aria-pressed", shows(name));
        if (layer?.leads) text.textContent = `${name} ${Math.round(1000 * model.get("lead"))} ms ago`;
      }
      speed.value = SPEEDS.find(s => s === model.get("speed")) ?? "";
      button.loop.setAttribute("aria-pressed", model.get("loop"));
    }

    // ---- zoom and pan
    function zoom(factor, x = stage.clientWidth / 2, y = stage.clientHeight / 2) {
      const z = factor ? clamp(view.zoom * factor, 1, 12) : 1;
      pan(x - (x - view.x) * z / view.zoom, y - (y - view.y) * z / view.zoom, z);
    }
    function pan(x, y, z = view.zoom) {
      if (!stage.clientWidth) return;                   // scrolled out of a long notebook
      view = { zoom: z, x: clamp(x, stage.clientWidth * (1 - z), 0), y: clamp(y, stage.clientHeight * (1 - z), 0) };
      stage.classList.toggle("snp-zoomed", z > 1);
      paint();
    }
    const local = e => { const r = stage.getBoundingClientRect(); return [e.clientX - r.left, e.clientY - r.top]; };
    const edited = layers.find(l => l.name === model.get("edit"));
    const editor = edited ? makeEditor(edited) : null;
    listen(stage, "wheel", e => { if (e.ctrlKey || e.metaKey) { e.preventDefault(); zoom(Math.exp(-e.deltaY / 300), ...local(e)); } }, { passive: false });
    listen(stage, "dblclick", e => zoom(view.zoom > 1 ? 0 : 2.5, ...local(e)));
    let grip = null;
    listen(stage, "pointerdown", e => { root.focus({ preventScroll: true }); grip = [e.clientX - view.x, e.clientY - view.y]; stage.setPointerCapture(e.pointerId); });
    listen(stage, "pointerup", () => { grip = null; });
    listen(stage, "pointermove", e => { if (grip) pan(e.clientX - grip[0], e.clientY - grip[1]); else hover(...local(e)); });
    listen(stage, "pointerleave", () => { tip.hidden = true; });

    function hover(x, y) {                              // name the joint under the pointer
      let best = null, near = 12;
      const lead = Math.max(0, data.leads.indexOf(model.get("lead")));
      for (const layer of layers) if (shows(layer.name) && drawn >= 0)
        for (let p = 0; p < layer.individuals; p++)
          for (let k = 0; k < layer.keypoints; k++) {
            const [px, py, c] = at(layer, layer.leads ? lead : 0, drawn, p, k), [sx, sy] = place(px, py), d = Math.hypot(sx - x, sy - y);
            if (d < near) [near, best] = [d, { layer, k, c, sx, sy }];
          }
      tip.hidden = !best;
      if (!best) return;
      tip.textContent = `${best.layer.joints[best.k].replaceAll("_", " ")} · ${best.layer.name}${Number.isFinite(best.c) ? ` · confidence ${best.c.toFixed(2)}` : ""}`;
      tip.style.transform = `translate(${clamp(best.sx + 10, 0, stage.clientWidth - tip.offsetWidth - 4)}px, ${clamp(best.sy - 26, 2, stage.clientHeight - 24)}px)`;
    }

    // ---- editing a layer by hand: what is done shows here at once, and the kernel, which keeps it, is told at once
    function makeEditor(layer) {
      const { keypoints: K, joints } = layer, boxes = new Float32Array(4 * n).fill(NaN), say = element("div", "snp-say", root, { "aria-live": "polite" });
      let chosen = 0, dragging = false, boxing = false, rubber = null;
      const index = k => layer.offset + 3 * (drawn * layer.individuals * K + k), half = video ? 0.5 : 0;
      const back = (sx, sy) => [((sx - view.x) / view.zoom) / stage.clientWidth * scene.width + scene.x - half, ((sy - view.y) / view.zoom) / stage.clientHeight * scene.height + scene.y - half];
      const known = k => Number.isFinite(layer.points[index(k)]), words = k => joints[k].replaceAll("_", " ");
      const tell = (op, more) => model.send({ edit: { op, frame: drawn, ...more } });
      const told = () => { const [x, y, c] = layer.points.subarray(index(chosen), index(chosen) + 3); say.textContent = `${words(chosen)}: ${known(chosen) ? `${Math.round(x)}, ${Math.round(y)}, ${c > 0.5 ? "visible" : "hidden"}` : "not labelled"}`; };
      function put(k, x, y) {
        const o = index(k);
        [layer.points[o], layer.points[o + 1]] = [x, y];
        if (!(layer.points[o + 2] > 0)) layer.points[o + 2] = 1;
        paint();
      }
      const moved = k => { const o = index(k); tell("move", { joint: joints[k], xy: [layer.points[o], layer.points[o + 1]] }); told(); };
      const choose = k => { chosen = (k + K) % K; paint(); told(); };
      function nearestJoint(sx, sy) {
        let best = -1, near = 14;
        for (let k = 0; k < K; k++) if (known(k)) {
          const [x, y] = place(layer.points[index(k)], layer.points[index(k) + 1]), d = Math.hypot(x - sx, y - sy);
          if (d < near) [near, best] = [d, k];
        }
        return best;
      }
      const hold = e => { e.stopImmediatePropagation(); e.preventDefault(); };
      listen(stage, "pointerdown", e => {
        if (drawn < 0 || e.button) return;
        root.focus({ preventScroll: true });
        play(false);
        const [sx, sy] = local(e), k = nearestJoint(sx, sy), [x, y] = back(sx, sy);
        if (boxing) rubber = [x, y, x, y];
        else if (k >= 0) { choose(k); dragging = "from here"; }
        else if (!known(chosen)) { put(chosen, x, y); dragging = "put"; }
        else return;
        hold(e);
        stage.setPointerCapture(e.pointerId);
      });
      listen(stage, "pointermove", e => {
        if (rubber) { const [x, y] = back(...local(e)); [rubber[2], rubber[3]] = [x, y]; paint(); }
        else if (dragging) { put(chosen, ...back(...local(e))); dragging = "moved"; }
        else return;
        hold(e);
      });
      listen(stage, "pointerup", e => {
        if (rubber) {
          const [a, b, c, d] = rubber, box = [Math.min(a, c), Math.min(b, d), Math.max(a, c), Math.max(b, d)];
          if (box[2] - box[0] > 2 && box[3] - box[1] > 2) tell("box", { box });
          [rubber, boxing] = [null, false];
          stage.classList.remove("snp-boxing");
        } else if (dragging) {
          if (dragging !== "from here") moved(chosen);
          dragging = false;
        } else return;
        hold(e);
        paint();
      });
      stage.style.touchAction = "none";
      listen(stage, "pointercancel", () => { dragging = rubber = null; tell("all"); });   // the kernel says where things are
      const EDIT = {
        n: () => choose(chosen + 1), p: () => choose(chosen - 1),
        v: () => known(chosen) && tell("mark", { joint: joints[chosen], state: layer.points[index(chosen) + 2] > 0.5 ? 1 : 2 }),
        x: () => tell("mark", { joint: joints[chosen], state: 0 }), Delete: () => EDIT.x(), Backspace: () => EDIT.x(),
        c: () => tell("copy", { source: drawn - 1 }), i: () => tell("interpolate", { joint: joints[chosen] }), I: () => tell("interpolate", {}),
        b: () => { boxing = true; stage.classList.add("snp-boxing"); say.textContent = "draw a box around the athlete"; }, B: () => tell("box", { box: null }),
        Escape: () => { boxing = false; stage.classList.remove("snp-boxing"); },
        Enter: () => { if (!known(chosen)) { put(chosen, ...back(stage.clientWidth / 2, stage.clientHeight / 2)); moved(chosen); } },
      };
      const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
      const answered = (message, buffers) => {               // what the kernel made of it: a copy, an interpolation, something taken back
        if (message.points) {
          layer.points.set(new Float32Array(bytes(buffers[0])), layer.offset + 3 * message.first * layer.individuals * K);
          boxes.set(new Float32Array(bytes(buffers[1])), 4 * message.first);
        }
        if (message.ticks) {
          track.querySelectorAll(".snp-tick").forEach(t => t.remove());
          for (const f of message.ticks) element("div", "snp-tick", track, { title: `frame ${f}: labelled by hand` }).style.left = `${100 * (n > 1 ? f / (n - 1) : 0)}%`;
        }
        if (message.refused) { note.hidden = false; note.textContent = message.refused; setTimeout(() => { note.hidden = true; }, 4000); }
        if (message.points || message.refused) { paint(); told(); }
      };
      model.on("msg:custom", answered);
      cleanups.push(() => model.off("msg:custom", answered));
      model.send({ edit: { op: "all" } });
      return {
        key(e) {
          if (e.target.tagName === "SELECT" || e.target.tagName === "INPUT" && !e.altKey && !e.ctrlKey && !e.metaKey && !EDIT[e.key]) return false;
          if ((e.ctrlKey || e.metaKey) && "zy".includes(e.key.toLowerCase())) { tell(e.shiftKey || e.key.toLowerCase() === "y" ? "redo" : "undo"); return true; }
          if (e.ctrlKey || e.metaKey) return false;
          if (e.altKey && ARROWS[e.key]) {
            if (known(chosen)) { const o = index(chosen), far = e.shiftKey ? 10 : 1; put(chosen, layer.points[o] + far * ARROWS[e.key][0], layer.points[o + 1] + far * ARROWS[e.key][1]); moved(chosen); }
            return true;
          }
          if (e.altKey || !EDIT[e.key] || e.key === "Enter" && e.target.tagName === "BUTTON") return false;
          play(false);
          EDIT[e.key]();
          return true;
        },
        paint() {
          const box = rubber ?? boxes.subarray(4 * drawn, 4 * drawn + 4);
          ctx.setLineDash([6, 4]); ctx.lineWidth = 1.5; ctx.strokeStyle = layer.colour;
          if (Number.isFinite(box[0])) { const [a, b] = place(box[0], box[1]), [c, d] = place(box[2], box[3]); ctx.strokeRect(a, b, c - a, d - b); }
          ctx.setLineDash([]);
          if (!shows(layer.name)) return;
          ctx.font = "600 12px system-ui, sans-serif"; ctx.textAlign = "left";
          const label = (text, x, y) => { ctx.lineWidth = 3; ctx.strokeStyle = "rgba(0,0,0,.75)"; ctx.strokeText(text, x, y); ctx.fillStyle = "#fff"; ctx.fillText(text, x, y); };
          if (!known(chosen)) return label(`${words(chosen)} is not labelled: click where it is`, 10, stage.clientHeight - 12);
          const [x, y] = place(layer.points[index(chosen)], layer.points[index(chosen) + 1]);
          for (const [width, colour] of [[4, "rgba(0,0,0,.6)"], [2, "#fff"]]) { ctx.lineWidth = width; ctx.strokeStyle = colour; ctx.beginPath(); ctx.arc(x, y, 9, 0, 7); ctx.stroke(); }
          label(`${words(chosen)}${layer.points[index(chosen) + 2] > 0.5 ? "" : ", hidden"}`, clamp(x + 13, 2, stage.clientWidth - 110), clamp(y - 8, 14, stage.clientHeight - 6));
        },
      };
    }

    // ---- keyboard
    const KEYS = {
      " ": () => play(!playing), ArrowLeft: e => step(e.shiftKey ? -10 : -1), ArrowRight: e => step(e.shiftKey ? 10 : 1),
      Home: () => step(-n), End: () => step(n), "[": () => stepLead(-1), "]": () => stepLead(1),
      "+": () => zoom(1.5), "=": () => zoom(1.5), "-": () => zoom(1 / 1.5), 0: () => zoom(0),
    };
    const step = d => { play(false); seek(target + d); };
    listen(root, "keydown", e => {
      if (editor?.key(e)) { e.preventDefault(); e.stopPropagation(); return; }
      const action = KEYS[e.key];
      if (!action || e.ctrlKey || e.metaKey || e.altKey || e.target.tagName === "SELECT" || (e.key === " " && e.target.tagName === "BUTTON")) return;
      e.preventDefault();
      e.stopPropagation();
      action(e);
    });

    // ---- the plotly figure beside the player: its cursor moves here, in the browser
    const line = element("div", "snp-cursor"), dots = [];
    let figure = null;
    const fitting = new ResizeObserver(() => window.dispatchEvent(new Event("resize")));   // a responsive figure listens to the window only
    function find() {
      const name = model.get("follow");
      const found = name ? document.querySelector(`.${name}.js-plotly-plot, .${name} .js-plotly-plot`) : null;
      if (!found?._fullLayout?._size || (found === figure && line.isConnected)) return;
      figure = found;
      figure.classList.add("snp-figure");
      figure.parentElement.style.position = "relative";
      figure.parentElement.append(line);
      figure.on("plotly_click", e => { play(false); seek(nearest(e.points[0].x)); });
      figure.on("plotly_afterplot", cursor);
      fitting.disconnect();
      fitting.observe(figure.parentElement);
      cursor();
    }
    function nearest(t) {
      let i = 0;
      for (let k = 1; k < n; k++) if (Math.abs(times[k] - t) < Math.abs(times[i] - t)) i = k;
      return i;
    }
    function cursor() {
      if (!figure?.isConnected || drawn < 0) return;
      const full = figure._fullLayout, axis = full.xaxis, x = axis.d2p(times[drawn]), size = full._size;
      line.hidden = !(x >= -1 && x <= axis._length + 1);
      Object.assign(line.style, { transform: `translateX(${figure.offsetLeft + axis._offset + x}px)`, top: `${figure.offsetTop + size.t}px`, height: `${size.h}px` });
      const traces = figure._fullData.filter(t => t.type === "scatter" && t.visible === true);
      while (dots.length < traces.length) dots.push(element("div", "snp-dot", line));
      dots.forEach((dot, k) => {
        const trace = traces[k], y = trace && trace.y[drawn], ya = trace && full[trace.yaxis.replace("y", "yaxis")];
        dot.hidden = !Number.isFinite(y);
        if (dot.hidden) return;
        dot.style.transform = `translateY(${ya._offset + ya.d2p(y) - size.t}px)`;
        dot.style.background = trace.line.color;
      });
    }
    if (model.get("follow")) {
      const finder = setInterval(find, 300);
      cleanups.push(() => { clearInterval(finder); fitting.disconnect(); line.remove(); });
    }

    // ---- start
    const resizing = new ResizeObserver(() => { pan(view.x, view.y); cursor(); });
    resizing.observe(stage);
    const theming = new MutationObserver(() => setTimeout(paint, 50));    // a new theme changes ink and paper
    theming.observe(document.body, { attributes: true, attributeFilter: ["data-jp-theme-light", "data-jp-theme-name", "class"] });
    cleanups.push(() => resizing.disconnect(), () => theming.disconnect(), () => source?.close(), () => clearTimeout(settle));
    watch("frame", () => { if (model.get("frame") !== target) { play(false); seek(model.get("frame"), true); } });
    watch("visible", () => { dress(); show(); paint(); });
    watch("lead", () => { dress(); paint(); });
    watch("speed", () => { dress(); if (playing) restart(); });
    watch("loop", dress);
    watch("playing", () => play(model.get("playing")));
    dress();
    slider.value = target;
    if (!video) { show(); if (model.get("playing")) play(true); return; }

    const fail = e => { note.hidden = false; note.textContent = `the clip cannot be shown: ${e.message}`; };
    const ready = async () => {
      const blob = await fetchVideo(model, video.size, part => { note.textContent = `loading the clip … ${Math.round(100 * part)} %`; }, () => alive);
      if (!alive) return;
      const fall = async e => {                         // no decoder, or it gave up: the browser's own player
        if (e) console.warn("WebCodecs failed, the player uses <video> instead:", e.message);
        source?.close();
        source = await ElementFrames.make(video, blob, show, fail);
        source.want(target);
      };
      source = await CodecFrames.make(video, blob, show, e => fall(e).catch(fail));
      source ? source.want(target) : await fall();
      root.dataset.source = source.constructor.name;
      note.hidden = true;
      if (model.get("playing")) play(true);
    };
    ready().catch(fail);
  }
}

const CSS = `
.snp { --ink: var(--jp-ui-font-color1, #1c1f23); --soft: var(--jp-ui-font-color2, #5c636b); --paper: var(--jp-layout-color1, #fff);
  --raised: var(--jp-layout-color2, #eef0f2); --rule: var(--jp-border-color2, #d4d8dc); --accent: var(--jp-brand-color1, #1976d2);
  color: var(--ink); font: 13px/1.35 var(--jp-ui-font-family, system-ui, sans-serif); outline: none; container-type: inline-size; min-width: 280px; }
.snp *, .snp *::before { box-sizing: border-box; }
.snp [hidden] { display: none !important; }
.snp-stage { position: relative; width: min(100%, calc(560px * var(--aspect, 1.78))); margin: 0 auto; overflow: hidden; border-radius: 8px;
  background: var(--paper); color: var(--ink); min-height: 120px; touch-action: pan-y; user-select: none; }
.snp:focus-visible .snp-stage { box-shadow: 0 0 0 2px var(--accent); }
.snp-stage canvas { position: absolute; inset: 0; width: 100%; height: 100%; display: block; }
.snp-video { transform-origin: 0 0; }
.snp-court { box-shadow: inset 0 0 0 1px var(--rule); }
.snp-zoomed { cursor: grab; touch-action: none; }
.snp-zoomed:active { cursor: grabbing; }
.snp-note, .snp-lost, .snp-hud, .snp-tip { position: absolute; padding: 3px 10px; border-radius: 6px; background: rgba(18,20,24,.78); color: #fff; pointer-events: none; font-variant-numeric: tabular-nums; }
.snp-note { left: 50%; top: 50%; transform: translate(-50%, -50%); white-space: nowrap; }
.snp-lost { left: 50%; bottom: 12px; transform: translateX(-50%); background: rgba(176,32,32,.9); font-weight: 600; white-space: nowrap; }
.snp-hud { left: 10px; top: 10px; font-weight: 600; }
.snp-tip { left: 0; top: 0; font-size: 12px; white-space: nowrap; }
.snp-bar { display: flex; align-items: center; gap: 4px; margin-top: 6px; flex-wrap: wrap; }
.snp-icon { border: 0; background: none; color: inherit; width: 28px; height: 28px; padding: 6px; border-radius: 6px; cursor: pointer; flex: none; }
.snp-icon svg { display: block; fill: currentColor; }
.snp-icon:hover, .snp-step:hover { background: var(--raised); }
.snp-icon[aria-pressed="true"] { color: var(--accent); }
.snp button:focus-visible, .snp select:focus-visible { outline: 2px solid var(--accent); outline-offset: 1px; }
.snp-track { position: relative; flex: 1 1 90px; height: 28px; display: flex; align-items: center; margin: 0 4px; }
.snp-slider { width: 100%; margin: 0; height: 28px; background: none; accent-color: var(--accent); cursor: pointer; position: relative; }
.snp-gap { position: absolute; top: 3px; height: 5px; border-radius: 2px; background: #c62828; }
.snp-tick { position: absolute; top: 4px; width: 3px; height: 6px; margin-left: -1px; border-radius: 1px; background: var(--accent); pointer-events: none; }
.snp-boxing { cursor: crosshair; }
.snp-say { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
.snp-readout { font-variant-numeric: tabular-nums; white-space: pre; min-width: 172px; text-align: center; color: var(--ink); }
.snp-select { color: inherit; background: var(--raised); border: 1px solid var(--rule); border-radius: 6px; height: 26px; font: inherit; padding: 0 2px; }
.snp-legend { display: flex; flex-wrap: wrap; gap: 6px; margin-top: 4px; align-items: center; }
.snp-chip { display: inline-flex; align-items: center; border: 1px solid var(--rule); border-radius: 999px; overflow: hidden; }
.snp-chip button { border: 0; background: none; color: inherit; font: inherit; padding: 3px 10px; cursor: pointer; display: inline-flex; align-items: center; gap: 7px; }
.snp-chip button[aria-pressed="false"] { opacity: .45; text-decoration: line-through; }
.snp-chip .snp-step { padding: 3px 9px; border-left: 1px solid var(--rule); font-weight: 600; }
.snp-help { color: var(--soft); border: 1px solid var(--rule); border-radius: 50%; width: 20px; height: 20px; text-align: center; cursor: help; margin-left: auto; font-size: 12px; line-height: 18px; }
.snp-cursor { position: absolute; left: 0; width: 0; border-left: 1.5px solid var(--jp-ui-font-color1, #444); pointer-events: none; z-index: 5; opacity: .9; }
.snp-dot { position: absolute; left: -6px; top: -5px; width: 11px; height: 11px; border-radius: 50%; border: 2px solid var(--jp-layout-color1, #fff); box-sizing: border-box; }
`;

export default { render };
