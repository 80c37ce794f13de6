// The try-it box: streams the answer instead of loading a page.  The server makes all HTML.

import { addCopyButtons } from "./copy.js";

const form = document.getElementById("try");
const prompt = document.getElementById("prompt");
const send = document.getElementById("send");
const stop = document.getElementById("stop");
const shown = document.getElementById("shown");
const tries = document.getElementById("tries");
const progress = document.getElementById("progress");

let running = null; // the AbortController of the request that runs

form.addEventListener("submit", (event) => {
  event.preventDefault();
  if (event.submitter?.name === "rating") rate(event.submitter);
  else if (!running) ask();
});
stop.addEventListener("click", () => running?.abort());
prompt.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
});

async function ask() {
  const earlier = shown.querySelector(".answer")?.outerHTML ?? "";
  running = new AbortController();
  setRunning(true);
  show(template("waiting"));
  progress.textContent = "Asking the model.";
  try {
    const response = await fetch(form.action, {
      method: "POST",
      body: new FormData(form),
      headers: { Accept: "text/event-stream, application/json" },
      signal: running.signal,
    });
    const type = response.headers.get("content-type") ?? "";
    if (type.startsWith("text/event-stream")) await follow(response.body);
    else if (type.startsWith("application/json")) refused(await response.json(), earlier);
    else replacePage(await response.text());
  } catch (error) {
    if (error.name === "AbortError") stopped();
    else noConnection();
  } finally {
    running = null;
    setRunning(false);
  }
}

async function follow(body) {
  let said = null;
  let text = "";
  let ended = false;
  for await (const { event, data } of events(body)) {
    if (data.tries) tries.innerHTML = data.tries;
    if (event === "text") {
      said ??= begin();
      text += data.text;
      write(said, text);
    } else if (event === "done") {
      ended = true;
      show(data.answer);
      progress.textContent = "The answer is complete.";
    } else if (event === "failed") {
      ended = true;
      shown.querySelector(".answer")?.setAttribute("aria-busy", "false");
      shown.insertAdjacentHTML("afterbegin", `<div>${data.notice}</div>`);
    }
  }
  if (!ended) noConnection();
}

function begin() {
  show(template("arriving"));
  progress.textContent = "The answer is arriving.";
  return shown.querySelector(".said");
}

/** Shows text as paragraphs and, between fences, as code: as the server does at the end. */
function write(said, text) {
  const atEnd = said.scrollTop + said.clientHeight >= said.scrollHeight - 8;
  text.split(/^```.*$/m).forEach((piece, place) => {
    const block = said.children[place] ?? said.appendChild(document.createElement(place % 2 ? "pre" : "p"));
    block.textContent = place % 2 ? piece.replace(/^\n+|\n+$/g, "") : piece.trim();
  });
  if (atEnd) said.scrollTop = said.scrollHeight;
}

function refused({ notice, tries: left }, earlier) {
  progress.textContent = "";
  if (left) tries.innerHTML = left;
  show(`<div>${notice}</div>${earlier}`);
}

function stopped() {
  progress.textContent = "Stopped.";
  const answer = shown.querySelector(".answer[aria-busy]");
  if (!answer) return show("");
  answer.setAttribute("aria-busy", "false");
  answer.insertAdjacentHTML("beforeend", template("stopped"));
}

function noConnection() {
  progress.textContent = "";
  shown.querySelector(".answer")?.setAttribute("aria-busy", "false");
  shown.insertAdjacentHTML("afterbegin", template("no-connection"));
}

/** Rates the answer in place; where that fails, the thumbs stay and say so. */
async function rate(button) {
  const thumbs = button.closest(".thumbs");
  const body = new FormData(form, button);
  try {
    const response = await fetch(button.formAction, {
      method: "POST",
      body,
      headers: { Accept: "text/x-scalix-piece" },
    });
    if (!response.ok) throw new Error(response.status);
    const piece = document.createRange().createContextualFragment(await response.text());
    thumbs.replaceWith(piece);
    shown.querySelector(`.thumbs [value="${button.value}"]`)?.focus();
    progress.textContent = "Your rating is kept.";
  } catch {
    progress.textContent = "";
    thumbs.querySelector("#thumbs-label").textContent = "That could not be kept. Try again:";
  }
}

/** The server answered with a page of its own, such as that a form is too old. */
function replacePage(html) {
  const page = new DOMParser().parseFromString(html, "text/html");
  document.title = page.title;
  document.body.replaceWith(page.body);
}

function setRunning(yes) {
  const focused = document.activeElement;
  send.hidden = yes;
  stop.hidden = !yes;
  if (focused === send) stop.focus();
  if (focused === stop) send.focus();
}

const template = (id) => document.getElementById(id).innerHTML;

function show(html) {
  shown.innerHTML = html;
  addCopyButtons(shown);
}

/** Server-sent events of a body, parsed: { event, data }. */
async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let buffer = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    buffer += value;
    const frames = buffer.split("\n\n");
    buffer = frames.pop();
    for (const frame of frames) {
      const fields = Object.fromEntries(frame.split("\n").map((line) => line.split(/: (.*)/s, 2)));
      yield { event: fields.event, data: JSON.parse(fields.data) };
    }
  }
}
