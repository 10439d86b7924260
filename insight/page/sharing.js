// Structural sharing: what did not change from one overview to the next stays the same object, so
// that a component sees by identity whether it has anything to draw.

/** Whether two JSON values have the same content. */
export function equal(left, right) {
  if (left === right) return true;
  if (typeof left !== "object" || typeof right !== "object" || left === null || right === null) return false;
  const names = Object.keys(left);
  return names.length === Object.keys(right).length && names.every((name) => equal(left[name], right[name]));
}

/** The new items, with the old object wherever it has the same key and content. */
export function share(old, items, keyOf) {
  const known = new Map(old.map((item) => [keyOf(item), item]));
  let changed = old.length !== items.length;
  const shared = items.map((item, index) => {
    const before = known.get(keyOf(item));
    const kept = before !== undefined && equal(before, item) ? before : item;
    changed ||= kept !== old[index];
    return kept;
  });
  return changed ? shared : old;
}

export const podKey = (pod) => pod.uid || `${pod.namespace}/${pod.name}`;
const happeningKey = (one) => `${one.at} ${one.kind} ${one.node} ${one.namespace}/${one.pod} ${one.text}`;

const RANK = { HI: 0, LOW: 1, NO: 2 };
export const rank = (criticality) => RANK[criticality] ?? 3;

/** Names as people count: edge-2 before edge-10. */
const { compare } = new Intl.Collator("en", { numeric: true });

function byCriticality(left, right) {
  return rank(left.criticality) - rank(right.criticality) || compare(left.namespace, right.namespace) || compare(left.name, right.name);
}

/** An overview in the order in which it is shown, sharing all that `old` has too. */
export function next(old, overview) {
  const before = old ?? { nodes: [], pods: [], networks: [], happenings: [], unreadable: [] };
  const happenings = [...overview.happenings].sort((left, right) => (left.at < right.at ? 1 : left.at > right.at ? -1 : 0));
  return {
    at: overview.at,
    nodes: share(before.nodes, [...overview.nodes].sort((left, right) => compare(left.name, right.name)), (node) => node.name),
    pods: share(before.pods, [...overview.pods].sort(byCriticality), podKey),
    networks: share(before.networks, overview.networks, (network) => network.name),
    happenings: share(before.happenings, happenings, happeningKey),
    unreadable: share(before.unreadable, overview.unreadable, (text) => text),
  };
}
