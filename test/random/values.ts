/**
 * Random requests. A field's name decides what may stand in it, from small pools so that calls meet one another's
 * objects; a value that does not belong there comes now and then. Nothing here names anything of the host but `folder`.
 */
import { create, type DescField, type DescMessage, type MessageInitShape, toBinary } from '@bufbuild/protobuf'
import type { Contract } from './contract.ts'
import type { Dice } from './dice.ts'
import { processes, specs } from './specs.ts'

export interface World {
  readonly contract: Contract
  /** All paths are below it. */
  readonly folder: string
  readonly cgroup: string
  /** Names of images that are there, unpacked. */
  readonly images: readonly string[]
  readonly digests: readonly string[]
  readonly chainIDs: readonly string[]
}

export const namespaces = ['r1', 'r2', 'r3']
export const ids = ['a', 'b', 'c', 'd', 'e', 'f']
export const keys = ['k1', 'k2', 'k3', 'k4']
const odd = ['', 'bad/id', ' ', 'x'.repeat(77), 'ü', '..', '-', 'a\0b', '{"json":1}', 'sha256:short', 'y'.repeat(5000)]
const texts = ['1', 'true', 'x', 'linux', 'v1', 'text/plain']
const filterTexts = [
  'id==a',
  'labels.l==1',
  'name~=^k',
  'kind==active',
  'id==',
  '"',
  'labels."x.y"',
  'a~=(',
  ',,',
  'topic~=|^/tasks|',
]
const labelKeys = [
  'l',
  'm',
  'containerd.io/gc.root',
  'containerd.io/gc.ref.content',
  'containerd.io/gc.ref.snapshot.overlayfs',
]
const mediaTypes = [
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.oci.image.layer.v1.tar+gzip',
  'application/vnd.oci.image.layer.v1.tar',
  'application/nothing',
]

type Pool = (dice: Dice, world: World) => string

/** By field name, the first that matches. */
const pools: [RegExp, Pool][] = [
  [
    /^(path|.*_path|source|target|.*_?root|address|std(in|out|err)|.*_uri|.*dir.*|.*file.*|bundle|binary.*|log.*)$/,
    pathText,
  ],
  [/^(snapshotter|default_snapshotter)$/, dice => dice.of(['overlayfs', 'overlayfs', 'overlayfs', 'nope', ''])],
  [/^(key|parent|snapshot_key)$/, (dice, { chainIDs }) => dice.of([...keys, ...chainIDs, ''])],
  [/^(image|image_name)$/, (dice, { images }) => dice.of([...images, 'no/such:1'])],
  // Never a registry that is not on this machine.
  [/^(reference|ref_name|registry|host.*)$/, dice => dice.of(['127.0.0.1:1/x:1', '127.0.0.1:1/x@nope', 'ref'])],
  [/^(ref|stream.*)$/, dice => dice.of(['ref1', 'ref2', 'ref3'])],
  [
    /^(digest|expected|.*_digest)$/,
    (dice, { digests }) => dice.of([...digests, `sha256:${'0'.repeat(64)}`, 'sha256:x', '']),
  ],
  [/^filters?$/, dice => dice.of(filterTexts)],
  [/^media_type$/, dice => dice.of(mediaTypes)],
  [/^topic$/, dice => dice.of(['/tasks/exit', '/x/y', 'no', '/'])],
  [/^namespace$/, dice => dice.of([...namespaces, 'r4'])],
  [/^runtime.*$/, dice => dice.of(['io.containerd.gantry.v1', 'io.containerd.nope.v9'])],
  [
    /^(subnet|gateway|.*address.*|.*ip.*|.*cidr.*)$/,
    dice => dice.of(['10.231.7.0/24', '10.231.7.1', 'fd00:231::/64', 'nope', '']),
  ],
  [/^paths$/, dice => dice.of(['labels', 'labels.l', 'spec', 'image', 'parent', 'bogus', 'info.labels'])],
  [/^name$/, (dice, { images, chainIDs }) => dice.of([...ids, ...keys, ...images, ...chainIDs])],
  [/id$/, dice => dice.of(ids)],
]

function pathText(dice: Dice, { folder }: World): string {
  return dice.of([
    '',
    '',
    `${folder}/in`,
    `${folder}/none/deeper`,
    'relative',
    `file://${folder}/log`,
    'binary:///bin/true',
  ])
}

function text(dice: Dice, world: World, name: string): string {
  if (dice.chance(0.04)) return dice.of(odd)
  const pool = pools.find(([pattern]) => pattern.test(name))?.[1]
  return pool?.(dice, world) ?? dice.of([...texts, ...ids, ''])
}

function integer(dice: Dice, name: string): number {
  if (/port/.test(name)) return dice.of([0, 42_001, 70_000])
  if (/signal/.test(name)) return dice.of([0, 9, 15, 9, 1000])
  if (/timeout|seconds|secs/.test(name)) return dice.of([0, 1])
  return dice.of([0, 1, 2, 7, 80, 4096, 2 ** 31 - 1])
}

/** A random message of that type, as bytes. */
export function requestBytes(dice: Dice, world: World, type: DescMessage): Uint8Array {
  return toBinary(type, create(type, messageOf(dice, world, type, 0) as MessageInitShape<DescMessage>))
}

