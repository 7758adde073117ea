// What the page does beyond being a document: the stop as a dialogue, and focus that stays where it is.
"use strict";
(function () {
  const dialogue = document.getElementById("halt-dialogue");
  const stop = document.getElementById("halt");

  function ask(event) {
    event.preventDefault();
    dialogue.showModal();
    dialogue.querySelector("button[type=submit]").focus();
  }

  if (dialogue && stop && dialogue.showModal) {
    stop.addEventListener("click", ask);
    dialogue.querySelector("[data-close]").addEventListener("click", () => dialogue.close());
    document.addEventListener("keydown", (event) => {
      const typing = event.target.closest("input, textarea, select");
      if (event.shiftKey && event.key === "H" && !typing) ask(event);
    });
  }

  // What is focused stays so when the part around it is replaced: the same link, or whatever stands in its place.
  const REACHED = "a[href], button, input, select, textarea, summary, [tabindex]";
  let held = null;

  function hold(event) {
    const at = document.activeElement, part = event.target;
    held = part !== at && part.contains(at) ? { link: at.getAttribute("href"), place: [...part.querySelectorAll(REACHED)].indexOf(at), id: part.id } : null;
  }

  function giveBack(event) {
    if (!held) return;
    const all = [...(document.getElementById(held.id) || event.target).querySelectorAll(REACHED)];
    const same = all.find((each) => held.link && each.getAttribute("href") === held.link) || all[held.place];
    held = null;
    if (same) same.focus({ preventScroll: true });
  }

  // What is heard when it changes is not heard again when an open page, or the next one, is told the same.
  document.body.addEventListener("htmx:sseBeforeMessage", (event) => {
    if (event.target.ariaLive === "polite" && event.target.innerHTML === event.detail.data) event.preventDefault();
  });

  for (const name of ["htmx:sseBeforeMessage", "htmx:beforeSwap"]) document.body.addEventListener(name, hold);
  for (const name of ["htmx:sseMessage", "htmx:afterSwap"]) document.body.addEventListener(name, giveBack);
})();
