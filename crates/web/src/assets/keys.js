// The keyboard: g and a letter goes somewhere, / finds, j and k walk the rows, ? tells. Also what a click
// needs a script for: copying a command, closing a menu, asking before what cannot be undone.

const typing = (e) => e.target.closest("input, textarea, select, [contenteditable]");
let going = false;
let goingTimer = 0;

function go(key) {
  if (key === "p") location.href = "/projects";
  const to = document.querySelector(`[data-go="${CSS.escape(key)}"]`);
  if (to) to.click();
}

function rows() {
  return [...document.querySelectorAll("[data-row]")].filter((e) => e.offsetParent);
}

function walk(step) {
  const all = rows();
  if (!all.length) return;
  const at = all.findIndex((e) => e.classList.contains("here"));
  const next = all[Math.max(0, Math.min(all.length - 1, at + step))];
  all[at]?.classList.remove("here");
  next.classList.add("here");
  next.scrollIntoView({ block: "nearest" });
}

function find() {
  const box = document.querySelector("[data-find]");
  if (box) {
    box.focus();
    box.select();
  } else {
    document.querySelector("a.switcher")?.click();
  }
}

const acts = {
  "?": () => document.getElementById("keys")?.showModal(),
  "/": find,
  j: () => walk(1),
  k: () => walk(-1),
  Enter: () => {
    const row = document.querySelector("[data-row].here");
    if (row) location.href = row.dataset.row;
  },
  t: () => document.querySelector('.prefer [name="theme"]')?.click(),
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (typing(event)) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  if (document.querySelector("dialog[open]")) return;
  if (going) {
    going = false;
    clearTimeout(goingTimer);
    go(event.key);
    event.preventDefault();
    return;
  }
  if (event.key === "g") {
    going = true;
    goingTimer = setTimeout(() => (going = false), 1200);
    return;
  }
  // Enter belongs to whatever has the focus.
  if (event.key === "Enter" && event.target.closest("a, button, summary")) return;
  const act = acts[event.key];
  if (!act) return;
  event.preventDefault();
  act();
});

// A box with data-find hides the rows that do not hold its words.
document.addEventListener("input", (event) => {
  if (!event.target.matches("[data-find]")) return;
  const words = event.target.value.toLowerCase().split(/\s+/).filter(Boolean);
  for (const row of document.querySelectorAll("[data-row]")) {
    const text = row.textContent.toLowerCase();
    row.hidden = !words.every((w) => text.includes(w));
  }
});

document.addEventListener("click", (event) => {
  const copy = event.target.closest("[data-copy]");
  if (copy) {
    const words = copy.textContent;
    navigator.clipboard?.writeText(copy.dataset.copy).then(() => {
      copy.textContent = "✓";
      setTimeout(() => (copy.textContent = words), 1200);
    }, () => {});
  }
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (!menu.contains(event.target)) menu.open = false;
  }
});

document.addEventListener("submit", (event) => {
  const ask = event.target.dataset.ask;
  if (ask && !confirm(ask)) event.preventDefault();
});

function ready() {
  const shown = navigator.clipboard ? "[data-copy], .keys-hint" : ".keys-hint";
  for (const e of document.querySelectorAll(shown)) e.hidden = false;
}

ready();
document.addEventListener("naru:drawn", ready);
