/**
 * A name server somewhere in the world, and a client that asks many questions:
 *
 *     serve ADDRESS            answers every A question with the address in its TXT-like name: `a-10-1-2-3.example`;
 *                              AAAA ones of `six-fd00-0-0-0-0-0-0-2.example` likewise;
 *                              `large.example` with 60 addresses (too many for a datagram without EDNS);
 *                              TXT of `edns.example` with what the question's EDNS record says; all else NXDOMAIN
 *     flood ADDRESS NAME N     asks N times within a second, prints how many answers came and how long it took
 */
import { createSocket } from 'node:dgram'
import { createServer } from 'node:net'
import * as packet from 'dns-packet'
import { openServerSocket } from '#api/sys/sys.ts'

const nxDomain = 3
const plainUdpBytes = 512
/** Of RFC 6891 6.1.2's range for private use. */
const privateOption = 65_001
const [verb, address = '', name = '', count = '0'] = process.argv.slice(2)
if (verb === 'serve') serve(address)
else await flood(address, name, Number(count))

function serve(at: string): void {
  const udp = createSocket('udp4')
  udp.on('message', (bytes, from) => {
    const whole = answer(bytes)
    const room = ednsOf(bytes)?.udpPayloadSize ?? plainUdpBytes
    udp.send(whole.length > room ? answer(bytes, true) : whole, from.port, from.address)
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
  const edns = ednsOf(bytes)
  const answers = isCut || question === undefined ? [] : answersTo(question, edns)
  const flags = isCut ? packet.TRUNCATED_RESPONSE : answers.length === 0 ? nxDomain : 0
  // What it has of its own to say: the option must come through as well.
  const said = edns && { ...edns, options: [{ code: privateOption, data: Buffer.from('cafe', 'hex') }] }
  const additionals = said ? [said as unknown as packet.Answer] : []
  return packet.encode({ type: 'response', id, flags, questions, answers, additionals })
}

function answersTo({ name, type }: packet.Question, edns: packet.OptAnswer | undefined): packet.Answer[] {
  if (type === 'A') return addressesOf(name).map(data => ({ type, name, ttl: 5, data }))
  if (type === 'AAAA') return addressesOf6(name).map(data => ({ type, name, ttl: 5, data }))
  if (type !== 'TXT' || name !== 'edns.example') return []
  const options = edns?.options.map(({ code, data }) => `${code}=${data?.toString('hex')}`).join(' ')
  return [{ type, name, data: edns ? `${edns.udpPayloadSize} do=${edns.flag_do} ${options}` : 'none' }]
}

function ednsOf(bytes: Buffer): packet.OptAnswer | undefined {
  return packet.decode(bytes).additionals?.find(record => record.type === 'OPT') as packet.OptAnswer | undefined
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
