/** The rules for differs: containerd's diff service, beside the content store of the core it works for. */
import assert from 'node:assert/strict'
import { isGantryError } from '#api/errors/errors.ts'
import { DiffDefinition } from '#api/gen/containerd/services/diff/v1/diff.ts'
import { type Channel, connect, createClient } from '#api/rpc/client.ts'
import type { DifferSubject } from './differ/differ-bench.ts'
import { differChecks } from './differ/differ-checks.ts'
import { type Encode, encoderFor } from './differ/layer-archive.ts'
import type { Rule } from './rule.ts'
import type { Tenancy } from './tenancy.ts'

export interface DifferPlace {
  readonly address: string
  /** Address of the core it reads blobs of. */
  readonly core: string
  readonly options: Tenancy['options']
  readonly mediaType: string
  /** Shell command from a tar to such a layer; undefined: it is one of OCI's own. */
  readonly encode: string | undefined
  readonly foreign: boolean
}

/** INVALID_ARGUMENT: nobody knows how to make such a layer. */
export function differRules(place: DifferPlace): Rule[] {
  const { address, core, options, mediaType, foreign } = place
  const encode = encoderFor(mediaType, place.encode)
  const rules = Object.entries(differChecks).map(([text, check]) => ({
    text,
    async check() {
      using channels = new DisposableStack()
      await check(
        subjectAt(channels.use(connect(address, options)), channels.use(connect(core, options)), mediaType, encode),
      )
    },
  }))
  return foreign ? rules : [...rules, strangerRule(place)]
}

function subjectAt(differ: Channel, core: Channel, mediaType: string, encode: Encode): DifferSubject {
  return { api: createClient(DiffDefinition, differ), core, mediaType, encode }
}

/** Ours to ask for: it is how the next differ gets its turn. */
function strangerRule({ address, options }: DifferPlace): Rule {
  return {
    text: 'a media type that it does not read is NOT_IMPLEMENTED',
    async check() {
      using channel = connect(address, options)
      const diff = { mediaType: 'application/vnd.example.nothing', digest: `sha256:${'0'.repeat(64)}` }
      await assert.rejects(createClient(DiffDefinition, channel).apply({ diff }), (error: unknown) => {
        assert.ok(isGantryError(error))
        assert.equal(error.code, 'NOT_IMPLEMENTED', error.message)
        return true
      })
    },
  }
}
