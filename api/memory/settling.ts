/**
 * Gives memory back once a process has settled down. V8 collects garbage when it runs out of room, not when there is time: a
 * daemon that has started, or served a burst, would keep the room it took for ever.
 *
 * Nothing here wakes an idle process: a collection follows work, once, after some quiet.
 */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

type Collect = (options: { type: 'major'; flavor: 'last-resort' }) => void

/** How long it must have been quiet. */
const quietMs = 10_000

let collect: Collect | undefined
let timer: NodeJS.Timeout | undefined

/** Call it after work: memory is given back when no more has come for ten seconds. Costs next to nothing. */
export function worked(): void {
  if (timer === undefined) timer = setTimeout(settle, quietMs).unref()
  else timer.refresh()
}

/** Some 30 ms for a heap of 25 MB, on the main thread: nobody is being served. */
function settle(): void {
  timer = undefined
  collect ??= exposedCollector()
  collect({ type: 'major', flavor: 'last-resort' })
}

function exposedCollector(): Collect {
  setFlagsFromString('--expose-gc')
  return runInNewContext('gc') as Collect
}
