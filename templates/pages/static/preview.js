// The preview's page. The server draws everything; this asks for it again and puts it in place.
//
// 1. A choice, a lesson or the back button: fetch the page for that address and take over its parts.
// 2. A file changed: load the letter again at once, then the page, which waits for the findings.
// 3. The frame is as high as its letter and the stage scrolls, so nothing jumps when it is replaced.

const form = document.getElementById("controls");
const frame = document.getElementById("letter");
const stage = document.getElementById("stage");
const PARTS = ["lessons", "envelope", "notes", "count", "findings"];
const VIEWS = [...form.elements.view].map((input) => input.value);
let latest = 0;

function fit() {
  const page = frame.contentDocument;
  if (page?.body) frame.style.height = `${page.body.scrollHeight}px`;
}

function takeOver(fresh) {
  const focused = document.activeElement?.id;
  for (const id of PARTS) {
    const old = document.getElementById(id);
    const its = fresh.getElementById(id);
    if (old.innerHTML !== its.innerHTML) old.replaceChildren(...its.childNodes);
  }
  [...form.elements].forEach((control, place) => {
    const { checked, value } = fresh.forms[0].elements[place];
    if (control.type !== "button") Object.assign(control, { checked, value });
  });
  if (focused) document.getElementById(focused)?.focus();
  document.querySelector("#lessons [aria-current]")?.scrollIntoView({ block: "nearest" });
  document.title = fresh.title;
}

function turnTo(its) {
  Object.assign(frame.dataset, its.dataset);
  const [now, next] = [frame.contentWindow.location, new URL(its.getAttribute("src"), location)];
  if (now.href === next.href) return fit();
  if (now.pathname !== next.pathname) stage.scrollTop = 0;
  now.replace(next);  // and not src, which would put a step before the back button
}

function say(words) {
  document.getElementById("count").textContent = words;
}

async function show(address) {
  const mine = ++latest;
  try {
    const answer = await fetch(address);
    if (!answer.ok) throw new Error(answer.statusText);
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    if (mine !== latest) return;
    takeOver(fresh);
    turnTo(fresh.getElementById("letter"));
  } catch {
    say("Not connected. Is physiopost preview running?");
  }
}

function go(address, way = "pushState") {
  history[way](null, "", address);
  show(address);
}

function choose(name, value) {
  form.elements[name].value = value;
  form.requestSubmit();
}

function step(by) {
  const links = [...document.querySelectorAll("#lessons a")];
  const next = links[links.findIndex((link) => link.hasAttribute("aria-current")) + by];
  if (next) go(next.href);
}

function toggle(scheme) {
  choose("scheme", form.elements.scheme.value === scheme ? "light" : scheme);
}

const print = () => frame.contentWindow.print();
const KEYS = { j: () => step(1), k: () => step(-1), d: () => toggle("dark"), i: () => toggle("inverted"), p: print };
VIEWS.forEach((view, place) => { KEYS[place + 1] = () => choose("view", view); });

function pressed(event) {
  const typing = event.target.tagName === "SELECT";
  if (typing || event.ctrlKey || event.metaKey || event.altKey || !KEYS[event.key]) return;
  event.preventDefault();
  KEYS[event.key]();
}

function loaded() {
  fit();
  frame.contentDocument?.addEventListener("keydown", pressed);
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  go(`/?${new URLSearchParams(new FormData(form))}`, "replaceState");  // back leads to the lesson before
});
form.addEventListener("change", () => form.requestSubmit());
document.getElementById("lessons").addEventListener("click", (event) => {
  const link = event.target.closest("a");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  go(link.href);
});
document.getElementById("print").addEventListener("click", print);
document.addEventListener("keydown", pressed);
addEventListener("popstate", () => show(location.href));
addEventListener("resize", fit);
frame.addEventListener("load", loaded);
if (frame.contentDocument?.readyState === "complete") loaded();

const events = new EventSource(`/events?seen=${document.body.dataset.mark}`);
events.addEventListener("changed", () => {
  frame.contentWindow.location.reload();
  show(location.href);
});
events.addEventListener("error", () => show(location.href));
events.addEventListener("stopped", () => {
  events.close();
  latest += 1;
  say("Stopped. Run physiopost preview again, and reload.");
});
