// Applies each event once and never an older state of something: events as lines on standard input.
import { createInterface } from "node:readline";

const done = new Set(); // in real life: two tables, written in the transaction of the work
const newest = new Map();

// Whose state an event carries: a person, a group, or a person in a group.
function subject({ data }) {
  return data.user && data.group ? `${data.user.id} in ${data.group.id}` : data.id;
}

function apply(event) {
  const sequence = event.context.directory_sequence ?? event.context.sequence;
  const about = subject(event);
  if (done.has(event.id) || sequence < (newest.get(about) ?? 0)) return false;
  newest.set(about, sequence);
  done.add(event.id);
  return true; // in real life: write data, or delete, to your own tables
}

for await (const line of createInterface({ input: process.stdin })) {
  const event = JSON.parse(line);
  console.log(apply(event) ? "applied" : "skipped", event.event);
}
