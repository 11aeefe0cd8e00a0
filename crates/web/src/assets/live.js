// Draws the parts of a page again when something has happened: follows the page's stream of events, fetches
// the page itself, and swaps each [data-part] whose markup differs. Focus, scroll, open menus and running
// logs stay as they are. Without this module a reload shows the same.

const source = document.body.dataset.live;
const PAUSE = 120; // ms: events come in bursts
const GROWTH = 1000; // ms
const SLOW = 5000; // ms between tries when the server is away

// The page was drawn from the journal up to here or a little further.
let from = document.body.dataset.from;
let stream = null;
let timer = 0;
let fetching = false;
let again = false;
let growing = 0;
let down = false;
let pause = PAUSE;

function open() {
  if (stream || document.hidden) return;
  stream = new EventSource(`${source}&after=${from}`);
  for (const kind of ["message", "event"]) stream.addEventListener(kind, happened);
  stream.addEventListener("open", () => {
    if (down) soon();
    down = false;
  });
  stream.addEventListener("error", () => {
    down = true;
    if (stream && stream.readyState === EventSource.CLOSED) {
      stream = null;
      setTimeout(open, SLOW);
    }
  });
}

function happened(event) {
  from = event.lastEventId || from;
  soon();
}

function close() {
  if (stream) stream.close();
  stream = null;
}

function soon() {
  if (!timer) timer = setTimeout(refresh, pause);
}

async function refresh() {
  timer = 0;
  if (fetching) {
    again = true;
    return;
  }
  fetching = true;
  const begun = performance.now();
  try {
    const answer = await fetch(location.href, { headers: { accept: "text/html" }, credentials: "same-origin" });
    if (answer.ok) swap(new DOMParser().parseFromString(await answer.text(), "text/html"));
  } catch {
    // The stream tells when the server is back.
  } finally {
    fetching = false;
    // However many events come, most of the time is the reader's and the server's own.
    pause = Math.max(PAUSE, 3 * (performance.now() - begun));
    if (again) {
      again = false;
      soon();
    }
    grow();
  }
}

// A bar that is under way grows between the events, too.
function grow() {
  clearTimeout(growing);
  if (stream && document.querySelector(".wf-open")) growing = setTimeout(soon, GROWTH);
}

function swap(next) {
  for (const part of document.querySelectorAll("[data-part][id]")) {
    const fresh = next.getElementById(part.id);
    if (!fresh || part.querySelector("[data-part]")) continue;
    const raw = fresh.outerHTML;
    if (part.dataset.seen === raw) continue;
    const active = document.activeElement;
    // A part in which somebody types is left alone.
    if (part.contains(active) && active.matches("input, textarea, select")) continue;
    const place = part.contains(active) ? address(part, active) : null;
    const scrolled = [...part.querySelectorAll("*")].filter((e) => e.scrollTop || e.scrollLeft);
    const places = scrolled.map((e) => [address(part, e), e.scrollTop, e.scrollLeft]);
    fresh.dataset.seen = raw;
    keepLogs(part, fresh);
    part.replaceWith(fresh);
    for (const [where, top, left] of places) {
      const e = find(fresh, where);
      if (e) e.scrollTo(left, top);
    }
    if (place) find(fresh, place)?.focus({ preventScroll: true });
  }
  document.title = next.title;
  document.dispatchEvent(new CustomEvent("naru:drawn"));
}

// A log that is being followed moves over as it is.
function keepLogs(part, fresh) {
  for (const old of part.querySelectorAll(".log[data-source]")) {
    const same = fresh.querySelector(`.log[data-source="${CSS.escape(old.dataset.source)}"]`);
    if (same) same.replaceWith(old);
  }
}

// Where an element is: the numbers of the children on the way to it.
function address(root, element) {
  const way = [];
  for (let e = element; e !== root; e = e.parentElement) way.unshift([...e.parentElement.children].indexOf(e));
  return way;
}

function find(root, way) {
  return way.reduce((e, i) => e && e.children[i], root);
}

if (source) {
  open();
  grow();
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) return close();
    open();
  });
}
