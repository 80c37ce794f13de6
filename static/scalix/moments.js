// Turns every <time data-moment> from UTC into the reader's own time, and keeps it true.

const TICK_MS = 1000;

const clock = (date, seconds = false) =>
  date.toLocaleTimeString([], {
    hour: "2-digit",
    minute: "2-digit",
    ...(seconds && { second: "2-digit" }),
    hourCycle: "h23",
  });
const day = (date, year = true) =>
  date.toLocaleDateString("en-GB", { day: "numeric", month: "short", ...(year && { year: "numeric" }) });

/** `3 h 12 min`, `12 min`, `45 s`: as the server words it. */
export function duration(seconds) {
  if (seconds < 60) return `${Math.max(0, seconds)} s`;
  const minutes = Math.floor(seconds / 60);
  const hours = Math.floor(minutes / 60);
  if (!hours) return `${minutes} min`;
  return minutes % 60 ? `${hours} h ${minutes % 60} min` : `${hours} h`;
}

const forms = {
  clock: (date, now) =>
    date.toDateString() === now.toDateString() ? clock(date, true) : `${day(date, false)}, ${clock(date, true)}`,
  day: (date) => day(date),
  reset(date, now) {
    const utc = date.toISOString().slice(11, 16);
    const local = clock(date);
    const at = date.getTimezoneOffset() ? `${local} your time (${utc} UTC)` : `${utc} UTC`;
    return date > now ? `${at}, in ${duration(Math.ceil((date - now) / 1000))}` : `${at}, now`;
  },
  ago(date, now) {
    const seconds = Math.max(0, Math.round((now - date) / 1000));
    if (seconds < 86400) return `${seconds < 60 ? `${seconds} s` : duration(seconds)} ago`;
    return day(date);
  },
};

function update() {
  const now = new Date();
  for (const time of document.querySelectorAll("time[data-moment]")) {
    const date = new Date(time.dateTime);
    const text = forms[time.dataset.moment](date, now);
    if (time.textContent !== text) time.textContent = text;
    if (!time.title) time.title = date.toUTCString();
  }
}

export function keepMomentsFresh() {
  update();
  new MutationObserver(update).observe(document.body, { childList: true, subtree: true });
  setInterval(() => document.hidden || update(), TICK_MS);
}
