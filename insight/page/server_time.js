// The cluster's time, by which ages of what it says are told: a reader's clock may be off.

let skew = 0;

/** An overview was made at this RFC 3339 time. */
export function follow(at) {
  const time = Date.parse(at);
  if (!Number.isNaN(time)) skew = time - Date.now();
}

/** ms since 1970. */
export const now = () => Date.now() + skew;
