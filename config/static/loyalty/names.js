// Gives the admin's boxes that suggest rows (select2) the name of their label, for those who hear the page.
"use strict";
window.addEventListener("load", () => {
  for (const select of document.querySelectorAll("select.admin-autocomplete")) {
    const label = document.querySelector(`label[for="${select.id}"]`);
    const box = select.nextElementSibling;
    if (!label || !box) continue;
    const name = label.textContent.trim().replace(/:$/, "");
    const selection = box.querySelector(".select2-selection");
    selection.removeAttribute("aria-labelledby");
    selection.setAttribute("aria-label", name);
    box.querySelector(".select2-selection__rendered").setAttribute("aria-label", name);
  }
});
