/** Differs that are right but for one thing: a right one's service, with one answer or one tree changed. */
import { existsSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { isGantryError } from '#api/errors/errors.ts'
import type { ApplyRequest } from '#api/gen/containerd/services/diff/v1/diff.ts'
import type { Input } from '#api/rpc/definition.ts'
import { directTree } from '#api/sys/layer-tree.ts'
import { mount } from '#api/sys/sys.ts'
import type { Mount } from '#api/types/mount.ts'
import type { DiffApi } from '#sdk/check/differ/differ-bench.ts'

export type DifferMutants = Readonly<Record<string, (right: DiffApi) => Partial<DiffApi>>>

const nothing = `sha256:${'0'.repeat(64)}`

/** After each layer, does something to the tree it went to. */
const afterwards =
  (harm: (tree: string, request: Input<ApplyRequest>) => void): DifferMutants[string] =>
  s => ({
    apply: async (request, options) => {
      const answer = await s.apply(request, options)
      harm(directTree((request.mounts ?? []) as Mount[])?.path ?? '', request)
      return answer
    },
  })

const answering =
  (change: (applied: { digest: string; size: bigint }) => object): DifferMutants[string] =>
  s => ({
    apply: async (request, options) => {
      const { applied } = await s.apply(request, options)
      return { applied: applied && { ...applied, ...change(applied) } }
    },
  })

const despite =
  (codes: readonly string[]): DifferMutants[string] =>
  s => ({
    apply: async (request, options) => {
      try {
        return await s.apply(request, options)
      } catch (error) {
        if (!isGantryError(error) || !codes.includes(error.code)) throw error
        return { applied: { mediaType: 'tar', digest: nothing, size: 0n, annotations: {} } }
      }
    },
  })

const drop = (path: string) => afterwards(tree => rmSync(join(tree, path), { recursive: true, force: true }))

export const differMutants: DifferMutants = {
  'the answer is the blob’s digest': s => ({
    apply: async (request, options) => {
      const { applied } = await s.apply(request, options)
      return { applied: applied && { ...applied, digest: request.diff?.digest ?? '' } }
    },
  }),
  'the answer has no size': answering(() => ({ size: 0n })),
  'the answer has a compressed media type': answering(() => ({
    mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip',
  })),
  'nothing is answered': s => ({
    apply: async (request, options) => {
      await s.apply(request, options)
      return {}
    },
  }),
  'nothing is written': () => ({
    apply: async () => ({ applied: { mediaType: 'tar', digest: nothing, size: 0n, annotations: {} } }),
  }),
  'a hard link is a copy': afterwards(tree => {
    const path = join(tree, 'etc/same')
    if (!existsSync(path)) return
    rmSync(path)
    writeFileSync(path, 'hello\n', { mode: 0o640 })
  }),
  'devices are left out': drop('dev/null'),
  'symbolic links are left out': drop('etc/link'),
  'something is left beside': afterwards(tree => writeFileSync(join(tree, '.differ'), '')),
  'whiteouts are files': afterwards(tree => {
    if (existsSync(join(tree, 'stays'))) writeFileSync(join(tree, '.wh.gone'), '')
  }),
  'whiteouts do nothing': afterwards(tree => {
    if (existsSync(join(tree, 'stays'))) writeFileSync(join(tree, 'gone'), 'gone')
  }),
  'a directory is not emptied': afterwards(tree => {
    if (existsSync(join(tree, 'dir/new'))) writeFileSync(join(tree, 'dir/old'), 'old')
  }),
  'an overlay is not looked at': s => ({
    apply: (request, options) => {
      const [first] = request.mounts ?? []
      const given = (first?.options ?? []) as string[]
      const lower = given.find(option => option.startsWith('lowerdir='))?.slice('lowerdir='.length)
      const bind = { type: 'bind', source: lower ?? '', target: '', options: ['rbind', 'rw'] }
      return s.apply(lower === undefined ? request : { ...request, mounts: [bind] }, options)
    },
  }),
  'a missing blob is an empty layer': despite(['NOT_FOUND']),
  'any media type will do': despite(['NOT_IMPLEMENTED', 'UNKNOWN']),
  'damage is not noticed': despite(['DATA_LOSS', 'UNKNOWN', 'INTERNAL', 'INVALID_ARGUMENT']),
  'a mount stays behind': s => ({
    apply: async (request, options) => {
      const answer = await s.apply(request, options)
      const tree = directTree((request.mounts ?? []) as Mount[])?.path ?? ''
      await mount([{ type: 'bind', source: tree, target: '', options: ['rbind', 'rw'] }], tree)
      return answer
    },
  }),
  'links are followed': s => ({
    apply: async (request, options) => {
      const tree = directTree((request.mounts ?? []) as Mount[])?.path ?? ''
      const outside = join(tree, '../outside')
      if (existsSync(outside)) writeFileSync(join(outside, 'by-link'), 'x')
      return await s.apply(request, options)
    },
  }),
  'one layer at a time': s => {
    let busy = false
    return {
      apply: async (request, options) => {
        if (busy) return {}
        busy = true
        try {
          return await s.apply(request, options)
        } finally {
          busy = false
        }
      },
    }
  },
  'Diff says another size': s => ({
    diff: async (request, options) => {
      const { diff } = await s.diff(request, options)
      return { diff: diff && { ...diff, size: diff.size + 1n } }
    },
  }),
  'Diff packs everything': s => ({ diff: (request, options) => s.diff({ ...request, left: [] }, options) }),
  'Diff packs the wrong side': s => ({
    diff: ({ left = [], right = [], ...rest }, options) => s.diff({ ...rest, left: right, right: left }, options),
  }),
}
