// Shows new messages and channels as they come, without moving what is being read: only who reads the end is moved along.
"use strict";

function scrollers() {
  return [...document.querySelectorAll("#messages, #log")];
}

function isAtEnd(element) {
  return element.scrollTop > 0 && element.scrollTop + element.clientHeight >= element.scrollHeight - 40;
}

async function refresh() {
  try {
    const answer = await fetch(location.href);
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const left = new Map(scrollers().filter((part) => !isAtEnd(part)).map((part) => [part.id, part.scrollTop]));
    for (const id of ["channels", "kinds", "messages", "beside"]) {
      const [current, fresh] = [document, page].map((each) => each.getElementById(id));
      if (current.innerHTML !== fresh.innerHTML) {
        current.replaceChildren(...fresh.childNodes);
      }
    }
    for (const part of scrollers()) {
      part.scrollTop = left.get(part.id) ?? part.scrollHeight;
    }
    document.body.classList.remove("ended");
  } catch (error) {
    document.body.classList.add("ended");
  }
}

setInterval(refresh, 1000);
