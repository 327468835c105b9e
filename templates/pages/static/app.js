"use strict";
// Everything works without this. With it, a search answers while it is typed, and the dates of a
// proposal follow the fields. Both ask the page itself, by POST, for the part that changes.

const DAYS = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const MONTHS = ["January", "February", "March", "April", "May", "June", "July", "August", "September",
  "October", "November", "December"];

function live(form) {
  const place = document.getElementById(form.dataset.live);
  const told = document.getElementById("told"); // what a screen reader says
  let waiting, asking, newest = 0;

  async function ask() {
    const mine = ++newest;
    asking?.abort();
    asking = new AbortController();
    const fields = new FormData(form);
    fields.set("do", "look");
    try {
      const answer = await fetch(form.action, {
        method: "POST", body: fields, headers: { "X-Part": "1" }, signal: asking.signal, redirect: "error",
      });
      const words = await answer.text();
      if (mine !== newest) return;
      if (answer.status === 401) return form.requestSubmit(); // signed out: nothing typed is lost
      if (!answer.ok && answer.status !== 422) return restore();
      const part = new DOMParser().parseFromString(words, "text/html").body;
      place.replaceChildren(...part.childNodes);
      told.textContent = place.querySelector("[data-told]")?.textContent ?? "";
    } catch (fault) {
      if (fault.name !== "AbortError") restore(); // no way through: the form's own button does it
    }
  }

  function restore() {
    for (const button of place.querySelectorAll("button")) button.disabled = false;
  }

  form.querySelector('[value="look"]')?.classList.add("quiet"); // the dates come by themselves
  form.addEventListener("input", () => {
    clearTimeout(waiting);
    newest += 1; // an answer under way is about older words
    told.textContent = "";
    for (const button of place.querySelectorAll("button")) button.disabled = true;
    waiting = setTimeout(ask, 180);
  });

  form.addEventListener("submit", (event) => {
    const found = place.querySelectorAll(".people a");
    if (told.textContent && found.length === 1) { // Enter opens the one who was found
      event.preventDefault();
      found[0].click();
    }
  });
}

// A date's field shows the browser's own order of day and month: say it in words beside it.
function say(place) {
  const field = document.getElementById(place.dataset.dayOf);
  const tell = () => {
    const [year, month, day] = field.value.split("-").map(Number);
    const date = new Date(Date.UTC(year, month - 1, day));
    place.textContent = field.value && !isNaN(date)
      ? `${DAYS[date.getUTCDay()]} ${day} ${MONTHS[month - 1]} ${year}` : "";
  };
  field.addEventListener("input", tell);
  tell();
}

// A slash goes to the search.
function keys(event) {
  const search = document.querySelector('[role="search"] input[type="search"]');
  const typing = event.target.matches("input, textarea, select");
  if (event.key === "/" && search && !typing) {
    event.preventDefault();
    search.focus();
  }
}

// A file that hovers over its place is seen; the field itself takes it.
function drop(place) {
  for (const kind of ["dragover", "dragleave", "drop"]) {
    place.addEventListener(kind, () => place.classList.toggle("over", kind === "dragover"));
  }
}

for (const place of document.querySelectorAll(".drop")) drop(place);
for (const form of document.querySelectorAll("form[data-live]")) live(form);
for (const place of document.querySelectorAll("[data-day-of]")) say(place);
document.addEventListener("keydown", keys);
