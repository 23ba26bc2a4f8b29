// A queue cleared with the keyboard alone: j and k walk the rows, Enter opens one; on a file, a, r and x choose a vote.
// Every page works without this script, with Tab, Space and Enter.
"use strict";
(() => {
  const links = [...document.querySelectorAll("a[data-row]")];
  const choices = { a: "approve", r: "return", x: "reject" };
  const typing = (target) => target.closest("textarea, select, input:not([type=radio])") !== null;

  const walk = (step) => {
    const at = links.indexOf(document.activeElement);
    const next = at < 0 ? (step > 0 ? 0 : links.length - 1) : at + step;
    links[Math.min(Math.max(next, 0), links.length - 1)]?.focus();
  };
  const choose = (value) => {
    const radio = document.querySelector(`input[name=choice][value=${value}]`);
    if (!radio) return;
    radio.checked = true;
    const reason = document.querySelector("textarea[name=reason]");
    const send = radio.form.querySelector("button");
    (value === "approve" ? send : reason ?? send).focus();
  };

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return;
    if (event.key === "j") walk(1);
    else if (event.key === "k") walk(-1);
    else if (event.key in choices) choose(choices[event.key]);
    else return;
    event.preventDefault();
  });
})();
