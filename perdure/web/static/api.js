// Requests, with the token that the link of the command line brought in its fragment.

const KEY = "perdure-token";

export class ApiError extends Error {
  constructor(status, finding, hint) {
    super(finding);
    this.status = status;
    this.hint = hint;
  }
}

/** Takes the token out of the address, where it must not stay. */
export function takeToken() {
  const match = location.hash.match(/^#t=([\w-]+)(\/.*)?$/);
  if (!match) return;
  localStorage.setItem(KEY, match[1]);
  history.replaceState(null, "", `${location.pathname}#${match[2] ?? "/"}`);
}

const headers = (more) => ({ Authorization: `Bearer ${localStorage.getItem(KEY) ?? ""}`, ...more });

async function failure(response) {
  const body = await response.json().catch(() => ({}));
  return new ApiError(response.status, body.error?.finding ?? `HTTP ${response.status}`, body.error?.hint ?? "");
}

async function request(path, options) {
  let response;
  try {
    response = await fetch(`/api/v1${path}`, options);
  } catch {
    throw new ApiError(0, "the server does not answer", "is perdure ui still running?");
  }
  if (!response.ok) throw await failure(response);
  return response.json();
}

export const get = (path) => request(path, { headers: headers() });

export const post = (path, body) =>
  request(path, { method: "POST", headers: headers({ "Content-Type": "application/json" }), body: JSON.stringify(body) });

/** Where a run, or a part of it, is in the API. */
export const runPath = (id, ...parts) => ["/runs", encodeURIComponent(id), ...parts].join("/");

/** Follows the events of a run until it ends or `signal` aborts; connects again after a break. */
export async function follow(id, signal, on) {
  for (let pause = 500; !signal.aborted; pause = Math.min(pause * 2, 10000)) {
    try {
      const response = await fetch(`/api/v1${runPath(id, "events")}`, { headers: headers(), signal });
      if (!response.ok) throw await failure(response);
      on("connected");
      if (await read(response.body, on)) return;
      pause = 500;
    } catch (error) {
      if (signal.aborted) return;
      on("broken", error instanceof ApiError ? error : new ApiError(0, "the server does not answer; trying again", "is perdure ui still running?"));
      if (error instanceof ApiError) return;
    }
    await new Promise((resolve) => setTimeout(resolve, pause));
  }
}

/** Reads server-sent events; true when the server said that there will be no more. */
async function read(body, on) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return false;
    const blocks = (rest + value).split("\n\n");
    rest = blocks.pop();
    for (const block of blocks) {
      const match = block.match(/^event: (\w+)\ndata: (.*)$/s);
      if (!match) continue;
      on(match[1], JSON.parse(match[2]));
      if (match[1] === "end" || match[1] === "error") return true;
    }
  }
}
