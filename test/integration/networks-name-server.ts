/**
 * A name server somewhere in the world, and a client that asks many questions:
 *
 *     serve ADDRESS            answers every A question with the address in its TXT-like name: `a-10-1-2-3.example`;
 *                              AAAA ones of `six-fd00-0-0-0-0-0-0-2.example` likewise;
 *                              `large.example` with 60 addresses (too many for a datagram); all else NXDOMAIN
 *     flood ADDRESS NAME N     asks N times within a second, prints how many answers came and how long it took
 */
import { createSocket } from 'node:dgram'
import { createServer } from 'node:net'
import * as packet from 'dns-packet'
import { openServerSocket } from '#api/sys/sys.ts'

const nxDomain = 3
const plainUdpBytes = 512
const [verb, address = '', name = '', count = '0'] = process.argv.slice(2)
if (verb === 'serve') serve(address)
else await flood(address, name, Number(count))

function serve(at: string): void {
  const udp = createSocket('udp4')
  udp.on('message', (bytes, from) => {
    const whole = answer(bytes)
    const cut = whole.length > plainUdpBytes ? answer(bytes, true) : whole
    udp.send(cut, from.port, from.address)
  })
  const tcp = createServer(client => {
    client
      .on('error', () => {})
      .on('data', bytes => {
        const response = answer(bytes.subarray(2))
        client.write(Buffer.concat([Buffer.from([response.length >> 8, response.length & 255]), response]))
      })
  })
  tcp.listen(53, at, () => udp.bind(53, at, () => process.stdout.write('ready\n')))
}

function answer(bytes: Buffer, isCut = false): Buffer {
  const { id = 0, questions = [] } = packet.decode(bytes)
  const [question] = questions
  const type = question?.type === 'AAAA' ? 'AAAA' : 'A'
  const found = isCut
    ? []
    : question?.type === 'AAAA'
      ? addressesOf6(question.name)
      : question?.type === 'A'
        ? addressesOf(question.name)
        : []
  const answers = found.map(data => ({ type: type as 'A', name: question?.name ?? '', ttl: 5, data }))
  const flags = isCut ? packet.TRUNCATED_RESPONSE : answers.length === 0 ? nxDomain : 0
  return packet.encode({ type: 'response', id, flags, questions, answers })
}

function addressesOf(host: string): string[] {
  const [, dashed] = /^a-(\d+-\d+-\d+-\d+)\.example$/.exec(host) ?? []
  if (dashed !== undefined) return [dashed.replaceAll('-', '.')]
  return host === 'large.example' ? Array.from({ length: 60 }, (_, i) => `10.1.1.${i + 1}`) : []
}

/** `six-fd99-0-0-0-0-0-0-2.example`. */
function addressesOf6(host: string): string[] {
  const [, dashed] = /^six-([0-9a-f]+(?:-[0-9a-f]+){7})\.example$/.exec(host) ?? []
  return dashed === undefined ? [] : [dashed.replaceAll('-', ':')]
}

async function flood(at: string, host: string, wanted: number): Promise<void> {
  const socket = createSocket('udp4')
  // With room for all answers, however seldom this process gets to run.
  const fd = await openServerSocket({ netns: '/proc/self/ns/net', protocol: 'udp', address: '127.0.0.1', port: 0 })
  const missing = new Set(Array.from({ length: wanted }, (_, i) => i))
  const started = performance.now()
  const finish = () => {
    process.stdout.write(`${wanted - missing.size} ${Math.round(performance.now() - started)}\n`, () => process.exit(0))
  }
  socket.on('message', bytes => {
    missing.delete(bytes.readUInt16BE(0))
    if (missing.size === 0) finish()
  })
  setTimeout(finish, 60_000)
  let sent = 0
  socket.bind({ fd }, () => {
    // A fiftieth of them every 20 ms: as fast as asked for, and in bursts.
    const timer = setInterval(() => {
      for (const end = Math.min(wanted, sent + Math.ceil(wanted / 50)); sent < end; sent++)
        socket.send(packet.encode({ type: 'query', id: sent, questions: [{ type: 'A', name: host }] }), 53, at)
      if (sent === wanted) clearInterval(timer)
    }, 20)
  })
}
