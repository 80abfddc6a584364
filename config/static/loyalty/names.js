// Gives the admin's boxes that suggest rows (select2) the name of their label, for those who hear the page.
"use strict";
window.addEventListener("load", () => {
  // jQuery calls in order: these are made by then.
  window.django?.jQuery?.(() => {
    for (const select of document.querySelectorAll("select.admin-autocomplete")) {
      const label = document.querySelector(`label[for="${select.id}"]`);
      const selection = select.nextElementSibling?.querySelector(".select2-selection");
      if (!label || !selection) continue;
      const name = label.textContent.trim().replace(/:$/, "");
      selection.removeAttribute("aria-labelledby");
      selection.setAttribute("aria-label", name);
      selection.querySelector(".select2-selection__rendered").setAttribute("aria-label", name);
    }
  });
});
