// The sandbox's page shows requests as they come in: the page is asked for again, and what is new is put on top.
// Without this module, "Look again" does the same.

const EVERY = 3000; // ms

async function look(list) {
  const answer = await fetch(location.href);
  if (!answer.ok || answer.redirected) return; // signed out meanwhile, or the integration is gone
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const known = new Set([...list.querySelectorAll("[data-request]")].map((one) => one.dataset.request));
  const fresh = [...page.querySelectorAll("[data-inbox] [data-request]")].filter((one) => !known.has(one.dataset.request));
  if (!fresh.length) return;
  list.querySelector(".lo-empty")?.remove();
  list.prepend(...fresh);
}

const list = document.querySelector("[data-inbox]");
if (list) {
  setInterval(() => document.hidden || look(list).catch(() => {}), EVERY);
}
