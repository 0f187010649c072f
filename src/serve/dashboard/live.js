"use strict";
// Listens to events, and then asks for this page again to put in what changed. Without it the page is as true, and older.
const note = document.getElementById("live");
const only = document.body.dataset.run;
const AGAIN = 3000;
let due = 0;
let last = 0;

function say(text, on) {
  if (note.textContent === text) return;
  note.hidden = false;
  note.textContent = text;
  note.classList.toggle("on", on);
}

async function refresh() {
  due = 0;
  const answer = await fetch(location.href, { headers: { accept: "text/html" } });
  // Whoever is not known any more is sent to log in, and nothing here is news to them.
  if (answer.redirected) location.assign(answer.url);
  if (!answer.ok || answer.redirected) return;
  // Its style is this page's already, and has a nonce that this page's policy does not know.
  const text = (await answer.text()).replace(/<style[^]*?style>/, "");
  const page = new DOMParser().parseFromString(text, "text/html");
  for (const region of document.querySelectorAll("[data-live]")) {
    const fresh = page.getElementById(region.id);
    if (!fresh || fresh.innerHTML === region.innerHTML) continue;
    // Nothing moves under the keyboard of somebody who is at work there.
    if (region.contains(document.activeElement) || region.querySelector("details[open]")) continue;
    region.replaceChildren(...fresh.childNodes);
  }
}

function soon() {
  if (!due) due = setTimeout(() => refresh().catch(() => {}), 500);
  // Lists may lag behind the books for a moment; after the last event nobody else would ask for them.
  clearTimeout(last);
  last = setTimeout(() => refresh().catch(() => {}), AGAIN);
}

// What was passed over because somebody was at work there is put in when they leave.
document.addEventListener("focusout", soon);
document.addEventListener("toggle", soon, true);

function listen() {
  const events = new EventSource("/v1/events");
  events.addEventListener("open", () => say("Live", true));
  events.addEventListener("error", () => {
    say("Not connected; trying again", false);
    // A connection that breaks is made again by the browser; an answer that is no stream ends it for good.
    if (events.readyState === EventSource.CLOSED) setTimeout(again, AGAIN);
  });
  events.addEventListener("queue", () => { if (!only) soon(); });
  events.addEventListener("recovery", (event) => {
    if (!only || JSON.parse(event.data).id === only) soon();
  });
}

function again() {
  refresh().catch(() => {}).finally(listen);
}

listen();
