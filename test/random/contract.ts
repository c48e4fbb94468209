/** Every method that api/proto declares for callers, with its messages described: what random requests are made from. */
import { execFileSync } from 'node:child_process'
import { readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createFileRegistry, type DescMethod, type FileRegistry, fromBinary } from '@bufbuild/protobuf'
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt'

const repo = join(import.meta.dirname, '../..')
/** Served on gantryd's socket; the others are contracts of plugins and shims. */
const served = /^(containerd\.services\.(?!events\.ttrpc)|gantry\.services\.|grpc\.health\.)/

export interface Contract {
  readonly methods: readonly DescMethod[]
  readonly registry: FileRegistry
}

export function readContract(): Contract {
  const file = join(tmpdir(), `api-${process.pid}.binpb`)
  execFileSync(join(repo, 'node_modules/.bin/buf'), ['build', '--output', file], { cwd: repo })
  const registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, readFileSync(file)))
  rmSync(file)
  const methods: DescMethod[] = []
  for (const type of registry) if (type.kind === 'service' && served.test(type.typeName)) methods.push(...type.methods)
  return { methods, registry }
}
