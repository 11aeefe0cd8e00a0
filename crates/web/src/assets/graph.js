// Moves a graph that is larger than its box by dragging it; the wheel and the keyboard scroll it as usual.

let held = null;

document.addEventListener("pointerdown", (event) => {
  const graph = event.target.closest("[data-graph]");
  if (!graph || event.button !== 0 || event.pointerType === "touch") return;
  held = { graph, x: event.clientX, y: event.clientY, left: graph.scrollLeft, top: graph.scrollTop, far: false };
});

document.addEventListener("pointermove", (event) => {
  if (!held) return;
  const [dx, dy] = [event.clientX - held.x, event.clientY - held.y];
  if (Math.abs(dx) + Math.abs(dy) > 6) held.far = true;
  if (!held.far) return;
  held.graph.classList.add("dragging");
  held.graph.scrollTo(held.left - dx, held.top - dy);
});

document.addEventListener("pointerup", () => {
  if (!held) return;
  const { graph, far } = held;
  held = null;
  graph.classList.remove("dragging");
  // A drag that ends on a step is not a click on it.
  if (far) graph.addEventListener("click", (e) => e.preventDefault(), { capture: true, once: true });
});

document.addEventListener("dragstart", (event) => {
  if (event.target.closest && event.target.closest("[data-graph]")) event.preventDefault();
});

// What is open, or else what failed or runs, is brought into view.
for (const graph of document.querySelectorAll("[data-graph]")) {
  const node = graph.querySelector(".is-open, .is-failed, .is-running");
  if (!node) continue;
  const [box, at] = [graph.getBoundingClientRect(), node.getBoundingClientRect()];
  if (at.right > box.right) graph.scrollLeft += at.right - box.right + 40;
  if (at.bottom > box.bottom) graph.scrollTop += at.bottom - box.bottom + 40;
}
