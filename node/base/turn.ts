/**
 * The end of this turn of the event loop, when all that was ready to be read has been. First works
 * what gathers what there is to say, then what writes: nothing waits for another turn, each of which
 * costs system calls of its own.
 */
type Work = () => void;

let gathering: Work[] = [];
let writing: Work[] = [];
let isSet = false;

/** What this leaves to be gathered waits for the next turn; what it has written goes out in this one. */
export function gatherAtEndOfTurn(work: Work): void {
  gathering.push(work);
  set();
}

export function writeAtEndOfTurn(work: Work): void {
  writing.push(work);
  set();
}

function set(): void {
  if (isSet) return;
  isSet = true;
  setImmediate(end);
}

function end(): void {
  const gather = gathering;
  gathering = [];
  for (const work of gather) work();
  isSet = false;
  const write = writing;
  writing = [];
  if (gathering.length > 0) set();
  for (const work of write) work();
}
