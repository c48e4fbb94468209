/** What flags of outputs mean, and which do not go together. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseOutput } from './output-spec.ts'
import { askedOf, type OutputFlags, outputsOf } from './outputs.ts'

function asked(flags: Partial<OutputFlags>) {
  const all = { tag: [], output: [], annotation: [], ...flags }
  return askedOf(outputsOf(all), all, 'lease')
}

test('a folder, a dash, a type with its keys', () => {
  const short = (text: string) => {
    const { type, dest } = parseOutput(text)
    return [type, dest]
  }
  assert.deepEqual(short('out'), ['local', 'out'])
  assert.deepEqual(short('-'), ['tar', '-'])
  assert.deepEqual(short('type=oci,dest=a.tar'), ['oci', 'a.tar'])
  assert.deepEqual(short('type=tar,"dest=a,""b"'), ['tar', 'a,"b'])
  assert.equal(parseOutput('type=docker,dest=x').isDockerFormat, true)
  assert.equal(parseOutput('type=docker,dest=x,oci-mediatypes=true').isDockerFormat, false)
  assert.deepEqual(parseOutput('type=image,"name=a,b",push=true').names, ['a', 'b'])
})

test('the builder is asked for an image only where one comes out, and for a root only where one is written', () => {
  assert.equal(asked({}).noImage, false)
  assert.equal(asked({}).rootArchiveLease, '')
  assert.equal(asked({ output: ['out'] }).noImage, true)
  assert.equal(asked({ output: ['out', 'type=image'] }).noImage, false)
  assert.equal(asked({ output: ['out'] }).rootArchiveLease, 'lease')
  assert.deepEqual(asked({ tag: ['a'], output: ['type=image,name=b'] }).names, [
    'docker.io/library/a:latest',
    'docker.io/library/b:latest',
  ])
})

test('annotations from both flags, each with its level', () => {
  const { annotations } = asked({
    annotation: ['a=1', 'index,manifest:b:c=2=3'],
    output: ['type=image,annotation.d=4,annotation-index.e=5'],
  })
  assert.deepEqual(
    annotations?.map(({ level, key, value }) => `${level} ${key} ${value}`),
    ['manifest a 1', 'index b:c 2=3', 'manifest b:c 2=3', 'manifest d 4', 'index e 5'],
  )
})

test('what cannot be is said before anything is built', () => {
  const refused = (flags: Partial<OutputFlags>, message: RegExp) => assert.throws(() => asked(flags), { message })
  refused({ output: ['type=vm,dest=x'] }, /type "vm" is none of image, registry/)
  refused({ output: ['type=oci'] }, /dest is missing/)
  refused({ output: ['type=image,dest=x'] }, /goes into a store/)
  refused({ output: ['type=local,dest=-'] }, /cannot go to standard output/)
  refused({ output: ['type=oci,dset=x'] }, /there is no "dset"/)
  refused({ output: ['type=oci,dest="x'] }, /a quote is out of place/)
  refused({ output: ['type=oci,dest=x,compression=zstd'] }, /compression=zstd .*not implemented/)
  refused({ output: ['type=image,push=maybe'] }, /it is true or false/)
  refused({ push: true }, /name it: --tag/)
  refused({ output: ['type=oci,dest=x', 'type=docker,dest=y'] }, /one format/)
  refused({ output: ['-', 'type=oci,dest=-'] }, /only one output/)
  refused({ annotation: ['index-descriptor:a=b'] }, /use index/)
  refused({ annotation: ['a'] }, /KEY=VALUE/)
})
