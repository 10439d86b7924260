// Levels of nodes since the page was opened. Nothing of it leaves the browser.

/** Points kept per node; a level changes a few times an hour. */
const KEPT = 400;

/** `points` of a node are {at, level, hardware, software, reduced}, one for each change; `at` is in ms. */
export class History {
  constructor(clock) {
    this.clock = clock;
    this.began = clock();
    this.byNode = new Map();
  }

  record(nodes) {
    const at = this.clock();
    const names = new Set();
    for (const { name, level, hardware, software, reduced } of nodes) {
      names.add(name);
      const points = this.byNode.get(name) ?? [];
      const last = points.at(-1);
      if (last && last.level === level && last.reduced === reduced && last.hardware === hardware && last.software === software) continue;
      this.byNode.set(name, [...points, { at, level, hardware, software, reduced }].slice(-KEPT));
    }
    for (const name of this.byNode.keys()) if (!names.has(name)) this.byNode.delete(name);
  }

  points(name) {
    return this.byNode.get(name) ?? [];
  }
}
