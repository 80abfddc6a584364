// Test events: a dialog in the place of their page, and customers suggested while an address is typed.
// Without this module every button leads to that page, which does the same.

const WAIT = 200; // ms after the last key stroke
const dialog = document.getElementById("test-dialog");

let source; // the form that says what is tested

function part(name) {
  return dialog.querySelector(`[data-${name}]`);
}

// --- The dialog ------------------------------------------------------------------------------------------------------

function open(button) {
  source = button.form;
  part("results").replaceChildren();
  dialog.showModal();
  dialog.querySelector('[name="address"]').focus();
}

async function send(form) {
  const status = part("status");
  const button = form.querySelector('[type="submit"]');
  const data = new FormData(source);
  for (const [name, value] of new FormData(form)) data.set(name, value);
  button.disabled = true;
  status.textContent = "Sending …";
  part("results").replaceChildren();
  try {
    const answer = await fetch(form.action, { method: "POST", body: data, headers: { "X-Part": "1" } });
    if (!answer.ok || answer.redirected) throw new Error("Reload the page and try again.");
    const said = new DOMParser().parseFromString(await answer.text(), "text/html");
    part("answer").replaceChildren(...said.querySelector('[data-part="answer"]').childNodes);
    part("results").replaceChildren(...said.querySelector('[data-part="results"]').childNodes);
    status.textContent = "";
    suggestAll(dialog);
    (dialog.querySelector(".errorlist") ?? part("results")).scrollIntoView({ block: "nearest" });
  } catch (error) {
    status.textContent = `The server did not answer as it should. ${error.message}`;
  }
  button.disabled = false;
}

if (dialog) {
  document.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-test]");
    if (!button) return;
    event.preventDefault();
    open(button);
  });
  dialog.addEventListener("submit", (event) => {
    event.preventDefault();
    send(event.target);
  });
  dialog.addEventListener("click", (event) => {
    if (event.target.closest("[data-close]")) dialog.close();
  });
}

// --- Suggestions: a combobox with a list, as WAI-ARIA describes it (https://www.w3.org/WAI/ARIA/apg/patterns/combobox/) --

function suggest(field) {
  const input = field.querySelector("input");
  const list = document.createElement("ul");
  list.id = `${input.id}-customers`;
  list.className = "lo-suggestions";
  list.setAttribute("role", "listbox");
  list.setAttribute("aria-label", "Customers");
  list.hidden = true;
  input.after(list);
  for (const [name, value] of Object.entries({ role: "combobox", "aria-autocomplete": "list", "aria-expanded": "false", "aria-controls": list.id })) {
    input.setAttribute(name, value);
  }

  let timer;
  let latest = 0;

  function close() {
    list.hidden = true;
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
  }

  function mark(option) {
    for (const one of list.children) one.setAttribute("aria-selected", String(one === option));
    input.setAttribute("aria-activedescendant", option.id);
    option.scrollIntoView({ block: "nearest" });
  }

  function take(option) {
    input.value = option.dataset.value;
    close();
  }

  function option(customer, place) {
    const item = document.createElement("li");
    item.id = `${list.id}-${place}`;
    item.setAttribute("role", "option");
    item.setAttribute("aria-selected", "false");
    item.dataset.value = customer.value;
    item.append(customer.value);
    if (customer.label) {
      const name = document.createElement("span");
      name.className = "lo-quiet";
      name.textContent = ` ${customer.label}`;
      item.append(name);
    }
    item.addEventListener("pointerdown", (event) => {
      event.preventDefault(); // the input keeps its focus
      take(item);
    });
    return item;
  }

  async function look() {
    if (!input.isConnected) return; // its form was sent and has come back anew, while this waited
    const mine = ++latest;
    const mode = input.form.elements.mode.value || "email";
    const query = new URLSearchParams({ mode, typed: input.value });
    const answer = await fetch(`${field.dataset.suggest}?${query}`);
    if (!answer.ok || answer.redirected || mine !== latest) return;
    const { customers } = await answer.json();
    const others = customers.filter((customer) => customer.value !== input.value);
    list.replaceChildren(...others.map(option));
    list.hidden = others.length === 0 || document.activeElement !== input;
    input.setAttribute("aria-expanded", String(!list.hidden));
  }

  input.addEventListener("input", () => {
    close();
    clearTimeout(timer);
    timer = setTimeout(look, WAIT);
  });
  // Not at once: where the list goes, what is below it moves, and a click that has just begun there would miss it.
  input.addEventListener("blur", () => setTimeout(() => document.activeElement === input || close(), 250));
  input.addEventListener("keydown", (event) => {
    if (list.hidden) return;
    const options = [...list.children];
    const at = options.findIndex((one) => one.getAttribute("aria-selected") === "true");
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      const step = event.key === "ArrowDown" ? 1 : -1;
      mark(options[(at + step + options.length) % options.length]);
    } else if (event.key === "Enter" && at >= 0) {
      event.preventDefault();
      take(options[at]);
    } else if (event.key === "Escape") {
      event.preventDefault();
      close();
    }
  });
}

function suggestAll(place) {
  for (const field of place.querySelectorAll("[data-suggest]")) suggest(field);
}

suggestAll(document);
