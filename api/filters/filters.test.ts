import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Adaptor, mapField, parseFilters } from './filters.ts'

function object(name: string, labels: Record<string, string> = {}): Adaptor {
  return ([first, ...rest]) => (first === 'name' ? name : first === 'labels' ? mapField(labels, rest) : undefined)
}

const matching: [filters: string[], object: Adaptor, matches: boolean][] = [
  [[], object('a'), true],
  [[''], object('a'), true],
  [['name==foo'], object('foo'), true],
  [['name==foo'], object('fo'), false],
  [['name!=foo'], object('bar'), true],
  [['name!=""'], object(''), false],
  [['labels.absent!=x'], object('a'), true],
  [['labels.l'], object('a', { l: '' }), true],
  [['labels.l'], object('a'), false],
  [['name==foo,labels.l==2'], object('foo', { l: '2' }), true],
  [['name==foo,labels.l==2'], object('foo', { l: '3' }), false],
  [['name==foo', 'name==bar'], object('bar'), true],
  [['name == foo , labels.l == 2'.replaceAll(' ,', ',')], object('foo', { l: '2' }), true],
  [['labels."io.x/y"==z'], object('a', { 'io.x/y': 'z' }), true],
  [['labels.io.x==z'], object('a', { 'io.x': 'z' }), true],
  [['name~=^b.*y$'], object('busybox-y'), true],
  [['name~=|^/tasks/|'], object('/tasks/exit'), true],
  [['name~=|^/tasks/|'], object('/images/x'), false],
  [['name~=/^ab/'], object('abc'), true],
  [['name~="a\\tb"'], object('a\tb'), true],
  [['name=="\\u00e9\\x41\\101"'], object('éAA'), true],
  [['name~="(?i)ABC"'], object('xabc'), true],
  [['name~="("'], object('('), false],
  [['name==sha256:abc'], object('sha256:abc'), true],
  [['unknown'], object('a'), false],
]

for (const [filters, adapt, matches] of matching) {
  test(`${JSON.stringify(filters)} on ${adapt(['name'])} is ${matches}`, () => {
    assert.equal(parseFilters(filters)(adapt), matches)
  })
}

const broken: [filter: string, message: string][] = [
  ['id==', '[id==]: expected value or quoted'],
  ['id=x', '[id >|=|< x]: unsupported operator "="'],
  ['==x', '[ >|=|< =x]: expected field or quoted'],
  ['a,,b', '[a, >|,|< b]: expected field or quoted'],
  ['a=="x', '[a== >|"|< x]: quoted literal not terminated'],
  ['a==|x|', '[a== >|||< x|]: invalid quote encountered'],
  ['a=="\\q"', '[a== >|"|< \\q"]: illegal escape sequence'],
  ['a==b c', '[a==b >| |< c]: unexpected input:  '],
]

for (const [filter, message] of broken) {
  test(`${filter} is refused where it goes wrong`, () => {
    assert.throws(() => parseFilters([filter]), {
      code: 'INVALID_ARGUMENT',
      message: `filters: parse error: ${message}: invalid argument`,
    })
  })
}
