// Asks for the snapshot every two seconds while the page is seen, and knows whether what is
// shown is live.

const PERIOD = 2000; // ms between two questions
const LIMIT = 5000; // ms for an answer: the stack takes 2 s at most

/** Why there was no answer, in words. */
function reason(error) {
  if (error.name === "TimeoutError") return `no answer within ${LIMIT / 1000} s`;
  if (error instanceof TypeError) return "nothing answers at this address";
  return error.message;
}

async function ask(url) {
  const answer = await fetch(url, { cache: "no-store", signal: AbortSignal.timeout(LIMIT) });
  if (!answer.ok) throw new Error(`the answer is status ${answer.status}`);
  try {
    return await answer.json();
  } catch (error) {
    throw error.name === "TimeoutError" ? error : new Error("the answer is not JSON", { cause: error });
  }
}

/**
 * @param {string} url
 * @param {{onSnapshot: (snapshot) => void, onLost: (since: Date, reason: string) => void,
 *   onPause: () => void}} listener `onLost` is called at every failure, with the time of the
 *   first in a row.
 */
export function keepAsking(url, { onSnapshot, onLost, onPause }) {
  let lostSince = null;
  let timer = null;
  let asking = false;

  async function turn() {
    clearTimeout(timer);
    if (asking || document.hidden) return;
    asking = true;
    let snapshot = null;
    let why = "";
    try {
      snapshot = await ask(url);
    } catch (error) {
      why = reason(error);
    }
    asking = false;
    // Hidden meanwhile: what came is as old as it will be when it is seen.
    if (document.hidden) return;
    try {
      if (snapshot) onSnapshot(snapshot);
    } catch (error) {
      console.error(error);
      why = `the answer cannot be shown (${error.message})`;
    }
    if (why) onLost(lostSince ??= new Date(), why);
    else lostSince = null;
    timer = setTimeout(turn, PERIOD);
  }

  document.addEventListener("visibilitychange", () => {
    if (document.hidden) {
      clearTimeout(timer);
      onPause();
    } else {
      turn();
    }
  });
  turn();
}
