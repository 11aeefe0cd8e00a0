// Passkeys: the button of a sign-in asks the server for a question, the device for its answer, and takes it back.
// The form of one's own account makes new ones in the same way.

const bytes = (words) => {
  const plain = words.replaceAll("-", "+").replaceAll("_", "/");
  return Uint8Array.from(atob(plain), (c) => c.charCodeAt(0));
};

const words = (buffer) => {
  const plain = btoa(String.fromCharCode(...new Uint8Array(buffer)));
  return plain.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
};

async function post(address, body) {
  const answer = await fetch(address, {
    method: "POST",
    headers: { "content-type": "application/json", accept: "application/json" },
    body: JSON.stringify(body),
  });
  const said = await answer.json();
  if (!answer.ok) throw new Error([said.say, said.hint].filter(Boolean).join(". "));
  return said;
}

const known = (list) => (list ?? []).map((c) => ({ ...c, id: bytes(c.id) }));

async function show(question) {
  const asked = question.publicKey;
  const publicKey = {
    ...asked,
    challenge: bytes(asked.challenge),
    allowCredentials: known(asked.allowCredentials),
  };
  const shown = await navigator.credentials.get({ publicKey });
  const { authenticatorData, clientDataJSON, signature, userHandle } = shown.response;
  return answerOf(shown, {
    authenticatorData: words(authenticatorData),
    clientDataJSON: words(clientDataJSON),
    signature: words(signature),
    userHandle: userHandle ? words(userHandle) : null,
  });
}

async function make(question) {
  const asked = question.publicKey;
  const publicKey = {
    ...asked,
    challenge: bytes(asked.challenge),
    user: { ...asked.user, id: bytes(asked.user.id) },
    excludeCredentials: known(asked.excludeCredentials),
  };
  const made = await navigator.credentials.create({ publicKey });
  return answerOf(made, {
    attestationObject: words(made.response.attestationObject),
    clientDataJSON: words(made.response.clientDataJSON),
    transports: made.response.getTransports?.() ?? null,
  });
}

function answerOf(credential, response) {
  return {
    id: credential.id,
    rawId: words(credential.rawId),
    type: credential.type,
    response,
    clientExtensionResults: {},
  };
}

async function prove(box) {
  const { code, question } = await post("/sign-in/passkey/question", {});
  const answer = await show(question);
  const { passkey: purpose, back } = box.dataset;
  return post("/sign-in/passkey/answer", { code, answer, purpose, back });
}

async function add(box) {
  const name = box.querySelector("input")?.value ?? "";
  const { code, question } = await post("/account/passkeys/question", { name });
  const answer = await make(question);
  return post("/account/passkeys/answer", { code, answer });
}

async function pressed(box) {
  const said = box.querySelector(".passkey-said");
  const button = box.querySelector("button");
  button.disabled = true;
  said.hidden = true;
  try {
    const { to } = await (box.dataset.passkey === "add" ? add(box) : prove(box));
    location.assign(to);
  } catch (error) {
    // What the browser says of a refusal is for programmers.
    said.textContent = error instanceof DOMException ? box.dataset.refused : error.message;
    said.hidden = false;
    button.disabled = false;
  }
}

if (window.PublicKeyCredential) {
  for (const box of document.querySelectorAll("[data-passkey]")) {
    box.hidden = false;
    box.querySelector("button").addEventListener("click", () => pressed(box));
  }
}
