/**
 * Either end of a conversation, to be run inside a network namespace:
 *
 *     serve PORT                  answers each client, TCP and UDP, with the address it came from
 *     ask tcp|udp HOST PORT       prints that answer, or "no answer" after a second, or the errno
 *     echo PORT                   sends back what it gets, by TCP
 *     pour PORT                   sends every client as much as it takes
 *     drain HOST PORT MS          takes what comes for so long, prints the rate in Mbit/s
 *     talk HOST PORT              connects, sends its standard input, prints what comes back
 */
import { createSocket } from 'node:dgram'
import { connect, createServer } from 'node:net'

const patienceMs = 1000
const [verb, ...rest] = process.argv.slice(2)
if (verb === 'serve') serve(Number(rest[0]))
else if (verb === 'echo') echo(Number(rest[0]))
else if (verb === 'pour') pour(Number(rest[0]))
else if (verb === 'drain') drain(String(rest[0]), Number(rest[1]), Number(rest[2]))
else if (verb === 'talk') talk(String(rest[0]), Number(rest[1]))
else ask(String(rest[0]), String(rest[1]), Number(rest[2]))

function serve(port: number): void {
  const [udp, udp6] = [createSocket('udp4'), createSocket({ type: 'udp6', ipv6Only: true })]
  for (const socket of [udp, udp6])
    socket.on('message', (_, from) => socket.send(from.address, from.port, from.address))
  const said = (address: string | undefined) => (address ?? '').replace(/^::ffff:/, '')
  const ready = () => process.stdout.write('ready\n')
  const tcp = createServer(socket => {
    socket.on('error', () => {})
    socket.end(said(socket.remoteAddress))
  })
  tcp.listen(port, '::', () => udp.bind(port, '0.0.0.0', () => udp6.bind(port, '::', ready)))
}

function echo(port: number): void {
  createServer(socket => socket.on('error', () => {}).pipe(socket)).listen(port, () => process.stdout.write('ready\n'))
}

function pour(port: number): void {
  const load = Buffer.alloc(64 * 1024)
  createServer(socket => {
    const write = () => {
      while (socket.writable && socket.write(load));
    }
    socket.on('error', () => {}).on('drain', write)
    write()
  }).listen(port, () => process.stdout.write('ready\n'))
}

/** The beginning is left out: buckets are full then, and the connection is still speeding up. */
function drain(host: string, port: number, durationMs: number): void {
  let bytes = 0
  connect({ host, port })
    .on('data', chunk => {
      bytes += chunk.length
    })
    .on('connect', () => {
      setTimeout(() => {
        const [before, startedMs] = [bytes, performance.now()]
        const end = () => answer(String(((bytes - before) * 8) / (performance.now() - startedMs) / 1000))
        setTimeout(end, durationMs)
      }, durationMs / 4)
    })
    .on('error', error => answer(String(error)))
}

function talk(host: string, port: number): void {
  const socket = connect({ host, port }, () => process.stdout.write('ready\n'))
  process.stdin.pipe(socket).pipe(process.stdout)
}

function ask(protocol: string, host: string, port: number): void {
  setTimeout(() => answer('no answer'), patienceMs)
  const failed = (error: NodeJS.ErrnoException) => answer(error.code ?? error.message)
  if (protocol === 'tcp') return void connect({ host, port }).on('data', answer).on('error', failed)
  const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4')
    .on('message', answer)
    .on('error', failed)
  socket.connect(port, host, () => socket.send('?'))
}

function answer(text: string | Buffer): void {
  process.stdout.write(`${text}\n`, () => process.exit(0))
}
