/** Our end of HTTP/2 against Node's (nghttp2), and against bytes that no peer should send. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import * as http2 from 'node:http2'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { Connection } from './connection.ts'
import type { Headers } from './header-decoder.ts'
import { encodeHeaders } from './header-encoder.ts'
import { encodeFrame, encodeNumberFrame, frameType, preface } from './wire.ts'

let folder: string
let server: Server
let path: string
const connections: Connection[] = []

/** Answers the request's headers, said as JSON, and then whatever it is sent. */
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gantry-http2-'))
  path = join(folder, 's.sock')
  server = createServer(socket => {
    const connection = new Connection(socket, {
      role: 'server',
      onStream(stream, headers) {
        stream.sendHeaders(encodeHeaders([[':status', '200']]), false)
        stream.sendData(Buffer.from(`${JSON.stringify(Object.fromEntries(headers))}\n`))
        stream.listener = {
          data(bytes) {
            stream.sendData(Buffer.from(bytes))
            void stream.drained().then(() => stream.consumed(bytes.length))
          },
          end: () => stream.sendHeaders(encodeHeaders([['said', 'all']]), true),
        }
      },
    })
    connections.push(connection)
  })
  server.listen(path)
  await once(server, 'listening')
})

after(async () => {
  for (const connection of connections) connection.destroy()
  server.close()
  await rm(folder, { recursive: true })
})

async function echo(
  session: http2.ClientHttp2Session,
  headers: http2.OutgoingHttpHeaders,
  body: Buffer,
): Promise<{ headers: Record<string, string>; body: Buffer; trailers: http2.IncomingHttpHeaders | undefined }> {
  const stream = session.request({ ':method': 'POST', ':path': '/', ...headers })
  let trailers: http2.IncomingHttpHeaders | undefined
  stream.on('trailers', said => {
    trailers = said
  })
  stream.end(body)
  const answer = Buffer.concat(await stream.toArray())
  const at = answer.indexOf('\n')
  return { headers: JSON.parse(answer.subarray(0, at).toString()), body: answer.subarray(at + 1), trailers }
}

test('Node’s client: headers of any length, bodies past every window, side by side', async () => {
  const session = http2.connect('http://localhost', { createConnection: () => connect(path), maxSessionMemory: 1000 })
  const body = Buffer.alloc(12 * 1024 * 1024, 'gantry')
  const long = 'ä1~ '.repeat(2000).trim()
  const answers = await Promise.all([
    echo(session, { long: encodeURIComponent(long), 'content-type': 'application/grpc' }, Buffer.alloc(0)),
    ...[1, 2, 3].map(number => echo(session, { number: `${number}` }, body)),
  ]).catch(error => assert.fail(error))
  session.close()
  assert.equal(answers[0]?.headers.long, encodeURIComponent(long))
  for (const { body: got } of answers.slice(1)) assert.ok(got.equals(body))
  assert.equal(answers[3]?.trailers?.said, 'all')
})

interface Answer {
  headers: Headers[]
  body: Buffer
  error: Error | undefined
}

function ask(connection: Connection, requestPath: string, body: Buffer): Promise<Answer> {
  const { promise, resolve } = Promise.withResolvers<Answer>()
  const headers: Headers[] = []
  const chunks: Buffer[] = []
  const block = encodeHeaders([
    [':method', 'POST'],
    [':scheme', 'http'],
    [':path', requestPath],
    [':authority', 'localhost'],
  ])
  const stream = connection.open(block, {
    headers: said => void headers.push(said),
    data(bytes) {
      chunks.push(bytes)
      stream.consumed(bytes.length)
    },
    closed: error => resolve({ headers, body: Buffer.concat(chunks), error }),
  })
  stream.sendData(body, true)
  return promise
}

test('Node’s server: no more streams at once than it allows, small windows, trailers, its going away', async () => {
  const settings = { maxConcurrentStreams: 2, initialWindowSize: 100 }
  const foreign = http2.createServer({ settings })
  let open = 0
  let most = 0
  foreign.on('stream', stream => {
    most = Math.max(most, ++open)
    stream.on('close', () => open--)
    stream.on('error', () => {})
    stream.respond({ ':status': 200 }, { waitForTrailers: true })
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }))
    stream.pipe(stream)
  })
  foreign.listen(join(folder, 'foreign.sock'))
  await once(foreign, 'listening')
  const connection = new Connection(connect(join(folder, 'foreign.sock')), { role: 'client' })
  const body = Buffer.alloc(100_000, 'x')
  // Its settings are known when the first answer is there.
  await ask(connection, '/', body)
  const answers = await Promise.all(Array.from({ length: 10 }, (_, index) => ask(connection, `/${index}`, body)))
  for (const answer of answers) {
    assert.equal(answer.error, undefined)
    assert.ok(answer.body.equals(body))
    assert.equal(answer.headers.at(-1)?.get('grpc-status'), '0')
  }
  assert.equal(most, 2)
  foreign.close()
  connection.end()
  await connection.gone
  assert.match(String((await ask(connection, '/', body)).error), /closed/)
})

