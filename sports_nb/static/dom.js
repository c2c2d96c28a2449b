// What all dashboards share; it is put before the code of each (widgets.dashboard).
function element(tag, cls, parent, attributes = {}) {
  const e = document.createElement(tag);
  e.className = cls;
  for (const [k, v] of Object.entries(attributes)) k === "text" ? e.textContent = v : e.setAttribute(k, v);   // text, never HTML: names come from files
  parent?.append(e);
  return e;
}

// A question to the kernel, and its answer: custom messages, so that nothing of it is stored in the notebook.
const bytes = view => view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength);

function ask(model, request) {
  return new Promise(resolve => {
    const id = `${Date.now()}.${Math.random()}`;
    const answer = (message, buffers) => {
      if (message.id !== id) return;
      model.off("msg:custom", answer);
      resolve({ ...message, buffers: buffers.map(bytes) });
    };
    model.on("msg:custom", answer);
    model.send({ ...request, id });
  });
}
