/** Our server and a client that nobody here wrote: grpc-js. */
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import * as grpc from '@grpc/grpc-js'
import { patience } from '../../test/daemon/patience.ts'
import { notFound } from '../errors/errors.ts'
import { ContentDefinition, WriteAction } from '../gen/containerd/services/content/v1/content.ts'
import { createLogger } from '../log/log.ts'
import type { MethodDefinition } from './definition.ts'
import { createRpcServer } from './server.ts'

const server = createRpcServer({ logger: createLogger({ name: 'rpc-test', level: 'silent' }) })
const chunk = Buffer.alloc(1024 * 1024, 7)
const { info, read, write, delete: remove, status } = ContentDefinition.methods
let folder: string
let client: grpc.Client
let entered = Promise.withResolvers<void>()
let canceled = Promise.withResolvers<void>()
let namespace: string | undefined

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gantry-rpc-'))
  server.add(ContentDefinition, {
    async info(_, context) {
      namespace = context.namespace
      throw notFound('content "ä%\n"')
    },
    async delete(_, { signal }) {
      entered.resolve()
      await new Promise(resolve => signal.addEventListener('abort', resolve))
      canceled.resolve()
      return {}
    },
    async *read({ size }) {
      for (let i = 0n; i < size; i++) yield { offset: i, data: chunk }
    },
    async *write(requests) {
      let total = 0
      for await (const { data, action } of requests) {
        total += data.length
        yield { offset: BigInt(total) }
        if (action === WriteAction.COMMIT) return
      }
    },
  })
  await server.listen(join(folder, 's.sock'))
  const limits = { 'grpc.max_receive_message_length': -1, 'grpc.max_send_message_length': -1 }
  client = new grpc.Client(`unix:${join(folder, 's.sock')}`, grpc.credentials.createInsecure(), limits)
})

after(async () => {
  client.close()
  await server.shutdown(100)
  await rm(folder, { recursive: true })
})

const path = ({ name }: MethodDefinition) => `/${ContentDefinition.fullName}/${name}`
const encoder = (method: MethodDefinition) => (message: unknown) =>
  Buffer.from(method.requestType.encode(method.requestType.fromPartial(message)).finish())
const decoder = (method: MethodDefinition) => (bytes: Buffer) => method.responseType.decode(bytes)

function unary(method: MethodDefinition, metadata = new grpc.Metadata(), options: grpc.CallOptions = {}) {
  const { promise, resolve } = Promise.withResolvers<grpc.ServiceError | null>()
  const call = client.makeUnaryRequest(path(method), encoder(method), decoder(method), {}, metadata, options, resolve)
  return { call, error: promise }
}

test('an error comes with its code and text; of a header said twice the first value counts', async () => {
  const metadata = new grpc.Metadata()
  metadata.add('containerd-namespace', 'first')
  metadata.add('containerd-namespace', 'second')
  const error = await unary(info, metadata).error
  assert.deepEqual([error?.code, error?.details], [grpc.status.NOT_FOUND, 'content "ä%\n": not found'])
  assert.equal(namespace, 'first')
})

test('a method that is not there is refused in the words of Go’s gRPC', async () => {
  const error = await unary(status).error
  assert.equal(error?.code, grpc.status.UNIMPLEMENTED)
  assert.equal(error?.details, 'unknown method Status for service containerd.services.content.v1.Content')
  const other = await unary({ ...status, name: '../x.Y/Z' }).error
  assert.equal(other?.code, grpc.status.UNIMPLEMENTED)
})

test('a slow reader of a large stream gets every byte', async () => {
  const call = client.makeServerStreamRequest(path(read), encoder(read), decoder(read), { size: 24n })
  let count = 0n
  for await (const { offset, data } of call) {
    assert.equal(offset, count++)
    assert.equal(data.length, chunk.length)
    if (count % 8n === 0n) await new Promise(resolve => setTimeout(resolve, 20))
  }
  assert.equal(count, 24n)
})

test('what a client uploads arrives, beyond every window', async () => {
  const call = client.makeBidiStreamRequest(path(write), encoder(write), decoder(write))
  for (let i = 0; i < 24; i++) call.write({ data: chunk, action: i === 23 ? WriteAction.COMMIT : WriteAction.WRITE })
  let last = 0n
  for await (const { offset } of call) last = offset
  assert.equal(last, BigInt(24 * chunk.length))
})

test('a message over the limit and a compressed one are refused', async () => {
  const call = client.makeBidiStreamRequest(path(write), encoder(write), decoder(write))
  const error = new Promise<grpc.ServiceError>(resolve => call.on('error', resolve as (error: Error) => void))
  call.on('data', () => {})
  call.write({ data: Buffer.alloc(17 * 1024 * 1024) })
  assert.equal((await error).code, grpc.status.RESOURCE_EXHAUSTED)
  const packed = new grpc.Metadata()
  packed.set('grpc-encoding', 'gzip')
  assert.equal((await unary(status, packed).error)?.code, grpc.status.UNIMPLEMENTED)
})

test('a deadline and a withdrawal end the call on both sides', async () => {
  const late = await unary(remove, new grpc.Metadata(), { deadline: Date.now() + 500 * patience }).error
  assert.equal(late?.code, grpc.status.DEADLINE_EXCEEDED)
  await canceled.promise
  canceled = Promise.withResolvers()
  entered = Promise.withResolvers()
  const { call, error } = unary(remove)
  await entered.promise
  call.cancel()
  assert.equal((await error)?.code, grpc.status.CANCELLED)
  await canceled.promise
})
