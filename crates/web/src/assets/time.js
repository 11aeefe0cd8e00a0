// Keeps times true while a page is open: "3 min ago", lengths of what is under way, and local clocks.

const ko = document.documentElement.lang === "ko";
const UNITS = [
  [2592000, ko ? "개월" : "mo", 5184000],
  [86400, ko ? "일" : "d", 86400],
  [3600, ko ? "시간" : "h", 3600],
  [60, ko ? "분" : "min", 60],
  [1, ko ? "초" : "s", 5],
];

function relative(ms) {
  const s = Math.floor(Math.abs(ms) / 1000);
  const unit = UNITS.find((u) => s >= u[2]);
  if (!unit) return ko ? "방금" : "just now";
  const n = Math.floor(s / unit[0]);
  if (ko) return `${n}${unit[1]} ${ms < 0 ? "뒤" : "전"}`;
  return ms < 0 ? `in ${n} ${unit[1]}` : `${n} ${unit[1]} ago`;
}

function length(ms) {
  const s = Math.floor(ms / 1000);
  const two = (n) => String(n).padStart(2, "0");
  if (s < 60) return ko ? `${(ms / 1000).toFixed(1)}초` : `${(ms / 1000).toFixed(1)} s`;
  const [big, small, words] =
    s < 3600 ? [Math.floor(s / 60), s % 60, ko ? ["분", "초"] : [" m", " s"]]
    : s < 172800 ? [Math.floor(s / 3600), Math.floor(s / 60) % 60, ko ? ["시간", "분"] : [" h", " m"]]
    : [Math.floor(s / 86400), Math.floor(s / 3600) % 24, ko ? ["일", "시간"] : [" d", " h"]];
  return `${big}${words[0]} ${two(small)}${words[1]}`;
}

function set(element, words) {
  if (element.textContent !== words) element.textContent = words;
}

const local = new Intl.DateTimeFormat(ko ? "ko-KR" : "en-GB", { dateStyle: "medium", timeStyle: "medium" });

function tick() {
  if (document.hidden) return;
  const now = Date.now();
  for (const e of document.querySelectorAll("time[data-ago]")) {
    const at = Date.parse(e.dateTime);
    set(e, relative(now - at));
    if (!e.dataset.told) {
      e.title = `${local.format(at)}\n${e.title}`;
      e.dataset.told = "1";
    }
  }
  for (const e of document.querySelectorAll("[data-since]")) set(e, length(Math.max(0, now - Date.parse(e.dataset.since))));
  for (const e of document.querySelectorAll("time[data-local]")) {
    e.title ||= e.textContent;
    set(e, local.format(Date.parse(e.dateTime)));
  }
}

// Only what is under way needs a tick each second.
function beat() {
  tick();
  const fast = document.querySelector("[data-since]");
  setTimeout(beat, fast ? 1000 : 15000);
}

beat();
document.addEventListener("visibilitychange", tick);
document.addEventListener("naru:drawn", tick);
