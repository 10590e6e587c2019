// Shows new messages and channels as they come, without moving what is being read.
"use strict";

const messages = document.getElementById("messages");
const channels = document.getElementById("channels");

function scrollToEnd() {
  messages.scrollTop = messages.scrollHeight;
}

function update(current, fresh) {
  if (current.innerHTML !== fresh.innerHTML) {
    current.replaceChildren(...fresh.childNodes);
  }
}

async function refresh() {
  try {
    const answer = await fetch(location.href);
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const atEnd = messages.scrollTop + messages.clientHeight >= messages.scrollHeight - 40;
    update(channels, page.getElementById("channels"));
    update(messages, page.getElementById("messages"));
    if (atEnd) {
      scrollToEnd();
    }
    document.body.classList.remove("ended");
  } catch (error) {
    document.body.classList.add("ended");
  }
}

scrollToEnd();
setInterval(refresh, 1000);
