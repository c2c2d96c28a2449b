// A small table: a click on a column's name sorts it, a click (or Enter) on a row tells the kernel which one.
function render({ model, el }) {
  const root = element("div", "snt", el);
  element("style", "", root, { text: CSS });
  let by = null, down = false, times = 0;
  const table = element("table", "", element("div", "snt-scroll", root), { "aria-label": model.get("title") });

  function draw() {
    const columns = model.get("columns"), rows = model.get("rows"), had = document.activeElement?.closest?.(".snt tr")?.dataset.row;
    table.replaceChildren();
    element("caption", "", table, { text: model.get("title") });
    const head = element("tr", "", element("thead", "", table));
    for (const c of columns) {
      const th = element("th", c.digits === undefined ? "" : "snt-number", head, { scope: "col", "aria-sort": by === c.key ? (down ? "descending" : "ascending") : "none" });
      const b = element("button", "", th, { type: "button", text: c.label + (by === c.key ? (down ? " ▾" : " ▴") : ""), title: `sort by ${c.label}` });
      b.onclick = () => { [by, down] = [c.key, by === c.key ? !down : c.digits !== undefined]; draw(); [...table.querySelectorAll("th button")][columns.indexOf(c)].focus(); };
    }
    const order = rows.map((_, i) => i), value = i => rows[i][by];
    if (by !== null) order.sort((i, j) => (value(i) > value(j) ? 1 : value(i) < value(j) ? -1 : i - j) * (down ? -1 : 1));
    const body = element("tbody", "", table);
    for (const i of order) {
      const tr = element("tr", "", body, { tabindex: "0", "data-row": i });
      for (const c of columns) {
        const v = rows[i][c.key];
        element("td", c.digits === undefined ? "" : "snt-number", tr, { text: v === null || v === undefined ? "" : c.digits === undefined ? v : Number(v).toFixed(c.digits) });
      }
      const pick = () => { mark(i); model.set("picked", { row: i, times: ++times }); model.save_changes(); };
      tr.onclick = () => { tr.focus({ preventScroll: true }); pick(); };
      tr.onkeydown = e => {
        const other = e.key === "ArrowDown" ? tr.nextElementSibling : e.key === "ArrowUp" ? tr.previousElementSibling : null;
        if (other) { other.focus(); other.click(); }
        else if (e.key === "Enter" || e.key === " ") pick();
        else return;
        e.preventDefault();
        e.stopPropagation();
      };
    }
    if (!rows.length) element("td", "snt-none", element("tr", "", body), { colspan: columns.length, text: "nothing to show" });
    mark(model.get("picked").row ?? -1);
    if (had !== undefined) table.querySelector(`tr[data-row="${had}"]`)?.focus({ preventScroll: true });
  }
  const mark = i => table.querySelectorAll("tbody tr").forEach(tr => tr.setAttribute("aria-selected", tr.dataset.row === String(i)));
  const watched = ["rows", "columns", "title"];
  watched.forEach(name => model.on(`change:${name}`, draw));
  draw();
  return () => watched.forEach(name => model.off(`change:${name}`, draw));
}

const CSS = `
.snt { color: var(--jp-ui-font-color1, #1c1f23); font: 12px/1.35 var(--jp-ui-font-family, system-ui, sans-serif); }
.snt-scroll { max-height: 300px; overflow: auto; border: 1px solid var(--jp-border-color2, #d4d8dc); border-radius: 8px; }
.snt table { width: 100%; border-collapse: collapse; font-variant-numeric: tabular-nums; margin: 0; color: inherit; }
.snt caption { text-align: left; padding: 6px 10px; font-weight: 600; color: inherit; }
.snt th { position: sticky; top: 0; background: var(--jp-layout-color2, #eef0f2); text-align: left; padding: 0; }
.snt th button { border: 0; background: none; color: inherit; font: inherit; font-weight: 600; padding: 4px 7px; cursor: pointer; width: 100%; text-align: inherit; white-space: nowrap; }
.snt td { padding: 3px 7px; border-top: 1px solid var(--jp-border-color3, #e4e7ea); white-space: nowrap; text-align: left; }
.snt .snt-number { text-align: right; }
.snt tbody tr { cursor: pointer; background: none; }
.snt tbody tr:hover { background: var(--jp-layout-color2, #eef0f2); }
.snt tbody tr[aria-selected="true"] { background: color-mix(in srgb, var(--jp-brand-color1, #1976d2) 18%, transparent); }
.snt tr:focus-visible, .snt button:focus-visible { outline: 2px solid var(--jp-brand-color1, #1976d2); outline-offset: -2px; }
.snt-none { opacity: .7; }
`;

export default { render };
