import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HeaderDecoder } from './header-decoder.ts'
import { encodeHeaders } from './header-encoder.ts'
import { staticTable } from './hpack-static.ts'

const bytes = (hex: string) => Buffer.from(hex.replaceAll(' ', ''), 'hex')

test('RFC 7541, C.4: requests, compressed, with a table that grows', () => {
  const decoder = new HeaderDecoder()
  const base = { ':method': 'GET', ':scheme': 'http', ':path': '/', ':authority': 'www.example.com' }
  const decode = (hex: string) => Object.fromEntries(decoder.decode(bytes(hex)))
  assert.deepEqual(decode('8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff'), base)
  assert.deepEqual(decode('8286 84be 5886 a8eb 1064 9cbf'), { ...base, 'cache-control': 'no-cache' })
  const last = decode('8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf')
  const index = { ...base, ':scheme': 'https', ':path': '/index.html' }
  assert.deepEqual(last, { ...index, 'custom-key': 'custom-value' })
})

test('what we encode is read again, whatever its length; of a name said twice the first counts', () => {
  const long = 'x'.repeat(20_000)
  const list = [...staticTable.filter(([, value]) => value === ''), ['grpc-status', '0'], ['long', long]] as const
  const decoded = new HeaderDecoder().decode(encodeHeaders([...list, ['long', 'second']]))
  assert.deepEqual([...decoded], [...list])
})

test('the table forgets the oldest, and shrinks when told', () => {
  const decoder = new HeaderDecoder()
  const literal = (name: string, value: string) =>
    Buffer.concat([
      Buffer.from([0x40, name.length]),
      Buffer.from(name),
      Buffer.from([value.length]),
      Buffer.from(value),
    ])
  for (let i = 0; i < 100; i++) decoder.decode(literal(`name-${i}`, 'v'.repeat(100)))
  assert.equal(decoder.decode(bytes('be')).get('name-99'), 'v'.repeat(100))
  // Each takes 139 or 138 bytes, so that 29 are left.
  assert.ok(decoder.decode(Buffer.from([0x80 | (62 + 28)])).has('name-71'))
  assert.throws(() => decoder.decode(Buffer.from([0x80 | (62 + 29)])), /index 91/)
  decoder.decode(bytes('20'))
  assert.throws(() => decoder.decode(bytes('be')), /index 62/)
})

test('what is no header block is refused', () => {
  const refused = (hex: string, why: RegExp) =>
    assert.throws(() => new HeaderDecoder().decode(bytes(hex)), { name: 'Error', message: why })
  refused('80', /index 0/)
  refused('ff ff ff ff ff ff', /number that is too large/)
  refused('0005 6162', /end in the middle/)
  refused('3f e2 1f', /table larger than allowed/)
  // Compressed: a whole byte of filling; filling with zeros; the end-of-string code.
  refused('0082 1fff 00', /padding/)
  refused('0081 18 00', /padding/)
  refused('0084 ffff ffff 00', /stands for nothing/)
})

test('a small block cannot become a large list', () => {
  const decoder = new HeaderDecoder()
  const value = 'v'.repeat(3900)
  const head = Buffer.concat([bytes('40 01 61'), bytes('7f bd 1d'), Buffer.from(value)])
  decoder.decode(head)
  assert.throws(() => decoder.decode(Buffer.alloc(1000, 0xbe)), /more than 65535 bytes/)
})
