// What the page does beyond being a document: the stop as a dialogue, focus that stays, a refused form as it was typed.
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

  for (const name of ["htmx:sseBeforeMessage", "htmx:beforeSwap"]) document.body.addEventListener(name, hold);
  for (const name of ["htmx:sseMessage", "htmx:afterSwap"]) document.body.addEventListener(name, giveBack);

  // A form that was refused comes back as it was typed, each fault beside its field.
  const refused = document.querySelector("[data-typed]");
  if (refused) putBack(JSON.parse(refused.dataset.typed));

  function putBack(typed) {
    const sent = (name) => [typed.fields[name] ?? []].flat();
    const isIt = (form) => [...form.querySelectorAll("input[type=hidden]")].every(
      (field) => field.name.startsWith("_") || sent(field.name).includes(field.value));
    const form = [...document.forms].find((each) => each.getAttribute("action") === typed.action && isIt(each));
    if (!form) return;
    for (const field of form.elements) {
      if (!field.name || field.type === "hidden") continue;
      if (field.type === "checkbox") field.checked = sent(field.name).includes(field.value);
      else if (field.name in typed.fields) field.value = sent(field.name)[0];
    }
    for (let at = form.closest("details"); at; at = at.parentElement.closest("details")) at.open = true;
    const marked = Object.entries(typed.wrong).map(([name, said], number) => beside(form, name, said, number));
    (marked[0] || form.querySelector("input:not([type=hidden]), select, textarea, button")).focus();
  }

  // Says what is wrong beside a field, or above the button for what is no single field's; returns the field.
  function beside(form, name, said, number) {
    const fields = name ? form.querySelectorAll('[name="' + CSS.escape(name) + '"]') : [];
    const button = form.querySelector("button[type=submit]"), at = fields[0] || button;
    const words = document.createElement("small");
    words.className = "wrong";
    words.id = "wrong-" + number;
    words.textContent = said;
    if (fields.length > 1) at.closest("fieldset").append(words);
    else if (fields.length) at.after(words);
    else (button.closest(".buttons") || button).before(words);
    at.setAttribute("aria-describedby", words.id);
    if (fields.length) at.setAttribute("aria-invalid", "true");
    return fields[0];
  }
})();
