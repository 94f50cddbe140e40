// The browser of videos in JupyterLab, by anywidget; it stands behind videos.js in one module.
const KEPT = 30;  // clips that are kept after they were played

async function attach({ model, el: place }) {
  const own = Math.random(), waiting = new Map(), clips = new Map();
  let number = 0, browser;
  const ask = (what) => new Promise((resolve) => {
    const asked = `${own} ${number++}`;  // another view of the same widget hears the answers too
    waiting.set(asked, resolve);
    model.send({ ...what, asked });
  });
  const hear = (message, buffers) => {
    waiting.get(message.asked)?.({ ...message, buffers });
    waiting.delete(message.asked);
  };
  model.on("msg:custom", hear);

  async function preview(video, track) {
    if (track !== "clip") return null;
    if (!clips.has(video)) {
      const { buffers, said } = await ask({ kind: "preview", video });
      if (said) browser.markSaid.textContent = `No preview: ${said}`;
      else if (browser.markSaid.textContent.startsWith("No preview")) browser.markSaid.textContent = "";
      if (!buffers.length) return null;
      clips.set(video, URL.createObjectURL(new Blob(buffers, { type: "video/mp4" })));
      for (const [first, address] of clips) {
        if (clips.size <= KEPT) break;
        URL.revokeObjectURL(address);
        clips.delete(first);
      }
    }
    return clips.get(video);
  }

  const marks = async (what) => {
    const { said, marked } = await ask(what);
    return { said, marked };
  };
  place.classList.add("har-videos");
  // JupyterLab's own keys (c copies a cell) ask the element that has the focus, before those around it
  place.addEventListener("focusin", (event) => { event.target.dataset.lmSuppressShortcuts = "true"; });
  const box = document.createElement("div");
  place.replaceChildren(box, el("p", { class: "note" },
    "Keys: ↑ ↓ or n p go from video to video, Enter opens one, m goes to the choice of the right " +
    "category (type its first letters, then Enter), u takes the last mark back, Escape closes."));
  browser = await render(box, model.get("data"), {
    preview, marks: model.get("marks"),
    onMark: (video, category) => marks({ kind: "mark", video, category }),
    onUndo: () => marks({ kind: "undo" }),
  });
  return () => {
    model.off("msg:custom", hear);
    clips.forEach((address) => URL.revokeObjectURL(address));
  };
}

export default { render: attach };