/** `once` would throw for the reset that may come first. */
function closed(socket: Socket): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  socket.on('error', () => {})
  socket.on('close', () => resolve())
  return promise
}

/** Sends bytes as they are, and answers what came back until the server hung up. */
async function say(...parts: Uint8Array[]): Promise<Buffer> {
  const socket: Socket = connect(path)
  const chunks: Buffer[] = []
  socket.on('data', chunk => chunks.push(chunk))
  for (const part of parts) socket.write(part)
  await closed(socket)
  return Buffer.concat(chunks)
}

const request = encodeHeaders([
  [':method', 'POST'],
  [':path', '/'],
])
const settings = encodeFrame(frameType.settings, 0, 0)
const opening = encodeFrame(frameType.headers, 4, 1, request)

test('bytes that break the rules end the connection, which says why', async () => {
  const refused = async (why: RegExp, ...parts: Uint8Array[]) =>
    assert.match((await say(preface, settings, ...parts)).toString('latin1'), why)
  await refused(/frame of 20000 bytes/, encodeFrame(frameType.data, 0, 1, Buffer.alloc(20_000)))
  await refused(/stream 5, which is not there/, opening, encodeFrame(frameType.data, 0, 5, Buffer.alloc(1)))
  await refused(/even number/, encodeFrame(frameType.headers, 4, 2, request))
  await refused(/interrupted/, encodeFrame(frameType.headers, 0, 1, request), settings)
  await refused(/continuation of nothing/, encodeFrame(frameType.continuation, 4, 1, request))
  await refused(/push/, encodeFrame(frameType.pushPromise, 4, 1, request))
  await refused(/more padding/, opening, encodeFrame(frameType.data, 8, 1, Buffer.from([9, 0])))
  await refused(/window too large/, encodeNumberFrame(frameType.windowUpdate, 0, 2 ** 31 - 1))
  await refused(/update of nothing/, encodeNumberFrame(frameType.windowUpdate, 0, 0))
  await refused(/index 70/, encodeFrame(frameType.headers, 4, 1, Buffer.from([0x80 | 70])))
  const endless = Array.from({ length: 10 }, () => encodeFrame(frameType.continuation, 0, 1, Buffer.alloc(16_000)))
  await refused(/headers of more than/, encodeFrame(frameType.headers, 0, 1, request), ...endless)
  assert.match((await say(Buffer.from('GET / HTTP/1.1\r\n\r\n'))).toString('latin1'), /does not speak HTTP\/2/)
})

test('more data than the window allows ends the connection', async () => {
  const held: Connection[] = []
  const slow = createServer(socket =>
    held.push(new Connection(socket, { role: 'server', onStream: stream => (stream.listener = { data() {} }) })),
  )
  const at = join(folder, 'slow.sock')
  slow.listen(at)
  await once(slow, 'listening')
  const socket = connect(at)
  const chunks: Buffer[] = []
  socket.on('data', chunk => chunks.push(chunk))
  const ended = closed(socket)
  socket.write(Buffer.concat([preface, settings, opening]))
  const data = encodeFrame(frameType.data, 0, 1, Buffer.alloc(16_000))
  for (let sent = 0; sent < 9 * 1024 * 1024; sent += 16_000) socket.write(data)
  await ended
  assert.match(Buffer.concat(chunks).toString('latin1'), /more data than the window/)
  slow.close()
})

test('a frame may come byte by byte', async () => {
  const socket = connect(path)
  const all = Buffer.concat([preface, settings, encodeFrame(frameType.headers, 5, 1, request)])
  const chunks: Buffer[] = []
  socket.on('data', chunk => chunks.push(chunk))
  for (const byte of all) {
    socket.write(Buffer.from([byte]))
    await new Promise(resolve => setImmediate(resolve))
  }
  while (!Buffer.concat(chunks).includes('":path":"/"')) await once(socket, 'data')
  socket.destroy()
})
