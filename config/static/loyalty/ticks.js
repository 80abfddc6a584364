// "Tick this page": shown only where this runs; without it each row is ticked by itself.
document.querySelectorAll("[data-ticks]").forEach((all) => {
  const boxes = all.form.querySelectorAll(`input[name="${all.dataset.ticks}"]`);
  all.closest("[hidden]").hidden = false;
  all.addEventListener("change", () => boxes.forEach((box) => { box.checked = all.checked; }));
});
