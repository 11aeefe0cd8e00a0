// Unfolds the project switcher: a list to filter and walk with the arrows. Without this module it is a link to
// the list of projects.

const link = document.querySelector("a.switcher");
let box = null;

async function open() {
  const answer = await fetch("/api/v1/projects?limit=200", { credentials: "same-origin" });
  if (!answer.ok) return (location.href = link.href);
  const names = (await answer.json()).items.map((p) => p.name);
  box = document.createElement("div");
  box.className = "menu-in switch";
  const filter = document.createElement("input");
  filter.type = "search";
  filter.setAttribute("aria-label", link.title);
  filter.placeholder = link.title;
  const list = document.createElement("div");
  for (const name of names) {
    const entry = document.createElement("a");
    entry.href = `/projects/${name}`;
    entry.textContent = name;
    if (name === document.body.dataset.project) entry.setAttribute("aria-current", "true");
    list.append(entry);
  }
  const all = document.createElement("a");
  all.href = link.href;
  all.className = "all";
  all.textContent = link.dataset.all;
  box.append(filter, list, all);
  const place = link.getBoundingClientRect();
  link.parentElement.append(box);
  link.setAttribute("aria-expanded", "true");
  // Under its link, wherever that is; a property set by script is no inline style of the page.
  box.style.left = `${Math.max(8, Math.min(place.left, innerWidth - 268))}px`;
  box.style.top = `${place.bottom + 8}px`;
  filter.addEventListener("input", () => {
    for (const entry of list.children) entry.hidden = !entry.textContent.includes(filter.value.toLowerCase());
  });
  box.addEventListener("keydown", walk);
  filter.focus();
}

function close() {
  box?.remove();
  box = null;
  link.setAttribute("aria-expanded", "false");
}

function walk(event) {
  const shown = [...box.querySelectorAll("a")].filter((a) => !a.hidden);
  const at = shown.indexOf(document.activeElement);
  if (event.key === "Escape") {
    close();
    link.focus();
  } else if (event.key === "ArrowDown") {
    shown[Math.min(shown.length - 1, at + 1)].focus();
  } else if (event.key === "ArrowUp") {
    (at > 0 ? shown[at - 1] : box.querySelector("input")).focus();
  } else if (event.key === "Enter" && at < 0) {
    shown[0].click();
  } else {
    return;
  }
  event.preventDefault();
  event.stopPropagation();
}

if (link) {
  link.setAttribute("aria-haspopup", "true");
  link.addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    if (box) close();
    else open();
  });
  document.addEventListener("click", (event) => {
    if (box && !box.contains(event.target) && !link.contains(event.target)) close();
  });
}
