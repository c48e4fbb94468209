/**
 * A client in a network namespace of its own: `client.ts HOST PORT COUNT` opens that many connections one after another, asks
 * for a page by each, and prints what one took, in milliseconds, as JSON: `{"medianMs":…,"minMs":…,"perSecond":…}`.
 */
import { connect } from 'node:net'

const [host = '', port = '', count = ''] = process.argv.slice(2)
const times: number[] = []
const startedMs = performance.now()
for (let i = 0; i < Number(count); i++) {
  const before = performance.now()
  await ask()
  times.push(performance.now() - before)
}
const perSecond = (times.length * 1000) / (performance.now() - startedMs)
times.sort((a, b) => a - b)
console.log(JSON.stringify({ medianMs: times[times.length >> 1], minMs: times[0], perSecond }))

function ask(): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const socket = connect({ host, port: Number(port) })
  socket.once('error', reject).once('close', () => resolve())
  // Without a reader the end of the answer is never seen.
  socket.resume()
  socket.write('GET / HTTP/1.0\r\n\r\n')
  return promise
}
