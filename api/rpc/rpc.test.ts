import assert from 'node:assert/strict'
import { mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { notFound } from '../errors/errors.ts'
import { ContentDefinition, WriteAction } from '../gen/containerd/services/content/v1/content.ts'
import { VersionDefinition } from '../gen/containerd/services/version/v1/version.ts'
import { createLogger } from '../log/log.ts'
import { connect, createClient } from './client.ts'
import { createRpcServer } from './server.ts'

const logger = createLogger({ name: 'rpc-test', level: 'silent' })
let folder: string
let address: string
const server = createRpcServer({ logger })
const seen: { namespace: string | undefined; lease: string | undefined; canceled: boolean } = {
  namespace: undefined,
  lease: undefined,
  canceled: false,
}
const big = Buffer.alloc(5 * 1024 * 1024, 7)

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gantry-rpc-'))
  address = join(folder, 'deep', 's.sock')
  server.add(VersionDefinition, { version: async () => ({ version: '1.2.3', revision: 'x' }) })
  server.add(ContentDefinition, {
    async info(_request, context) {
      seen.namespace = context.namespace
      seen.lease = context.lease
      throw notFound('content "ä%"')
    },
    async abort() {
      throw new TypeError('a secret stack')
    },
    async delete(_request, context) {
      const { promise, resolve } = Promise.withResolvers<void>()
      context.signal.addEventListener('abort', () => resolve())
      await promise
      seen.canceled = true
      return {}
    },
    async *read(request) {
      for (let i = 0n; i < request.size; i++) yield { offset: i, data: big }
      if (request.offset > 0n) throw notFound('the rest')
    },
    async *write(requests) {
      for await (const { offset, action } of requests) {
        yield { offset: offset + 1n, action }
        if (action === WriteAction.COMMIT) return
      }
    },
  })
  await server.listen(`unix:${address}`)
})

after(async () => {
  await server.shutdown(100)
  await rm(folder, { recursive: true })
})

const client = () => {
  const channel = connect(address, { namespace: 'default' })
  return { channel, content: createClient(ContentDefinition, channel), [Symbol.dispose]: () => channel.close() }
}

test('a unary call answers; the socket is private', async () => {
  using channel = connect(address)
  assert.equal((await createClient(VersionDefinition, channel).version({})).version, '1.2.3')
  assert.equal((await stat(address)).mode & 0o777, 0o600)
})

test('an error arrives with its code and its text, headers arrive too', async () => {
  using c = client()
  await assert.rejects(c.content.info({ digest: 'x' }, { lease: 'L' }), {
    code: 'NOT_FOUND',
    message: 'content "ä%": not found',
  })
  assert.deepEqual([seen.namespace, seen.lease], ['default', 'L'])
})

test('no namespace and a bad one answer as containerd does', async () => {
  using channel = connect(address)
  const content = createClient(ContentDefinition, channel)
  await assert.rejects(content.info({}), {
    code: 'FAILED_PRECONDITION',
    message: 'namespace is required: failed precondition',
  })
  await assert.rejects(content.info({}, { namespace: 'a/b' }), {
    code: 'INVALID_ARGUMENT',
    message: /^namespace validation: identifier "a\/b" must match/,
  })
})

test('an unforeseen error is INTERNAL', async () => {
  using c = client()
  await assert.rejects(c.content.abort({}), { code: 'INTERNAL' })
})

test('a request that is too large is refused, and the connection goes on', async () => {
  using c = client()
  await assert.rejects(c.content.info({ digest: 'x'.repeat(17 * 1024 * 1024) }))
  await assert.rejects(c.content.info({ digest: 'x' }), { code: 'NOT_FOUND' })
})

test('a missing method is NOT_IMPLEMENTED', async () => {
  using c = client()
  await assert.rejects(c.content.status({}), { code: 'NOT_IMPLEMENTED' })
})

test('a server stream delivers large messages in order, then its error', async () => {
  using c = client()
  let count = 0n
  const read = async () => {
    for await (const { offset, data } of c.content.read({ size: 4n, offset: 1n })) {
      assert.equal(offset, count++)
      assert.ok(data.equals(big))
    }
  }
  await assert.rejects(read(), { code: 'NOT_FOUND' })
  assert.equal(count, 4n)
})

test('a bidirectional stream ends when the server has said all, though requests go on', async () => {
  using c = client()
  async function* requests() {
    for (let i = 0n; ; i++) yield { offset: i, action: i === 2n ? WriteAction.COMMIT : WriteAction.WRITE }
  }
  const offsets: bigint[] = []
  for await (const { offset } of c.content.write(requests())) offsets.push(offset)
  assert.deepEqual(offsets, [1n, 2n, 3n])
})

test('a deadline and an abort end the call, and the server learns of it', async () => {
  using c = client()
  await assert.rejects(c.content.delete({}, { deadlineMs: 50 }), { code: 'DEADLINE_EXCEEDED' })
  seen.canceled = false
  await assert.rejects(c.content.delete({}, { signal: AbortSignal.timeout(50) }), { code: 'CANCELED' })
  await new Promise(resolve => setTimeout(resolve, 50))
  assert.ok(seen.canceled)
})

test('nobody there is UNAVAILABLE, and the same channel works once somebody is', async () => {
  using channel = connect(join(folder, 'later.sock'))
  const version = createClient(VersionDefinition, channel)
  await assert.rejects(version.version({}), { code: 'UNAVAILABLE', message: /later\.sock/ })
  const late = createRpcServer({ logger })
  late.add(VersionDefinition, { version: async () => ({ version: '2' }) })
  await late.listen(join(folder, 'later.sock'))
  assert.equal((await version.version({})).version, '2')
  await late.shutdown(100)
})