const deepest = 4

function messageOf(dice: Dice, world: World, type: DescMessage, depth: number): Record<string, unknown> {
  if (type.typeName === 'google.protobuf.Any') return anyOf(dice, world, depth)
  if (type.typeName === 'google.protobuf.Timestamp')
    return {
      seconds: BigInt(dice.of([0, 1_700_000_000, 253_402_300_800, -1])),
      nanos: dice.of([0, 1, 999_999_999, -5]),
    }
  if (type.typeName === 'containerd.types.Mount') return mountOf(dice, world)
  const message: Record<string, unknown> = {}
  for (const field of type.fields) {
    if (!dice.chance(0.75) || depth >= deepest) continue
    const value = fieldOf(dice, world, field, depth)
    if (field.oneof === undefined) message[field.localName] = value
    else message[field.oneof.localName] = { case: field.localName, value }
  }
  return message
}

function fieldOf(dice: Dice, world: World, field: DescField, depth: number): unknown {
  switch (field.fieldKind) {
    case 'list':
      return dice.some(3, () =>
        field.listKind === 'message'
          ? messageOf(dice, world, field.message, depth + 1)
          : field.listKind === 'enum'
            ? enumOf(dice, field.enum.values)
            : scalarOf(dice, world, field.name, field.scalar),
      )
    case 'map':
      return Object.fromEntries(dice.some(3, () => entryOf(dice, world, field, depth)))
    case 'message':
      return messageOf(dice, world, field.message, depth + 1)
    case 'enum':
      return enumOf(dice, field.enum.values)
    default:
      return scalarOf(dice, world, field.name, field.scalar)
  }
}

function entryOf(dice: Dice, world: World, field: DescField & { fieldKind: 'map' }, depth: number): [string, unknown] {
  const key = field.mapKey === 9 ? dice.of(labelKeys) : `${dice.below(5)}`
  if (field.mapKind === 'message') return [key, messageOf(dice, world, field.message, depth + 1)]
  if (field.mapKind === 'enum') return [key, enumOf(dice, field.enum.values)]
  return [key, scalarOf(dice, world, /^containerd/.test(key) ? 'digest' : field.name, field.scalar)]
}

function enumOf(dice: Dice, values: readonly { number: number }[]): number {
  return dice.chance(0.05) ? 99 : dice.of(values).number
}

/** By protobuf's numbers of scalar types (descriptor.proto, FieldDescriptorProto.Type). */
function scalarOf(dice: Dice, world: World, name: string, scalar: number): unknown {
  switch (scalar) {
    case 1:
    case 2:
      return dice.of([0, 0.5, -1, Number.NaN])
    case 3:
    case 16:
    case 18:
      return dice.chance(0.1) ? -1n : BigInt(integer(dice, name))
    case 4:
    case 6:
      return BigInt(integer(dice, name))
    case 5:
    case 15:
    case 17:
      return dice.chance(0.1) ? -1 : integer(dice, name)
    case 8:
      return dice.chance(0.5)
    case 9:
      return text(dice, world, name)
    case 12:
      return dice.bytes(dice.of([0, 1, 10, 300]))
    default:
      return integer(dice, name)
  }
}

function mountOf(dice: Dice, { folder }: World): Record<string, unknown> {
  const options = dice.some(2, () => dice.of(['rbind', 'ro', 'rw', 'bogus', `lowerdir=${folder}/rootfs:${folder}/in`]))
  const [type, source] = [
    dice.of(['bind', 'bind', 'overlay', 'nope', '']),
    dice.of([`${folder}/rootfs`, `${folder}/in`, '']),
  ]
  return { type, source, target: dice.of(['', '', 'in', '../x']), options }
}

const json = 'types.containerd.io/opencontainers/runtime-spec/1'

function anyOf(dice: Dice, world: World, depth: number): Record<string, unknown> {
  const known = (typeUrl: string, value: unknown) => ({ typeUrl, value: Buffer.from(JSON.stringify(value)) })
  const roll = dice.next()
  if (roll < 0.35) return known(`${json}/Spec`, dice.of(specs(world)))
  if (roll < 0.55) return known(`${json}/Process`, dice.of(processes))
  if (roll < 0.65)
    return known(`${json}/LinuxResources`, dice.of([{ memory: { limit: 1 << 26 } }, { pids: { limit: -1 } }, [], null]))
  const type = world.contract.registry.getMessage(
    dice.of([
      'containerd.types.transfer.OCIRegistry',
      'containerd.types.transfer.ImageStore',
      'containerd.types.transfer.ImageImportStream',
      'containerd.types.transfer.ImageExportStream',
      'containerd.types.transfer.Data',
      'containerd.runc.v1.Options',
      'containerd.events.TaskExit',
    ]),
  )
  if (type === undefined || roll > 0.95)
    return { typeUrl: dice.of(['', 'no.such.Type', 'a/b/c']), value: dice.bytes(9) }
  const bytes = toBinary(type, create(type, messageOf(dice, world, type, depth + 1) as MessageInitShape<DescMessage>))
  return { typeUrl: type.typeName, value: bytes }
}
