// The page after a payment: asks every second whether it is confirmed, and says so when it isn't
// after a minute.

const PATIENCE_MS = 60_000;

const outcome = document.getElementById("outcome");
const began = Date.now();

async function look() {
  if (!document.hidden) {
    try {
      const answer = await fetch(outcome.dataset.source, { cache: "no-store" });
      if (answer.ok && (await answer.json()).state !== outcome.dataset.state) {
        location.reload();
        return;
      }
    } catch {
      // The network is away for a moment; the next look tells.
    }
  }
  const late = Date.now() - began > PATIENCE_MS;
  if (late) outcome.querySelector(".late").hidden = false;
  setTimeout(look, late ? 10_000 : 1_000);
}

setTimeout(look, 500);
