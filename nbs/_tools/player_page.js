// The notebook's side of the player, and hands on its controls, for a page without a kernel.
window.harness = {
  // shows the player; answers with the name of the decoder that it chose
  async show([code, state, header, buffers, mp4]) {
    const raw = (s) => Uint8Array.from(atob(s), (c) => c.charCodeAt(0));
    const heard = {}, sent = buffers.map(raw), film = raw(mp4);
    const model = {
      get: (k) => state[k],
      set(k, v) {
        state[k] = v;
        (heard["change:" + k] || []).forEach((f) => f());
      },
      save_changes() {},
      on: (e, f) => (heard[e] ||= []).push(f),
      off: (e, f) => {
        heard[e] = heard[e].filter((g) => g !== f);
      },
      send(q) {
        const [content, bufs] = q.want === "poses" ? [header, sent] : [{}, [film.slice(q.start, q.start + 65536)]];
        const answer = () => [{ ...content, id: q.id }, bufs.map((b) => new DataView(b.buffer))];
        setTimeout(() => heard["msg:custom"].forEach((f) => f(...answer())));
      },
    };
    window.model = model;
    const widget = await import(URL.createObjectURL(new Blob([code], { type: "text/javascript" })));
    await widget.default.render({ model, el: document.body });
    const source = () => document.querySelector(".snp")?.dataset.source;
    for (let k = 0; k < 200 && source() === undefined; k++) await new Promise((r) => setTimeout(r, 50));
    return source();
  },

  // does one thing for each frame of a list; answers with the numbers that are read in the pixels that were drawn
  async drawn([act, list]) {
    const root = document.querySelector(".snp"), slider = root.querySelector("input");
    const film = root.querySelector("canvas"), seen = [];
    for (const want of list) {
      const done = new Promise((r) => {
        const f = (e) => {
          if (e.detail.frame !== want) return;
          root.removeEventListener("drawn", f);
          r();
        };
        root.addEventListener("drawn", f);
        setTimeout(r, 5000);
      });
      if (act === "slider") {
        slider.value = want;
        slider.dispatchEvent(new Event("input"));
      } else root.dispatchEvent(new KeyboardEvent("keydown", { key: act, bubbles: true }));
      await done;
      const d = film.getContext("2d").getImageData(0, 12, 288, 1).data;
      seen.push(Array.from({ length: 12 }, (_, k) => (d[4 * (24 * k + 12)] > 127) << k).reduce((a, b) => a + b));
    }
    return seen;
  },
};
