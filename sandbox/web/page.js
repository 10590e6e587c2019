// Shows new messages and channels as they come, without moving what is being read: only who reads the end is moved along.
"use strict";

const messages = document.getElementById("messages");
const parts = ["channels", "kinds", "messages", "beside"];

function scrollers() {
  return [messages, document.getElementById("log")].filter(Boolean);
}

function scrollToEnd(element) {
  element.scrollTop = element.scrollHeight;
}

function isAtEnd(element) {
  return element.scrollTop > 0 && element.scrollTop + element.clientHeight >= element.scrollHeight - 40;
}

function update(id, page) {
  const current = document.getElementById(id);
  const fresh = page.getElementById(id);
  if (current.innerHTML !== fresh.innerHTML) {
    current.replaceChildren(...fresh.childNodes);
  }
}

async function refresh() {
  try {
    const answer = await fetch(location.href);
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const left = Object.fromEntries(scrollers().filter((part) => !isAtEnd(part)).map((part) => [part.id, part.scrollTop]));
    parts.forEach((id) => update(id, page));
    for (const part of scrollers()) {
      if (part.id in left) {
        part.scrollTop = left[part.id];
      } else {
        scrollToEnd(part);
      }
    }
    document.body.classList.remove("ended");
  } catch (error) {
    document.body.classList.add("ended");
  }
}

setInterval(refresh, 1000);
