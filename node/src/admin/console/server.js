// What the node is asked: again and again while somebody looks, less often while it does not answer.
//
// What must hold: one question of each kind is under way at a time; an answer that comes after its view was left is
// dropped; whether the page is live is known from the answers alone.

const API = "/api/v1/";
const ANSWER_MS = 8000;
const PERIOD_MS = 2000;
const PAUSE_MAX_MS = 6000;

class Refused extends Error {
  constructor(status, reason) {
    super(reason);
    this.status = status;
  }
}

/** Asks once. Throws `Refused` where the node answers that it does not, and another error where it does not answer. */
async function ask(path, parameters = {}, signal = undefined) {
  const kept = Object.entries(parameters).filter(([, value]) => value !== undefined && value !== null && value !== "");
  const query = new URLSearchParams(kept).toString();
  const late = AbortSignal.timeout(ANSWER_MS);
  const response = await fetch(`${API}${path}${query ? `?${query}` : ""}`, {
    signal: signal ? AbortSignal.any([signal, late]) : late,
    cache: "no-store",
    credentials: "omit",
  });
  const body = await response.json();
  if (!response.ok) throw new Refused(response.status, body.error ?? `status ${response.status}`);
  freshness.heard();
  return body;
}

/** Whether what is shown is of now. */
const freshness = {
  heardAt: null,
  lostAt: null,
  watchers: new Set(),
  heard() {
    this.heardAt = Date.now();
    this.lostAt = null;
    this.tell();
  },
  lost() {
    this.lostAt ??= Date.now();
    this.tell();
  },
  tell() {
    for (const watcher of this.watchers) watcher(this);
  },
};

/** Asks the same again and again until stopped; `parameters` is a function of the moment. */
class Poll {
  constructor(path, parameters, told, refused = () => {}) {
    Object.assign(this, { path, parameters, told, refused, failures: 0 });
    this.stopped = new AbortController();
    this.turn();
  }

  async turn() {
    clearTimeout(this.timer);
    if (this.underWay || this.stopped.signal.aborted) {
      this.again = true;
      return;
    }
    this.underWay = true;
    this.again = false;
    const asked = ask(this.path, this.parameters(), this.stopped.signal);
    const { answer, error } = await asked.then((answer) => ({ answer }), (error) => ({ error }));
    this.underWay = false;
    if (this.stopped.signal.aborted) return;
    const isLost = error !== undefined && !(error instanceof Refused);
    this.failures = isLost ? this.failures + 1 : 0;
    const pause = document.hidden ? PAUSE_MAX_MS * 2 : Math.min(PERIOD_MS * (1 + this.failures / 2), PAUSE_MAX_MS);
    this.timer = setTimeout(() => this.turn(), this.again ? 0 : pause);
    if (isLost) freshness.lost();
    // Asked anew meanwhile: this is the answer to the question before.
    else if (!this.again) error ? this.refused(error) : this.told(answer);
  }

  stop() {
    clearTimeout(this.timer);
    this.stopped.abort();
  }
}
