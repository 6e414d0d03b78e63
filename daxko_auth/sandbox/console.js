// Keeps the page up to date. Without it the page shows the same, as of when it was loaded.
"use strict";

const live = document.getElementById("live");
const connection = document.getElementById("connection");

function countDown() {
  for (const time of document.querySelectorAll("[data-ends]")) {
    const left = Math.max(0, Math.round(Number(time.dataset.ends) - Date.now() / 1000));
    const hours = Math.floor(left / 3600);
    const minutes = Math.floor((left % 3600) / 60);
    const seconds = left % 60;
    time.textContent = hours ? `${hours} h ${minutes} min ${seconds} s` : minutes ? `${minutes} min ${seconds} s` : `${seconds} s`;
  }
}

const changes = new EventSource(`/_sandbox/changes${location.search}`);
changes.onmessage = (event) => {
  // Whoever is in the list of clients with the keyboard stays there.
  const focused = live.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
  live.innerHTML = event.data;
  if (focused) {
    live.querySelector(`a[href="${CSS.escape(focused)}"]`)?.focus();
  }
  countDown();
};
changes.onopen = () => {
  connection.textContent = "Live.";
  connection.className = "live";
};
changes.onerror = () => {
  connection.textContent = "The sandbox does not answer.";
  connection.className = "trouble";
};
setInterval(countDown, 1000);
countDown();

// The page stays where it is; what a button did comes with the next change.
document.querySelector("form").addEventListener("submit", (event) => {
  event.preventDefault();
  const fields = new URLSearchParams(new FormData(event.target, event.submitter));
  // It would lead to the page, whose request would stand in the log.
  fetch(event.target.action, { method: "POST", body: fields, redirect: "manual" });
});

const copy = document.getElementById("copy");
copy.hidden = !navigator.clipboard;
copy.addEventListener("click", async () => {
  await navigator.clipboard.writeText(document.getElementById("exports").textContent);
  copy.textContent = "Copied";
});
