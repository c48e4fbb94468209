// The wire: Transfer and Streaming over gRPC, as ctr 2.x and gctr use them, against a registry that wants a password.
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { StreamInit, StreamingDefinition } from '#api/gen/containerd/services/streaming/v1/streaming.ts'
import { TransferDefinition } from '#api/gen/containerd/services/transfer/v1/transfer.ts'
import { ImageStore } from '#api/gen/containerd/types/transfer/imagestore.ts'
import { ImageExportStream, ImageImportStream } from '#api/gen/containerd/types/transfer/importexport.ts'
import { Progress } from '#api/gen/containerd/types/transfer/progress.ts'
import { AuthRequest, AuthResponse, AuthType, OCIRegistry } from '#api/gen/containerd/types/transfer/registry.ts'
import { Data, WindowUpdate } from '#api/gen/containerd/types/transfer/streaming.ts'
import type { Any } from '#api/gen/google/protobuf/any.ts'
import { createLogger } from '#api/log/log.ts'
import { connect, createClient } from '#api/rpc/client.ts'
import { createRpcServer } from '#api/rpc/server.ts'
import { StreamRegistry, streamingService } from '#core/streaming/streaming.ts'
import { transferService } from '#core/transfer/transfer.ts'
import { busyboxLayer, layoutTar, makeImage } from '../fixtures/make-image.ts'
import { putImage } from '../registry/put-image.ts'
import { startRegistry, type TestRegistry } from '../registry/registry.ts'
import { type ImageRoom, ns, openImageRoom } from './image-room.ts'

const skip = process.getuid?.() === 0 ? false : 'needs root: it mounts'
const user = { name: 'ann', password: 'secret' }
const basic = `Basic ${Buffer.from('ann:secret').toString('base64')}`
const image = makeImage({ layers: [busyboxLayer()], compression: 'none' })

const any = (name: string, codec: { encode(m: never): { finish(): Uint8Array } }, message: unknown): Any => ({
  typeUrl: `containerd.types.transfer.${name}`,
  value: Buffer.from(codec.encode(message as never).finish()),
})

