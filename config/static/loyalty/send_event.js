// The form of a send event as it is filled in: the event's form on the same page, its name as the tool sees it, and the
// request that it would make. Without this module the page works in two steps, and shows the preview in a window of its own.

const WAIT = 350; // ms after the last key stroke
const page = document.getElementById("send-event-page");

let timer;
let asked; // the request for a preview that is under way

function form() {
  return document.getElementById("send-event");
}

function showName() {
  const { prefix, name } = form().elements;
  document.getElementById("event-name").textContent = prefix.value + (name.value || form().dataset.key);
}

async function showPreview() {
  asked?.abort();
  asked = new AbortController();
  const shown = document.getElementById("preview");
  try {
    const answer = await fetch(form().dataset.preview, {
      method: "POST",
      body: new FormData(form()),
      headers: { "X-Part": "1" },
      signal: asked.signal,
    });
    shown.innerHTML = answer.ok && !answer.redirected ? await answer.text() : "The preview could not be made. Reload the page to sign in again.";
  } catch (error) {
    if (error.name !== "AbortError") shown.textContent = "The preview could not be made: the server did not answer.";
  }
}

function changed() {
  showName();
  clearTimeout(timer);
  timer = setTimeout(showPreview, WAIT);
}

// Another event or recipe: its form takes the place of this one, and what was entered about the tool stays.
async function start(link) {
  const kept = {};
  for (const name of ["integration", "prefix"]) {
    kept[name] = form()?.elements[name]?.value;
  }
  const answer = await fetch(link.href);
  if (!answer.ok || answer.redirected) {
    window.location.assign(link.href);
    return;
  }
  const next = new DOMParser().parseFromString(await answer.text(), "text/html");
  page.replaceChildren(...next.getElementById("send-event-page").childNodes);
  window.history.replaceState(null, "", link.href);
  for (const [name, value] of Object.entries(kept)) {
    if (value && form()?.elements[name]) form().elements[name].value = value;
  }
  if (Object.values(kept).some(Boolean)) changed();
  page.querySelector("h1").focus();
  window.scrollTo({ top: 0 });
}

page.addEventListener("input", (event) => {
  if (form() && event.target.form === form()) changed();
});
page.addEventListener("change", (event) => {
  if (form() && event.target.form === form()) changed();
});
async function showMatches(button) {
  const shown = document.getElementById("matches");
  shown.textContent = "Counting …";
  button.disabled = true;
  try {
    const answer = await fetch(button.formAction, { method: "POST", body: new FormData(form()), headers: { "X-Part": "1" } });
    if (!answer.ok || answer.redirected) throw new Error("no answer");
    shown.innerHTML = await answer.text();
  } catch {
    shown.textContent = "They could not be counted: the server did not answer as it should.";
  }
  button.disabled = false;
}

page.addEventListener("click", (event) => {
  const counting = event.target.closest("button[data-matches]");
  if (counting) {
    event.preventDefault();
    showMatches(counting);
    return;
  }
  const link = event.target.closest("a[data-start]");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  start(link);
});
