// What two snapshots say about the time between them. Pure; ops/bascule_ops/observe/rates.py does the same
// for the terminal, and a test holds the two together.

const counters = (worker) => worker.metrics ?? null;

/** What a worker is called: "worker-0" for "0"; "observer" is a name already. */
export const nameOf = (worker) => (/^\d+$/.test(worker.worker) ? `worker-${worker.worker}` : worker.worker);

/** The growth of a counter. One that went back has begun anew. */
const growth = (before, after) => (after >= before ? after - before : after);

/** A histogram's growth: `{bounds, counts, count}`, `counts` cumulative as in the snapshot. */
function histogramGrowth(before, after) {
  const anew = !before || after.count < before.count;
  const finite = after.buckets.filter(([bound]) => typeof bound === "number");
  return {
    bounds: finite.map(([bound]) => bound),
    counts: finite.map(([, count], index) => (anew ? count : count - before.buckets[index][1])),
    count: anew ? after.count : after.count - before.count,
  };
}

/** The sum of histograms with the same bounds. */
function addHistograms(histograms) {
  const [first, ...others] = histograms;
  if (!first) return { bounds: [], counts: [], count: 0 };
  const sum = { bounds: first.bounds, counts: [...first.counts], count: first.count };
  for (const other of others) {
    other.counts.forEach((count, index) => { sum.counts[index] += count; });
    sum.count += other.count;
  }
  return sum;
}

/**
 * A quantile, in seconds, linear within a bucket as Prometheus has it. Past the last bound it
 * is that bound; of nothing it is null.
 */
export function quantile(histogram, part) {
  if (histogram.count === 0) return null;
  const rank = part * histogram.count;
  const index = histogram.counts.findIndex((count) => count >= rank);
  if (index < 0) return histogram.bounds.at(-1) ?? null;
  const below = index === 0 ? 0 : histogram.counts[index - 1];
  const low = index === 0 ? 0 : histogram.bounds[index - 1];
  const inside = histogram.counts[index] - below;
  return inside === 0 ? low : low + (histogram.bounds[index] - low) * ((rank - below) / inside);
}

/** What one worker, or all of them, did in `seconds`. */
function rates(statuses, duration, queueWait, seconds) {
  const requests = Object.values(statuses).reduce((sum, value) => sum + value, 0);
  return {
    requests: requests / seconds,
    clientErrors: (statuses["4xx"] ?? 0) / seconds,
    serverErrors: (statuses["5xx"] ?? 0) / seconds,
    p50: quantile(duration, 0.5),
    p95: quantile(duration, 0.95),
    p99: quantile(duration, 0.99),
    wait50: quantile(queueWait, 0.5),
    wait99: quantile(queueWait, 0.99),
  };
}

/**
 * Rates and percentiles between two snapshots: `{total, workers: {name: rates}}`. Null where
 * there is no time between them, or nobody counted in both.
 */
export function between(before, after) {
  const seconds = (Date.parse(after.time) - Date.parse(before.time)) / 1000;
  if (!(seconds > 0)) return null;
  const earlier = new Map(before.workers.map((worker) => [worker.worker, counters(worker)]));
  const sums = {};
  const durations = [];
  const waits = [];
  const workers = {};
  for (const worker of after.workers) {
    const now = counters(worker);
    const then = earlier.get(worker.worker);
    if (!now || !then) continue;
    const statuses = {};
    for (const [status, value] of Object.entries(now.requests)) {
      statuses[status] = growth(then.requests[status] ?? 0, value);
      sums[status] = (sums[status] ?? 0) + statuses[status];
    }
    const duration = histogramGrowth(then.duration, now.duration);
    const wait = histogramGrowth(then.queue_wait, now.queue_wait);
    durations.push(duration);
    waits.push(wait);
    workers[worker.worker] = rates(statuses, duration, wait, seconds);
  }
  if (durations.length === 0) return null;
  return { total: rates(sums, addHistograms(durations), addHistograms(waits), seconds), workers };
}

/** All requests in flight, oldest first, each with its worker's name. */
export function requestsInFlight(snapshot) {
  return snapshot.workers
    .flatMap((worker) => (worker.requests ?? []).map((request) => ({ ...request, worker: nameOf(worker) })))
    .sort((one, other) => other.age_s - one.age_s);
}

/** The recent errors of all workers, newest first. */
export function recentErrors(snapshot) {
  return snapshot.workers
    .flatMap((worker) => (worker.recent_errors ?? []).map((error) => ({ ...error, worker: nameOf(worker) })))
    .sort((one, other) => Date.parse(other.time) - Date.parse(one.time));
}

/** Where calls were slow, over all workers, the most time first. */
export function slowCalls(snapshot) {
  const merged = new Map();
  for (const call of snapshot.workers.flatMap((worker) => worker.slow_calls ?? [])) {
    const known = merged.get(call.location);
    if (!known) {
      merged.set(call.location, { ...call });
      continue;
    }
    known.count += call.count;
    known.total_s += call.total_s;
    if (Date.parse(call.last) > Date.parse(known.last)) Object.assign(known, { last: call.last, path: call.path });
  }
  return [...merged.values()].sort((one, other) => other.total_s - one.total_s);
}
