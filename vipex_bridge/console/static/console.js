// What htmx does not do: lengths of time that go on, the place of a playing recording on its axis.
"use strict";

function length(seconds) {
  if (seconds < 60) return `${Math.floor(seconds)} s`;
  const two = (number) => String(number).padStart(2, "0");
  const hours = Math.floor(seconds / 3600), minutes = Math.floor(seconds / 60) % 60, rest = two(Math.floor(seconds % 60));
  return hours ? `${hours}:${two(minutes)}:${rest}` : `${minutes}:${rest}`;
}

// The same to a tenth of a second, where it is short.
function moment(seconds) {
  const tenths = Math.round(seconds * 10) / 10;
  return tenths < 60 ? `${tenths} s` : length(Math.round(seconds));
}

setInterval(() => {
  for (const shown of document.querySelectorAll("[data-since]")) {
    shown.textContent = length(Math.max(0, Date.now() / 1000 - Number(shown.dataset.since)));
  }
}, 1000);

// A recording's row: from where to where its bar may go, and how wide a second is.
function row(audio) {
  const found = audio.closest?.(".recording");
  if (!found) return null;
  const head = found.querySelector(".playhead");
  const [from, to, second] = ["from", "to", "second"].map((name) => Number(head.dataset[name]));
  const [bar, when] = [".bar", ".when"].map((name) => found.querySelector(name));
  return { head, bar, when, from, at: (seconds) => Math.min(to, from + seconds * second) };
}

// The bar is as long as the sound is: the page knew only when the talk ended.
function measure(audio) {
  const drawn = row(audio);
  if (!drawn || !Number.isFinite(audio.duration)) return;
  drawn.bar.setAttribute("width", Math.max(2, drawn.at(audio.duration) - drawn.from));
  const begins = Number(drawn.when.dataset.at);
  drawn.when.textContent = `${moment(begins)} – ${moment(begins + audio.duration)}`;
}

document.addEventListener("loadedmetadata", (event) => measure(event.target), true);
for (const audio of document.querySelectorAll("audio")) if (audio.readyState > 0) measure(audio);

document.addEventListener("timeupdate", (event) => {
  const drawn = row(event.target);
  if (!drawn) return;
  for (const end of ["x1", "x2"]) drawn.head.setAttribute(end, drawn.at(event.target.currentTime));
}, true);

// What is latest stands at the right of a chart that is wider than the window.
function showLatest() {
  for (const box of document.querySelectorAll(".latest")) box.scrollLeft = box.scrollWidth;
}

showLatest();
addEventListener("resize", showLatest);
