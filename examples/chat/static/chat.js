"use strict";

const element = (id) => document.getElementById(id);
const STATES = {
  connecting: "Connecting",
  connected: "Connected",
  reconnecting: "Reconnecting",
  disconnected: "Not connected",
};
let connection;
let name;

element("join").addEventListener("submit", async (event) => {
  event.preventDefault();
  name = element("name").value.trim();
  element("trouble").textContent = "";
  // The client appends /negotiate to the path and keeps the query.
  connection = new signalR.HubConnectionBuilder()
    .withUrl(`chat?user=${encodeURIComponent(name)}`)
    .withAutomaticReconnect()
    .configureLogging(signalR.LogLevel.Warning)
    .build();
  connection.on("message", addMessage);
  connection.onreconnecting(() => showState("reconnecting"));
  connection.onreconnected(() => showState("connected"));
  connection.onclose(() => leave("The connection is gone. Join again when the chat is back."));
  showState("connecting");
  try {
    await connection.start();
  } catch (error) {
    leave(`Joining failed. ${error.message}`);
    return;
  }
  showState("connected");
  showChat(true);
  element("text").focus();
});

element("say").addEventListener("submit", async (event) => {
  event.preventDefault();
  const text = element("text").value;
  element("failure").textContent = "";
  try {
    const answer = await fetch("messages", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ user: name, text }),
    });
    if (!answer.ok) throw new Error(`The server answered ${answer.status}.`);
    // Whoever went on typing meanwhile keeps the new text.
    if (element("text").value === text) element("text").value = "";
  } catch (error) {
    element("failure").textContent = `The message was not sent. ${error.message}`;
  }
});

// A key is renewed when somebody needs one and finds it due. Few people join, so the pages ask, as health checks do.
async function showKey() {
  let text = "";
  if (connection?.state === signalR.HubConnectionState.Connected) {
    try {
      const { kid, age } = await (await fetch("health")).json();
      text = `Key ${kid.slice(0, 8)} signs now. It is ${Math.floor(age)} s old.`;
    } catch {
      text = "The server names no key.";
    }
  }
  element("key").textContent = text;
  setTimeout(showKey, 1000);
}

showKey();

function addMessage(from, text) {
  const item = document.createElement("li");
  item.classList.toggle("own", from === name);
  item.append(span("from", from), span("text", text));
  const list = element("messages");
  // Readers of older messages stay where they are.
  const atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 40;
  list.append(item);
  if (atEnd) item.scrollIntoView();
}

function span(className, text) {
  const made = document.createElement("span");
  made.className = className;
  // Never innerHTML: other people write these texts.
  made.textContent = text;
  return made;
}

function leave(reason) {
  showState("disconnected");
  showChat(false);
  element("trouble").textContent = reason;
}

function showChat(joined) {
  element("join").hidden = joined;
  element("messages").hidden = element("say").hidden = !joined;
  element("who").textContent = joined ? `You are ${name}` : "";
}

function showState(state) {
  element("state").dataset.state = state;
  element("state").textContent = STATES[state];
  // Joining twice would make two connections.
  element("enter").disabled = state === "connecting";
}