describe('transfer over the wire', { skip }, () => {
  let registry: TestRegistry
  before(async () => {
    registry = await startRegistry({ user })
    await putImage(registry.host, 'app', 'v1', image, basic)
  })
  after(() => registry[Symbol.asyncDispose]())

  async function served(room: ImageRoom) {
    const streams = new StreamRegistry()
    const server = createRpcServer({ logger: createLogger({ name: 'test', level: 'silent' }) })
    server.add(TransferDefinition, transferService(room.transfers, streams))
    server.add(StreamingDefinition, streamingService(streams))
    const address = join(room.root, 'rpc.sock')
    await server.listen(address)
    const channel = connect(address, { namespace: ns })
    const { stream } = createClient(StreamingDefinition, channel)
    return {
      transfer: createClient(TransferDefinition, channel).transfer,
      /** Opens a stream; `answer` hears each message and may send. */
      async open(id: string, answer: (message: Any, send: (message: Any) => void) => void) {
        const { messages, send, end } = sendQueue()
        send({
          typeUrl: 'containerd.services.streaming.v1.StreamInit',
          value: Buffer.from(StreamInit.encode({ id }).finish()),
        })
        const incoming = stream(messages)[Symbol.asyncIterator]()
        await incoming.next()
        const done = (async () => {
          for (let next = await incoming.next(); !next.done; next = await incoming.next()) answer(next.value, send)
        })()
        // Streams that are left open break with the channel.
        done.catch(() => {})
        return { send, end, done }
      },
      async [Symbol.asyncDispose]() {
        channel.close()
        await server.shutdown(100)
      },
    }
  }

  const storeOf = (name: string) =>
    any('ImageStore', ImageStore, ImageStore.fromPartial({ name, unpacks: [{ snapshotter: 'overlayfs' }] }))
  const registryOf = (reference: string, authStream = '') =>
    any('OCIRegistry', OCIRegistry, OCIRegistry.fromPartial({ reference, resolver: { authStream } }))

  test('pull and push with credentials and progress over streams; a wrong password is UNAUTHENTICATED', async () => {
    await using room = await openImageRoom()
    await using wire = await served(room)
    const asked: string[] = []
    const answers = (password: string) => (message: Any, send: (message: Any) => void) => {
      const { host, reference } = AuthRequest.decode(message.value)
      asked.push(`${host} ${reference}`)
      const answer = { authType: AuthType.CREDENTIALS, username: 'ann', secret: password }
      send(any('AuthResponse', AuthResponse, AuthResponse.fromPartial(answer)))
    }
    const events: string[] = []
    const progress = await wire.open('progress', message => {
      assert.equal(message.typeUrl, 'containerd.types.transfer.Progress')
      events.push(Progress.decode(message.value).event)
    })
    await wire.open('creds', answers('secret'))
    const reference = `${registry.host}/app:v1`
    await wire.transfer({
      source: registryOf(reference, 'creds'),
      destination: storeOf(reference),
      options: { progressStream: 'progress' },
    })
    await progress.done
    assert.deepEqual(asked, [`${registry.host} ${reference}`])
    assert.equal(events.at(-1), `Completed pull from OCI Registry (${reference})`)
    await wire.open('creds2', answers('secret'))
    const pushed = `${registry.host}/pushed/app:v2`
    await wire.transfer({ source: storeOf(reference), destination: registryOf(pushed, 'creds2') })
    const found = await fetch(`http://${registry.host}/v2/pushed/app/manifests/v2`, {
      headers: { authorization: basic, accept: image.target.mediaType },
    })
    assert.equal(found.headers.get('docker-content-digest'), image.target.digest)
    await wire.open('creds3', answers('wrong'))
    const refused = wire.transfer({ source: registryOf(reference, 'creds3'), destination: storeOf('x') })
    await assert.rejects(refused, { code: 'UNAUTHENTICATED' })
    await assert.rejects(wire.transfer({ source: registryOf(reference), destination: storeOf('x') }), {
      code: 'UNAUTHENTICATED',
    })
    assert.deepEqual(
      (await room.images.list(ns)).map(({ name }) => name),
      [reference],
    )
  })

  test('an archive goes in and out through windows; tag; pairs that mean nothing', async () => {
    await using room = await openImageRoom()
    await using wire = await served(room)
    const tar = layoutTar([{ image, name: 'in.example/app:v1' }])
    await sendBytes(wire, 'in', tar)
    const source = any('ImageImportStream', ImageImportStream, ImageImportStream.fromPartial({ stream: 'in' }))
    await wire.transfer({ source, destination: storeOf('') })
    await wire.transfer({ source: storeOf('in.example/app:v1'), destination: storeOf('tagged:v2') })
    const received = await receiveBytes(wire, 'out')
    const destination = any('ImageExportStream', ImageExportStream, ImageExportStream.fromPartial({ stream: 'out' }))
    await wire.transfer({ source: storeOf('tagged:v2'), destination })
    assert.ok((await received()).includes(image.layers[0]?.bytes ?? assert.fail()))
    await assert.rejects(wire.transfer({ source: storeOf('a'), destination: source }), {
      code: 'NOT_IMPLEMENTED',
      message: 'transfer from ImageStore to ImageImportStream: not implemented',
    })
    await assert.rejects(wire.transfer({ source, destination: storeOf('') }), /stream "in": not found/)
  })

  test('from one stream to another the bytes come back as they are, also none', async () => {
    await using room = await openImageRoom()
    await using wire = await served(room)
    for (const bytes of [Buffer.alloc(200_000, 'something'), Buffer.alloc(0)]) {
      await sendBytes(wire, 'there', bytes)
      const received = await receiveBytes(wire, 'back')
      await wire.transfer({
        source: any('ImageImportStream', ImageImportStream, ImageImportStream.fromPartial({ stream: 'there' })),
        destination: any('ImageExportStream', ImageExportStream, ImageExportStream.fromPartial({ stream: 'back' })),
      })
      assert.ok((await received()).equals(bytes), `${bytes.length} bytes`)
    }
  })
})

interface Opener {
  open(
    id: string,
    answer: (message: Any, send: (message: Any) => void) => void,
  ): Promise<{ send: (message: Any) => void; end: () => void; done: Promise<void> }>
}

/** A stream that sends `bytes` as the daemon asks for them. */
async function sendBytes(wire: Opener, id: string, bytes: Buffer): Promise<void> {
  let sent = 0
  const stream = await wire.open(id, (message, send) => {
    let { update } = WindowUpdate.decode(message.value)
    for (; update > 0 && sent < bytes.length; ) {
      const data = bytes.subarray(sent, sent + Math.min(update, 32_768))
      send(any('Data', Data, { data }))
      sent += data.length
      update -= data.length
    }
    if (sent >= bytes.length) stream.end()
  })
}

/** A stream for an archive; what it got is answered when the daemon has ended it. */
async function receiveBytes(wire: Opener, id: string): Promise<() => Promise<Buffer>> {
  const received: Buffer[] = []
  const window = () => any('WindowUpdate', WindowUpdate, { update: 65_536 })
  let credit = 0
  const stream = await wire.open(id, (message, send) => {
    const { data } = Data.decode(message.value)
    received.push(data)
    credit += data.length
    for (; credit >= 65_536; credit -= 65_536) send(window())
  })
  stream.send(window())
  return async () => {
    await stream.done
    return Buffer.concat(received)
  }
}

function sendQueue() {
  const queue: Any[] = []
  let ended = false
  let wake = () => {}
  async function* messages(): AsyncGenerator<Any> {
    for (;;) {
      const next = queue.shift()
      if (next) yield next
      else if (ended) return
      else await new Promise<void>(resolve => (wake = resolve))
    }
  }
  return {
    messages: messages(),
    send(message: Any) {
      queue.push(message)
      wake()
    },
    end() {
      ended = true
      wake()
    },
  }
}
